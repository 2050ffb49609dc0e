"""Letting a crowd in: whoever comes while others are being let in shares the next look at the database with the rest.

After a restart thousands come back within seconds. One by one each would cost two queries and a change of threads.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from livereferrals.streaming import reading
from livereferrals.streaming.admission import admit_all

if TYPE_CHECKING:
    from livereferrals.streaming.admission import Admission, Asked

AT_ONCE: Final = 100
"""How many share one look."""


class Gathering:
    """Those who wait to be let in by one event loop."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Asked, asyncio.Future[Admission]]] = []
        self._serving: asyncio.Task[None] | None = None

    async def admit(self, asked: Asked) -> Admission:
        """Return what one of them gets.

        Raises:
            FeedError: it is not let in.
            django.db.Error: the database does not answer.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Admission] = loop.create_future()
        self._waiting.append((asked, future))
        if self._serving is None:
            self._serving = loop.create_task(self._serve())
        return await future

    async def _serve(self) -> None:
        try:
            while self._waiting:
                turn = [(asked, future) for asked, future in self._waiting[:AT_ONCE] if not future.done()]
                del self._waiting[:AT_ONCE]
                if turn:
                    await self._answer(turn)
        finally:
            self._serving = None

    @staticmethod
    async def _answer(turn: list[tuple[Asked, asyncio.Future[Admission]]]) -> None:
        answers: list[Admission | Exception]
        try:
            answers = await reading.in_pool(admit_all, [asked for asked, _ in turn])
        except Exception as error:  # noqa: BLE001 - each of them raises it
            answers = [error] * len(turn)
        for (_, future), answer in zip(turn, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


_gatherings: WeakKeyDictionary[asyncio.AbstractEventLoop, Gathering] = WeakKeyDictionary()


def get_gathering() -> Gathering:
    """Return the gathering of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _gatherings.get(loop)
    if found is None:
        found = _gatherings[loop] = Gathering()
    return found

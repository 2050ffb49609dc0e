"""Shared frames: one rendering for everybody who looks from the same viewpoint, at a calm pace, off the event loop.

    frames = get_frames()
    frames.join(viewpoint, wake)                # `wake()` is called on the loop when there is something new
    frame = frames.current(viewpoint) or await frames.render(viewpoint)
    frames.leave(viewpoint, wake)

It follows the hub while somebody watches; without watchers nothing is read and nothing rendered.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

import django.db
from django.utils import timezone
from django.utils.translation import gettext

from livereferrals.dashboard import catalogue, pacing, pages
from livereferrals.dashboard.pages import NoSuchSubjectError
from livereferrals.dashboard.shortening import Shortening
from livereferrals.exceptions import FeedError
from livereferrals.streaming.hub import get_hub
from livereferrals.streaming.threads import DatabaseThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.dashboard.pages import Frame
    from livereferrals.dashboard.viewpoints import Viewpoint
    from livereferrals.events.cursors import Cursor
    from livereferrals.events.log import Bounds

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

RETRY_S = 1.0
"""Pause after a database error."""
THREADS = 3

in_pool = DatabaseThreads("livereferrals-dashboard", count=THREADS).run
"""Run something in the dashboard's threads, which keep their connections while there is work: Django's shared thread belongs
to the host's requests."""


async def look(act: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Read from the database in the dashboard's threads.

    Raises:
        FeedError: it does not answer.
    """
    try:
        return await in_pool(act, *args, **kwargs)
    except django.db.Error as error:
        raise FeedError("unavailable", gettext("The database does not answer.")) from error


def is_newer(cursor: Cursor, than: Cursor) -> bool:
    """Whether the cursor is of another epoch, or later in the same."""
    return cursor.epoch != than.epoch or cursor.seq > than.seq


@dataclass(slots=True, eq=False)
class _Shelf:
    """The newest frame of one viewpoint and those who wait for the next."""

    watchers: set[Callable[[], None]] = field(default_factory=set)
    frame: Frame | None = None
    task: asyncio.Task[Frame] | None = None
    ready_at: float = 0.0
    """When, on the loop's clock, the next rendering may begin."""


class SharedFrames:
    """The frames of one event loop."""

    def __init__(self) -> None:
        self.head: Cursor | None = None
        """The newest place in the log that was heard of."""
        self._shelves: dict[Viewpoint, _Shelf] = {}
        self._stop_following: Callable[[], None] | None = None
        self._shortening = Shortening(in_pool)

    @property
    def watching(self) -> int:
        """How many watch."""
        return sum(len(shelf.watchers) for shelf in list(self._shelves.values()))

    def join(self, viewpoint: Viewpoint, wake: Callable[[], None]) -> None:
        """Have `wake` called whenever something is new."""
        self._shelves.setdefault(viewpoint, _Shelf()).watchers.add(wake)
        if self._stop_following is None:
            self._stop_following = get_hub().follow(self._moved)

    def leave(self, viewpoint: Viewpoint, wake: Callable[[], None]) -> None:
        """Stop calling `wake`; the last one to leave ends the rendering, and following the hub."""
        shelf = self._shelves[viewpoint]
        shelf.watchers.discard(wake)
        if shelf.watchers:
            return
        del self._shelves[viewpoint]
        if shelf.task is not None:
            shelf.task.cancel()
        if not self._shelves and self._stop_following is not None:
            self._stop_following()
            self._stop_following = None
            self._shortening.stop()

    def heard_of(self, cursor: Cursor) -> None:
        """Take note of a place in the log."""
        if self.head is None or is_newer(cursor, self.head):
            self.head = cursor

    def current(self, viewpoint: Viewpoint) -> Frame | None:
        """Return the viewpoint's frame where nothing is newer than it, and its range still means the same."""
        frame = self._shelves[viewpoint].frame
        if frame is None or (self.head is not None and is_newer(self.head, frame.cursor)):
            return None
        period = viewpoint.period(now=timezone.now()).name
        return frame if frame.period == period else None

    def render(self, viewpoint: Viewpoint) -> asyncio.Task[Frame]:
        """Return the rendering of the viewpoint's next frame, shared by all who ask before it is done.

        To be waited for with `asyncio.wait`, not awaited by itself: whoever is cancelled must not cancel it for the
        others. It is cancelled when the last watcher has left, and raises `NoSuchSubjectError` where what the page is
        about has gone.
        """
        shelf = self._shelves[viewpoint]
        if shelf.task is None:
            shelf.task = asyncio.get_running_loop().create_task(self._render(viewpoint, shelf))
            shelf.task.add_done_callback(lambda task: self._rendered(shelf, task))
        return shelf.task

    async def _render(self, viewpoint: Viewpoint, shelf: _Shelf) -> Frame:
        loop = asyncio.get_running_loop()
        page = catalogue.BY_NAME[viewpoint.view]
        await asyncio.sleep(max(0.0, shelf.ready_at - loop.time()))
        failing = False
        while True:
            began = loop.time()
            try:
                shelf.frame = await in_pool(pages.render_frame, page, viewpoint)
            except django.db.Error:
                if not failing:
                    logger.warning("No frame: the database is away.", exc_info=True, extra={"action": "frame.away"})
                failing = True
                await asyncio.sleep(RETRY_S)
                continue
            took_s = loop.time() - began
            # Of a quick rendering the pause is counted from its beginning: frames keep their distance, not the gaps.
            since = began if took_s <= pacing.SLOW_S else loop.time()
            shelf.ready_at = since + pacing.pause_after(took_s, is_whole=shelf.frame.is_whole)
            self.heard_of(shelf.frame.cursor)
            return shelf.frame

    @staticmethod
    def _rendered(shelf: _Shelf, task: asyncio.Task[Frame]) -> None:
        shelf.task = None
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, NoSuchSubjectError):
            logger.error("A frame could not be rendered.", exc_info=error, extra={"action": "frame.failed"})

    def _moved(self, bounds: Bounds) -> None:
        # Outright, not the later of two: a restored database may stand before what was heard of, and waiting for a head
        # that is gone would render for ever.
        self.head = bounds.newest_cursor
        self._shortening.wake()
        for shelf in self._shelves.values():
            for wake in shelf.watchers:
                wake()


_frames: WeakKeyDictionary[asyncio.AbstractEventLoop, SharedFrames] = WeakKeyDictionary()


def get_frames() -> SharedFrames:
    """Return the shared frames of the running event loop."""
    loop = asyncio.get_running_loop()
    frames = _frames.get(loop)
    if frames is None:
        frames = _frames[loop] = SharedFrames()
    return frames


def open_screens() -> int:
    """Return how many live sockets this process has open. From any thread."""
    return sum(frames.watching for frames in list(_frames.values()))

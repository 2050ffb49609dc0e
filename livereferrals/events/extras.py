"""The host's own fields of an event: asked for when it is written, kept under `data.extra`.

What the host's function does wrong never harms the transaction that writes the event: it is logged, and left out.
"""

from __future__ import annotations

import copy
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from django.db import transaction

from livereferrals import conf

if TYPE_CHECKING:
    from livereferrals.events.log import Entry

logger = logging.getLogger(__name__)

KEY: Final = "extra"
ROOM_AROUND: Final = 1024
"""Bytes of an event that are not its data: ids, time, partner, link, punctuation."""
EXACT_BELOW: Final = 1e16
"""Python writes larger floats with an exponent, PostgreSQL without one: they would come back as whole numbers."""


class Fields:
    """The host's function `FEED_EVENT_FIELDS`, and whether it failed the last time."""

    def __init__(self) -> None:
        self._fails = False

    def data_of(self, entry: Entry, *, using: str) -> dict[str, Any]:
        """Return the entry's data, with the host's fields if it adds any. One savepoint where there is a function.

        The function may ask the database: an error there undoes no more than what the function itself has done.
        """
        try:
            ask = conf.settings.FEED_EVENT_FIELDS
            if ask is None:
                return entry.data
            with transaction.atomic(using=using):
                data = {**entry.data, KEY: self._asked(ask, entry)}
        except Exception as error:  # noqa: BLE001 - the host's function may raise anything; the referral counts all the same
            self._complain(error)
            return {**entry.data, KEY: None}
        self._fails = False
        return data

    @staticmethod
    def _asked(ask: Callable[..., Any], entry: Entry) -> dict[str, Any] | None:
        # A copy, so that it cannot change what is written besides.
        given = ask(replace(entry, data=copy.deepcopy(entry.data)))
        room = conf.settings.FEED_LIMITS.event_bytes - ROOM_AROUND - len(json.dumps(entry.data))
        return None if given is None else usable(given, max_bytes=room)

    def _complain(self, error: Exception) -> None:
        # Once for each change of state: a broken function is asked for each hit.
        if not self._fails:
            logger.error(
                "FEED_EVENT_FIELDS failed; events go without its fields.",
                exc_info=error,
                extra={"action": "feed.fields_failed"},
            )
        self._fails = True


fields = Fields()


def usable(given: object, *, max_bytes: int) -> dict[str, Any]:
    """Return the host's fields as they will be read back from any database.

    Raises:
        ValueError: they are no JSON object, too big, or hold what a database cannot give back unchanged.
        TypeError: they hold something that JSON does not know.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"FEED_EVENT_FIELDS must return a dict or None, not {type(given).__name__}.")  # noqa: TRY004 - one kind of mistake
    text = json.dumps(dict(given), allow_nan=False)
    if len(text) > max_bytes:
        raise ValueError(f"The fields take {len(text)} bytes; there is room for {max_bytes}.")
    found: dict[str, Any] = json.loads(text)
    _check(found)
    return found


def _check(value: object) -> None:
    """Refuse what PostgreSQL's `jsonb` refuses or changes: NUL, half characters, floats beyond whole numbers."""
    if isinstance(value, dict):
        for name, each in value.items():
            _check(name)
            _check(each)
    elif isinstance(value, list):
        for each in value:
            _check(each)
    elif isinstance(value, str):
        if "\x00" in value:
            raise ValueError("A field holds the character NUL.")
        value.encode()  # UnicodeEncodeError is a ValueError
    elif isinstance(value, float) and (abs(value) >= EXACT_BELOW or (value == 0 and math.copysign(1, value) < 0)):
        raise ValueError(f"The number {value!r} does not come back as it is; give it as text.")

"""Links in memory, so that following one costs no query: bounded, and dropped as soon as a link changes.

    link = await get_links().afind("abc123")

A change made in this process is seen at once, one made in another process as soon as the host's channel layer tells, and
any change at all, also by `QuerySet.update`, raw SQL or without a channel layer, within `FRESH_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
import time
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model
from django.db import Error, OperationalError, connections, transaction
from django.db.models.signals import post_delete, post_save

from livereferrals.events import hints
from livereferrals.events.publisher import publisher
from livereferrals.tracking.desks import LateError, Limits, NoRoomError
from livereferrals.tracking.grouping import Grouping
from livereferrals.tracking.links import WELL_FORMED, KnownLink
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from django.db.models import Model

FRESH_S: Final = 2.0
"""How long what was read is believed."""
MOST: Final = 10_000
"""Links kept, unknown ones included; those that were read longest ago go first."""
LIMITS: Final = Limits(most=200, room=10_000)
"""Links read in one query, and links that may wait to be read."""

Name = tuple[str, bool]
"""An identifier, or a partner's uid that stands for its home link."""

NO_LINK: Final = (None, float("inf"))
"""There is none, and never will be."""


class LinkCache:
    """The links that were followed lately, unknown identifiers too."""

    def __init__(self) -> None:
        self._known: dict[Name, tuple[KnownLink | None, float]] = {}
        """Each link and until when it is believed, in the order of reading."""
        self._drops = 0
        self._lock = threading.Lock()
        self._reading: Grouping[Name, KnownLink | None] = Grouping("livereferrals-links", self._read, limits=LIMITS)
        self._listening: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Task[None]] = WeakKeyDictionary()

    async def afind(self, identifier: str) -> KnownLink | None:
        """Return the link of this identifier, case-sensitively, counting or not; `None`: unknown.

        From memory without a pause, else one query in a thread for all that are asked for meanwhile.

        Raises:
            django.db.Error: the database does not answer.
        """
        return await self._find((identifier, False))

    async def afind_home(self, uid: str) -> KnownLink | None:
        """Return the home link of the partner of this uid; `None`: unknown. Otherwise as `afind`."""
        return await self._find((uid, True))

    def find(self, identifier: str) -> KnownLink | None:
        """Do as `afind`, for a thread that may wait."""
        return self._find_in_thread((identifier, False))

    def find_home(self, uid: str) -> KnownLink | None:
        """Do as `afind_home`, for a thread that may wait."""
        return self._find_in_thread((uid, True))

    def drop(self) -> None:
        """Forget everything, here and now; what is being read just now is not kept either."""
        with self._lock:
            self._drops += 1
            self._known.clear()

    def close(self) -> None:
        """Give the database connection back; the next link that is not known begins anew."""
        self._reading.close()

    def _find_in_thread(self, name: Name) -> KnownLink | None:
        if (found := self._fresh(name)) is not None:
            return found[0]
        with _in_time():
            return self._reading.ask_from_thread(name)

    async def _find(self, name: Name) -> KnownLink | None:
        if (found := self._fresh(name)) is not None:
            return found[0]
        if publisher.is_inline:  # a transaction that nobody else sees may be rolled back at any time
            return (await sync_to_async(_queried)([name]))[name]
        self._listen()
        with _in_time():
            return await self._reading.ask(name)

    def _fresh(self, name: Name) -> tuple[KnownLink | None, float] | None:
        """Return what is in memory and may be believed: a link, or that there is none; no link has a malformed name."""
        found = self._known.get(name)
        if found is not None and time.monotonic() < found[1]:
            return found
        return None if WELL_FORMED.match(name[0]) else NO_LINK

    def _read(self, names: Sequence[Name]) -> list[KnownLink | Exception | None]:
        """Return the links of these names: what was read meanwhile from memory, the others by one query."""
        now = time.monotonic()
        with self._lock:
            drops = self._drops
            fresh = {name: found[0] for name in names if (found := self._known.get(name)) and now < found[1]}
        if missing := set(names) - fresh.keys():
            try:
                read = _queried_again(missing)
            except Error as error:
                return [fresh.get(name, error) for name in names]
            self._keep(read, until=now + FRESH_S, drops=drops)
            fresh |= read
        return [fresh[name] for name in names]

    def _keep(self, read: Mapping[Name, KnownLink | None], *, until: float, drops: int) -> None:
        """Keep what was read, unless something was dropped while it was: that may be older."""
        with self._lock:
            if drops != self._drops:
                return
            for name, link in read.items():
                self._known.pop(name, None)
                self._known[name] = link, until
            for name in list(itertools.islice(self._known, max(0, len(self._known) - MOST))):
                del self._known[name]

    def _listen(self) -> None:
        """Hear what other processes change as long as this event loop runs; one that is closed is listened on no more."""
        loop = asyncio.get_running_loop()
        if hints.crosses_processes() and loop not in self._listening:
            self._listening[loop] = loop.create_task(hints.receive_forever())


@contextlib.contextmanager
def _in_time() -> Iterator[None]:
    """Raise what Django does for a database that does not answer where nobody can be asked in time."""
    try:
        yield
    except (NoRoomError, LateError) as error:
        raise OperationalError("Links cannot be read in time.") from error


def _queried_again(names: Collection[Name]) -> dict[Name, KnownLink | None]:
    """Read the links, over a new connection if the old one was lost."""
    try:
        return _queried(names)
    except Error:
        connections.close_all()
        return _queried(names)


def _queried(names: Collection[Name]) -> dict[Name, KnownLink | None]:
    """Read the links, what is unknown as `None`; one query for identifiers, one for uids."""
    found: dict[Name, KnownLink | None] = dict.fromkeys(names)
    identifiers = [text for text, home in names if not home]
    uids = [text for text, home in names if home]
    links = ReferralLink.objects.select_related("partner", "user")
    if identifiers:
        found |= {(link.identifier, False): KnownLink.of(link) for link in links.filter(identifier__in=identifiers)}
    if uids:
        homes = links.filter(partner__uid__in=uids, home=True)
        found |= {(link.partner.uid, True): KnownLink.of(link) for link in homes if link.partner is not None}
    return found


_links = LinkCache()


def get_links() -> LinkCache:
    """Return this process's links."""
    return _links


# --- the hint -------------------------------------------------------------------------------------------------------------


def connect() -> None:
    """Have every process forget its links when one is changed, or its partner or user is."""
    hints.add_listener(_drop, about=hints.LINKS)
    for sender in (ReferralLink, Partner, get_user_model()):
        for signal in (post_save, post_delete):
            signal.connect(_changed, sender=sender, dispatch_uid="livereferrals.links")


def _drop() -> None:
    _links.drop()


def _changed(
    *,
    sender: type[Model],
    using: str,
    created: bool = False,
    update_fields: frozenset[str] | None = None,
    **_facts: object,
) -> None:
    # Not for what cannot make a link count or not: a new user has none, and each login saves when it was.
    is_users = sender not in (ReferralLink, Partner)
    if is_users and (created or (update_fields is not None and "is_active" not in update_fields)):
        return
    transaction.on_commit(_tell, using=using, robust=True)


def _tell() -> None:
    hints.notify(hints.LINKS)
    if hints.crosses_processes():
        # A channel layer that is away is not to hold up whoever saves.
        threading.Thread(target=hints.announce, args=(hints.LINKS,), daemon=True).start()

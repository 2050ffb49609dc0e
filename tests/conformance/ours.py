"""The driver of our own servers: real processes on the test's database, which this process writes to."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from django.db import connection, transaction
from django.utils import timezone

from livereferrals import api
from livereferrals.events import epochs, log, retention, wire
from livereferrals.events.models import Event
from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedToken
from tests.callbacks.running import owe, running_worker, subscribe
from tests.conformance.driver import Driver
from tests.factories import home_link, make_entry, make_partner, make_user, make_visitor
from tests.servers import HostServer, partner_sink

if TYPE_CHECKING:
    from livereferrals.tracking.models import Partner

THREADS = 4


class OurDriver(Driver):
    """Two processes and the rows of one test."""

    def __init__(self, reading: HostServer, other: HostServer | None) -> None:
        self.reading = reading
        self._other = other
        self.partners: dict[str, Partner] = {}

    def partner(self, of: str) -> Partner | None:
        """Return `own` or `other`, made when first asked for; nobody for the house."""
        if of == "house":
            return None
        if of not in self.partners:
            self.partners[of] = make_partner()
        return self.partners[of]

    def _uid(self, of: str) -> str:
        partner = self.partner(of)
        return "" if partner is None else partner.uid

    def write(self, count: int = 1, *, of: str = "own", **values: Any) -> list[Event]:
        """Commit events."""
        entry: dict[str, Any] = {"partner": self._uid(of), "type": values.get("type", "hit")}
        entry["data"] = {"hit": "h", **values.get("data", {})}
        if values.get("on_link"):
            owner = self.partner(of)
            assert owner is not None
            link = home_link(owner)
            entry |= {"link": link.pk, "link_identifier": link.identifier}
        if "hours_ago" in values:
            entry["occurred_at"] = timezone.now() - timedelta(hours=values["hours_ago"])
        return log.append_all([make_entry(**entry) for _ in range(count)])

    @database_sync_to_async
    def append(self, count: int = 1, *, of: str = "own", **values: Any) -> list[str]:
        return [str(event.pk) for event in self.write(count, of=of, **values)]

    @database_sync_to_async
    def append_concurrently(self, transactions: int, *, each: int) -> None:
        self.partner("own")

        def one(_number: int) -> None:
            try:
                self.write(each)
            finally:
                connection.close()

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(one, range(transactions)))

    @database_sync_to_async
    def append_and_roll_back(self) -> None:
        with transaction.atomic():
            self.write()
            transaction.set_rollback(True)

    @database_sync_to_async
    def append_around_savepoint(self) -> str:
        with transaction.atomic():
            (outer,) = self.write()
            with transaction.atomic():
                self.write()
                transaction.set_rollback(True)
        return str(outer.pk)

    @database_sync_to_async
    def append_and_die(self) -> str:
        # What a kill between the commit and the numbering leaves behind: a row without a number, and nobody who knows.
        uid = self._uid("own")
        row = Event.objects.create(type="hit", occurred_at=timezone.now(), partner=uid, data={"hit": "left behind"})
        return str(row.pk)

    async def append_slowly(self, *, meanwhile: Any) -> str:
        if connection.vendor == "sqlite":
            raise NotImplementedError("SQLite has one writer at a time: an open transaction holds all others up.")
        await database_sync_to_async(self.partner)("own")
        is_open, may_commit = threading.Event(), threading.Event()

        def hold() -> str:
            try:
                with transaction.atomic():
                    (event,) = self.write()
                    is_open.set()
                    may_commit.wait()
                return str(event.pk)
            finally:
                connection.close()

        holding = asyncio.create_task(asyncio.to_thread(hold))
        await asyncio.to_thread(is_open.wait)
        try:
            await meanwhile()
        finally:
            may_commit.set()
        return await holding

    @database_sync_to_async
    def token(self, *, of: str = "own", **terms: Any) -> str:
        expires_in_s = terms.pop("expires_in_s", None)
        ends = None if expires_in_s is None else timezone.now() + timedelta(seconds=expires_in_s)
        return tokens.issue(name="conformance", partner=self.partner(of), expires_at=ends, **terms)[1]

    @database_sync_to_async
    def revoke(self, token: str) -> None:
        tokens.revoke(_row(token))

    @database_sync_to_async
    def change(self, token: str, *, scopes: list[str]) -> None:
        row = _row(token)
        row.scopes = scopes
        row.save(update_fields=["scopes"])

    @database_sync_to_async
    def deactivate(self, *, of: str) -> None:
        partner = self.partner(of)
        assert partner is not None
        partner.active = False
        partner.save()

    @database_sync_to_async
    def link(self, *, of: str = "own") -> str:
        partner = self.partner(of)
        assert partner is not None
        return str(home_link(partner).pk)

    @database_sync_to_async
    def prune(self) -> None:
        upto = log.bounds().head
        for _batch in retention.prune(before=timezone.now() + timedelta(minutes=1), upto=upto):
            pass

    @database_sync_to_async
    def new_epoch(self) -> None:
        epochs.begin_new_epoch()

    @database_sync_to_async
    def append_of_person(self) -> str:
        self.person = make_user()
        visitor = make_visitor(user=self.person)
        user = wire.user_hash(str(self.person.pk), key="00" * 32)
        data = {"visitor": str(visitor.pk), "user": user, "hits": 1}
        entry = make_entry(
            type="claim", partner=self._uid("own"), user=str(self.person.pk), visitor=visitor.pk, data=data
        )
        return str(log.append(entry).pk)

    async def erase_person(self) -> None:
        await database_sync_to_async(api.erase_user)(self.person)

    @database_sync_to_async
    def callback_bodies(self) -> list[bytes]:
        with partner_sink() as sink, running_worker():
            owe(subscribe(sink.url(), partner=self.partner("own")))
            return [call.body for call in sink.wait_for(1)]

    def elsewhere(self) -> str:
        if self._other is None:
            raise NotImplementedError("There is one process.")
        return base_of(self._other)

    async def stop(self, *, hard: bool) -> None:
        await asyncio.to_thread(self.reading.kill9 if hard else self.reading.stop)

    async def start(self) -> None:
        await asyncio.to_thread(self.reading.start)

    def log_text(self) -> str:
        return self.reading.output()


def base_of(server: HostServer) -> str:
    """Return the feed's base URL of a server."""
    return server.url("/referrals/feed/v1")


def _row(token: str) -> FeedToken:
    return FeedToken.objects.get(pk=token.split("_")[1])

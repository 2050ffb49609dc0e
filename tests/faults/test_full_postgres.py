"""PostgreSQL that has no room for rows: what visitors, shoppers, staff and partners get of it. The log has room.

No disk is filled here: each write is refused with the error of a full one. `no_room` fills a real one.
"""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from asgiref.sync import sync_to_async
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse

from livereferrals.dashboard import statistics
from livereferrals.exceptions import HitNotRecordedError
from livereferrals.tracking.models import Confirmation, ReferralHit
from tests.callbacks.running import LOOPBACK, owe, reload, running_worker, subscribe, wait_for_state
from tests.dashboard.makers import hit
from tests.factories import make_link, make_staff, make_subscription, make_user
from tests.faults.killing import check_books
from tests.partner import Answer
from tests.shop.models import Order
from tests.shop.triggers import TRIGGERS
from tests.tracking.conftest import group
from tests.tracking.drafting import make_draft
from tests.waiting import eventually, wait_until

if TYPE_CHECKING:
    from asyncio import StreamWriter
    from collections.abc import Iterator

    from django.db.models import Model

    from livereferrals.tracking.group_commit import HitGroup
    from tests.partner import PartnerSink

__all__ = ["group"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has its own"),
]

ORDER: Final = {"number": "A-1", "total": "12.50", "currency": "EUR"}


@contextlib.contextmanager
def no_room(*, but_for: tuple[type[Model], ...] = ()) -> Iterator[None]:
    """Refuse each new version of a row as a full disk does, except in some tables whose pages still have room."""
    spared = {model._meta.db_table for model in but_for}
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$"
        )
        tables = set(connection.introspection.table_names(cursor)) - spared
        for table in tables:
            cursor.execute(
                f"CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION no_room()"
            )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            # One lock at a time: all of them in one statement could wait for a worker that waits for one of them.
            for table in tables:
                cursor.execute(f"DROP TRIGGER no_room ON {table}")
            cursor.execute("DROP FUNCTION no_room")


@pytest.mark.publisher_thread
async def test_hit_without_room_is_lost_and_the_next_one_with_room_is_there(group: HitGroup) -> None:
    """L-27: its visitor learns of it at once, and neither the loop's session nor the thread's is spoilt by it"""
    link = await sync_to_async(make_link)()
    visitor = (await group.record(make_draft(link))).visitor_id
    for carried in (None, visitor):
        full = no_room()
        await sync_to_async(full.__enter__)()
        try:
            with pytest.raises(HitNotRecordedError) as lost:
                await group.record(make_draft(link, visitor=carried))
        finally:
            await sync_to_async(full.__exit__)(None, None, None)
        assert lost.value.reason == "database"
        await group.record(make_draft(link, visitor=carried))
    assert await ReferralHit.objects.acount() == 3
    assert group.losses.count == {"database": 2}


@pytest.mark.parametrize(("errors", "status", "orders"), [("log", 201, 1), ("raise", 500, 0)])
def test_order_without_room_for_its_confirmation(
    settings: Any, errors: str, status: int, orders: int, caplog: pytest.LogCaptureFixture
) -> None:
    """S-26: is taken and logged, or refused as a whole, as `TRIGGER_ERRORS` says; without any room it is refused"""
    own = {"TRIGGERS": TRIGGERS, "TRIGGER_ERRORS": errors, "CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}
    settings.LIVEREFERRALS = own
    make_subscription(partner=make_link(identifier="abc123").partner)
    shopper = Client(raise_request_exception=False)
    shopper.get("/ref/abc123", headers={"User-Agent": "Mozilla/5.0"})
    shopper.force_login(make_user())
    with no_room():
        assert shopper.post("/buy/", ORDER).status_code == 500
    assert Order.objects.count() == 0
    with no_room(but_for=(Order, Session)):
        assert shopper.post("/buy/", ORDER).status_code == status
    assert (Order.objects.count(), Confirmation.objects.count()) == (orders, 0)
    failed = [record for record in caplog.records if vars(record).get("action") == "trigger.failed"]
    assert len(failed) == orders
    if not orders:
        assert shopper.post("/buy/", ORDER).status_code == 201
        assert Confirmation.objects.get().reference == "A-1"


def test_dashboard_can_be_looked_at_without_room(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """L-27: what a page would write, the totals that it reads, may wait"""
    link = make_link(identifier="abc123")
    hit(link)
    monkeypatch.setattr(statistics, "keep_tail_short", partial(statistics.keep_tail_short, most=0))
    client = Client()
    client.force_login(make_staff())
    pages = ("overview", "live_feed", "partners", "deliveries", "status", "status_json")

    def looked_at() -> dict[str, int]:
        return {page: client.get(reverse(f"livereferrals_dashboard:{page}")).status_code for page in pages}

    assert looked_at() == dict.fromkeys(pages, 200)
    hit(link)
    with no_room():
        found = looked_at()
    assert found == dict.fromkeys(pages, 200)
    assert caplog.text.count("cannot be brought forward") == 1


def test_results_are_held_until_there_is_room(sink: PartnerSink, caplog: pytest.LogCaptureFixture) -> None:
    """callback-F43: nothing is sent meanwhile; nothing is lost or repeated"""
    deliveries = [owe(subscribe(sink.url(f"/{path}"), timeout_s=30)) for path in range(3)]
    is_full = threading.Event()

    async def answer_then(writer: StreamWriter) -> None:
        await eventually(is_full.is_set)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    sink.default = Answer(script=answer_then)
    with running_worker():
        sink.wait_for(3)
        with no_room():
            is_full.set()
            wait_until(lambda: "round failed" in caplog.text)
        for delivery in deliveries:
            wait_for_state(delivery, "delivered")  # type: ignore[arg-type] # its value
    check_books(sink)
    assert {(reload(delivery).attempts, reload(delivery).lost) for delivery in deliveries} == {(1, 0)}

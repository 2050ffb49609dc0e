"""Links in memory: read once, believed for a moment, and forgotten everywhere as soon as something changes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from livereferrals.tracking import link_cache
from livereferrals.tracking.link_cache import LinkCache, get_links
from livereferrals.tracking.links import KnownLink
from livereferrals.tracking.models import ReferralHit, ReferralLink
from tests.factories import make_link, make_partner, make_user
from tests.forking import converse
from tests.servers import server_environment
from tests.waiting import DEADLINE_S, eventually, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.forking import Forked

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.publisher_thread]


@pytest.fixture
def links() -> Iterator[LinkCache]:
    """This process's links, of which none is known at first."""
    found = get_links()
    found.drop()
    yield found
    found.close()


async def counts(links: LinkCache, identifier: str) -> bool:
    link = await links.afind(identifier)
    return link is not None and link.refusal(timezone.now()) is None


async def test_link_is_read_once_and_has_what_following_it_needs(links: LinkCache) -> None:
    """L-03, L-37, L-38"""
    user = await sync_to_async(make_user)()
    partner = await sync_to_async(make_partner)(user=user, uid="moox6esi")
    row = await sync_to_async(make_link)(identifier="abc123", partner=partner, target="/sale/")
    link = await links.afind("abc123")
    assert link is not None
    assert link == KnownLink.of(row)
    assert (link.target, link.partner_uid, link.partner_user_id) == ("/sale/", "moox6esi", user.pk)
    assert await links.afind("abc123") is link
    home = await links.afind_home("moox6esi")
    assert home is not None
    assert home.identifier == "moox6esi"
    assert await links.afind("ABC123") is await links.afind_home("abc123") is await links.afind("no/link") is None


async def test_many_who_ask_at_once_are_answered_by_one_reading(links: LinkCache) -> None:
    """P9: a link that has just been forgotten is not read a hundred times"""
    await sync_to_async(make_link)(identifier="abc123")
    links.drop()
    found = await asyncio.gather(*(links.afind("abc123") for _ in range(100)))
    assert len({id(link) for link in found}) == 1
    assert found[0] is not None


CHANGES: dict[str, Callable[[ReferralLink], Any]] = {
    "link": lambda link: ReferralLink.objects.get(pk=link.pk),
    "partner": lambda link: link.partner,
    "user": lambda link: link.user,
}


@pytest.mark.parametrize(
    ("owner", "field", "value"),
    [("link", "disabled", True), ("partner", "active", False), ("user", "is_active", False)],
)
async def test_change_is_seen_at_once_in_this_process(links: LinkCache, owner: str, field: str, value: bool) -> None:
    """L-21, L-22, L-23: and its end too, with no restart"""

    def make() -> tuple[ReferralLink, Any]:
        link = make_link(
            identifier="abc123", **({"user": make_user()} if owner == "user" else {"partner": make_partner()})
        )
        return link, CHANGES[owner](link)

    _link, row = await sync_to_async(make)()
    for wanted in (value, not value, value):
        setattr(row, field, wanted)
        await sync_to_async(row.save)()
        assert await counts(links, "abc123") is (wanted is not value)


async def test_new_link_and_one_that_is_deleted_are_seen_at_once(links: LinkCache) -> None:
    """L-08, L-20: what was unknown was kept as unknown"""
    assert not await counts(links, "moox6esi")
    partner = await sync_to_async(make_partner)(uid="moox6esi")
    assert await counts(links, "moox6esi")
    await sync_to_async(partner.delete)()
    assert not await counts(links, "moox6esi")


async def test_change_that_is_rolled_back_is_none(links: LinkCache) -> None:
    """L-21: and one that is not committed yet neither"""
    link = await sync_to_async(make_link)(identifier="abc123")

    def change() -> None:
        with transaction.atomic():
            link.disabled = True
            link.save()
            transaction.set_rollback(True)

    await sync_to_async(change)()
    assert await counts(links, "abc123")


async def test_change_that_tells_nobody_is_seen_within_seconds(
    links: LinkCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L-21: `QuerySet.update`, or raw SQL"""
    monkeypatch.setattr(link_cache, "FRESH_S", 0.3)
    await sync_to_async(make_link)(identifier="abc123")
    assert await counts(links, "abc123")
    await ReferralLink.objects.filter(identifier="abc123").aupdate(disabled=True)

    async def is_refused() -> bool:
        return not await counts(links, "abc123")

    await eventually(is_refused)


def test_what_is_read_while_something_changes_is_not_kept(links: LinkCache) -> None:
    """L-21: it may be from before"""
    link = make_link(identifier="abc123")
    links.drop()
    reading, changed = threading.Event(), threading.Event()

    def slow(go_on: Any, sql: str, parameters: Any, many: bool, context: Any) -> Any:
        found = go_on(sql, parameters, many, context)
        reading.set()
        assert changed.wait(DEADLINE_S)
        return found

    def read() -> None:
        with connection.execute_wrapper(slow):
            links._read([("abc123", False)])
        connection.close()

    thread = threading.Thread(target=read)
    thread.start()
    assert reading.wait(DEADLINE_S)
    link.disabled = True
    link.save()
    changed.set()
    thread.join()
    assert not asyncio.run(counts(links, "abc123"))


def test_links_in_memory_are_bounded(links: LinkCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """L-25: a scanner cannot fill the memory; what was read longest ago goes first"""
    monkeypatch.setattr(link_cache, "MOST", 3)
    for identifier in ("a", "b", "c", "b", "d"):
        links._keep({(identifier, False): None}, until=0, drops=links._drops)
    assert [identifier for identifier, _home in links._known] == ["c", "b", "d"]


async def test_database_that_is_away_is_told_of_as_such(links: LinkCache, settings: Any) -> None:
    """L-27: the front leads on then; nothing is taken for unknown"""
    await sync_to_async(make_link)(identifier="abc123")

    def rename(old: str, new: str) -> None:
        with connection.schema_editor() as editor:
            editor.alter_db_table(ReferralLink, old, new)

    table = ReferralLink._meta.db_table
    await sync_to_async(rename)(table, f"{table}_away")
    links.drop()
    try:
        with pytest.raises(DatabaseError):
            await links.afind("abc123")
    finally:
        await sync_to_async(rename)(f"{table}_away", table)
    assert await counts(links, "abc123")


# --- other processes ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(*arguments: str, redis_url: str | None = None) -> Iterator[Forked]:
    """Run a process that works with links and hits; it ends with its input."""
    log = Path(django_settings.SCRATCH) / "links.log"
    running = converse(
        ["tests.tracking.group_process", *arguments], environment=server_environment(redis_url=redis_url), log=log
    )
    try:
        yield running
        assert running.end() == 0, log.read_text()
    finally:
        running.kill()


def says(running: Forked, identifier: str) -> bool:
    running.stdin.write(f"{identifier}\n")
    running.stdin.flush()
    return running.stdout.readline() == "True\n"


@pytest.mark.parametrize("hinted", [True, False], ids=["hint", "no hint"])
def test_link_that_is_disabled_stops_in_the_other_processes(
    hinted: bool, request: pytest.FixtureRequest, settings: Any
) -> None:
    """L-21, L-22: over the channel layer, or else within the documented time; enabled again, it counts again"""
    redis_url = request.getfixturevalue("valkey_layer") if hinted else None
    link = make_link(identifier="abc123")
    with process("links", "3600" if hinted else "0.3", redis_url=redis_url) as other:
        assert says(other, "abc123")
        for disabled in (True, False):
            link.disabled = disabled

            # Whoever has just begun to listen may miss a hint; saving again tells again.
            def is_heard() -> bool:
                link.save()
                return says(other, "abc123") is not link.disabled

            wait_until(is_heard)


def test_forked_child_writes_hits_of_its_own_and_who_ends_what_it_has_taken() -> None:
    """L-10: the parent's thread and connection are not in the child; nothing that is queued is left behind at an end"""
    make_link(identifier="abc123")
    with process("hits", "abc123", "40"):
        pass
    assert ReferralHit.objects.count() == 2 + 1 + 40

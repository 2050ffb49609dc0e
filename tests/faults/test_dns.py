"""Names that lead nowhere, late, or where nobody may go: answers of a real name server, and what comes of them."""

from __future__ import annotations

import asyncio
import socket
import time
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any, Final

import pytest
from django.utils import timezone

from livereferrals.callbacks import calls
from livereferrals.callbacks.connector import FLIGHT, Flight, GuardedResolver
from livereferrals.callbacks.guard import Origin
from livereferrals.callbacks.models import DeliveryState
from livereferrals.callbacks.openings import Rules
from livereferrals.callbacks.outcomes import Outcome
from livereferrals.callbacks.sender import Reply, Sender
from livereferrals.exceptions import AddressRefused
from tests.callbacks.running import owe, reload, running_worker, subscribe, wait_for_state
from tests.callbacks.sending import make_job
from tests.callbacks.test_guard import REFUSED_V4, REFUSED_V6
from tests.faults.world import Case, Story, committed_rows, tell
from tests.nameserver import Names, NameServer, name_server
from tests.ports import HOST
from tests.waiting import eventually, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_django import DjangoDbBlocker

    from tests.partner import PartnerSink

pytestmark = pytest.mark.django_db(transaction=True)

SILENT: Final = 50
NAMES: Final[dict[str, list[str] | str]] = {
    "unknown.example": "unknown",
    "empty.example": [],
    "failing.example": "fails",
}
PUBLIC: Final = Rules.of(allow=(), block=(), ports=(80,))


@pytest.fixture
def names() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


async def send(url: str, names: NameServer, rules: Rules) -> Reply:
    call = calls.prepare(make_job(url, timeout_s=10), rules=rules, at=timezone.now())
    async with Sender(resolver=Names(names)) as sender:
        return await sender.send(call, Flight(origin=call.origin, rules=rules))


# --- names that lead nowhere ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def story(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Story]:
    with name_server() as server, committed_rows(django_db_blocker):
        server.names |= NAMES
        server.names |= {f"silent{number}.example": "silent" for number in range(SILENT)}
        cases = {
            name: Case(url=f"https://{name}/", timeout_s=30, is_slow=name.startswith("silent")) for name in server.names
        }
        yield tell(cases, resolver=Names(server))


@pytest.mark.parametrize("name", NAMES)
def test_name_without_an_address_has_its_own_outcome(story: Story, name: str) -> None:
    """callback-F24: unknown, without an address, or a name server that fails."""
    attempt = story.told[name].attempt
    assert (attempt.outcome, attempt.address) == (Outcome.DNS, "")


def test_silent_name_servers_delay_nobody_else(story: Story) -> None:
    """callback-F24: given up after 3 s each, while 20 healthy endpoints get theirs."""
    attempts = [told.attempt for name, told in story.told.items() if name.startswith("silent")]
    assert [attempt.outcome for attempt in attempts] == [Outcome.DNS] * SILENT
    assert max(attempt.duration_ms or 0 for attempt in attempts) <= (3 + story.slack_s) * 1000
    assert story.healthy_got == [2] * 20
    assert story.healthy_s < 2 + story.slack_s


@pytest.mark.once
async def test_silent_name_servers_take_no_thread_of_others(names: NameServer) -> None:
    """callback-F24: look-ups in the loop's threads would keep Django's own work waiting."""
    every = [f"silent{number}.example" for number in range(SILENT)]
    names.names |= dict.fromkeys(every, "silent")
    made = [calls.prepare(make_job(f"http://{name}/", timeout_s=30), rules=PUBLIC, at=timezone.now()) for name in every]
    async with Sender(resolver=Names(names)) as sender:
        sending = asyncio.gather(*(sender.send(call, Flight(origin=call.origin, rules=PUBLIC)) for call in made))
        await eventually(lambda: len(names.asked) == SILENT)
        begun = time.monotonic()
        await asyncio.to_thread(lambda: None)
        waited_s = time.monotonic() - begun
        assert {reply.outcome for reply in await sending} == {Outcome.DNS}
    assert waited_s < 3


# --- names that lead where nobody may go ----------------------------------------------------------------------------------


def special_addresses() -> Iterator[str]:
    """Give the first, the last and a middle address of every refused network, those of IPv4 also as IPv6 carries them."""
    for text in (*REFUSED_V4, *REFUSED_V6):
        network = ip_network(text)
        for address in {network[0], network[-1], network[network.num_addresses // 2]}:
            yield str(address)
            if address.version == 4:
                yield f"::ffff:{address}"
                yield f"64:ff9b::{address}"


@pytest.mark.once
async def test_every_special_address_is_refused_as_an_answer(names: NameServer) -> None:
    """callback-F27, callback-S1: the whole table as A and AAAA, and as IPv4 inside IPv6."""
    every = {f"n{number}.example": address for number, address in enumerate(special_addresses())}
    names.names |= {name: [address] for name, address in every.items()} | {"good.example": ["93.184.216.34"]}
    resolver = GuardedResolver(Names(names))

    async def is_refused(name: str) -> bool:
        origin = Origin(scheme="https", host=name, port=443, address=None)
        FLIGHT.set(Flight(origin=origin, rules=Rules.of(allow=(), block=(), ports=(443,))))
        try:
            await resolver.resolve(name, 443)
        except AddressRefused:
            return True
        return False

    passed = [address for name, address in every.items() if not await is_refused(name)]
    assert len(every) > 150
    assert not passed
    assert not await is_refused("good.example")
    await resolver.close()


@pytest.mark.once
@pytest.mark.parametrize("others", [["10.255.255.1"], ["fd00::1"], ["10.255.255.1", "127.0.0.9"]], ids=str)
async def test_of_several_answers_only_the_allowed_one_is_connected_to(
    sink: PartnerSink, names: NameServer, others: list[str]
) -> None:
    """callback-F26: the refused ones are dropped."""
    names.names["partner.example"] = [*others, HOST]
    rules = Rules.of(allow=rules_of(sink), block=tuple(others), ports=(80,))
    reply = await send(sink.url("/", host="partner.example"), names, rules)
    assert (reply.outcome, reply.address) == (Outcome.OK, f"{HOST}:{sink.port}")


def rules_of(sink: PartnerSink) -> tuple[str, ...]:
    return (f"partner.example:{sink.port}",)


@pytest.mark.once
async def test_name_that_changes_between_two_look_ups_of_an_attempt_gains_nothing(
    sink: PartnerSink, names: NameServer
) -> None:
    """callback-F25: there is one look-up, and its judged answer is what is connected to."""
    answers = [[HOST], ["127.0.0.2"], ["127.0.0.2"]]
    names.names["partner.example"] = lambda: answers.pop(0)
    rules = Rules.of(allow=rules_of(sink), block=("127.0.0.2",), ports=(80,))
    with socket.create_server(("127.0.0.2", sink.port)) as inner:
        inner.setblocking(False)
        first = await send(sink.url("/", host="partner.example"), names, rules)
        assert (first.outcome, names.asked["partner.example"]) == (Outcome.OK, 1)
        second = await send(sink.url("/", host="partner.example"), names, rules)
        assert (second.outcome, second.address, sink.connections) == (Outcome.BLOCKED, "", 1)
        with pytest.raises(BlockingIOError):
            inner.accept()


def test_name_that_leads_inside_since_it_was_saved_is_blocked(sink: PartnerSink, names: NameServer) -> None:
    """callback-F25, callback-S1: saved as a public name, answered with a private address when it is called."""
    names.names["partner.example"] = ["93.184.216.34"]
    subscription = subscribe("http://partner.example/")
    names.names["partner.example"] = ["10.0.0.7"]
    delivery = owe(subscription)
    with running_worker(resolver=Names(names)):
        wait_until(lambda: reload(delivery).last_outcome)
    attempt = delivery.attempt_log.first()
    assert attempt is not None
    assert (attempt.outcome, attempt.error, attempt.address) == ("blocked", "refused: private address", "")
    assert reload(delivery).state == DeliveryState.WAITING


def test_address_that_is_closed_and_opened_again_holds_up_its_deliveries(sink: PartnerSink, settings: Any) -> None:
    """callback-F28: removed from `ALLOW`, the worker started anew; put back, and they go out."""
    subscription = subscribe(sink.url())
    deliveries = [owe(subscription) for _ in range(3)]
    opened = settings.LIVEREFERRALS
    settings.LIVEREFERRALS = {"CALLBACKS": opened["CALLBACKS"] | {"ALLOW": []}}
    with running_worker():
        wait_until(lambda: all(reload(delivery).last_outcome == "blocked" for delivery in deliveries))
    assert not sink.connections
    settings.LIVEREFERRALS = opened
    with running_worker():
        for delivery in deliveries:
            wait_for_state(delivery, DeliveryState.DELIVERED)
    assert len(sink.calls) == len(deliveries)

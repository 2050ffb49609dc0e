"""The feed of a shop with two partners and the house: as described, by the commands of the guide, and private."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from asyncio.subprocess import PIPE
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User

from livereferrals import api
from livereferrals.callbacks.models import Delivery, DeliveryState
from livereferrals.events.models import Event
from livereferrals.streaming import tokens
from livereferrals.tracking.models import Confirmation
from tests.browsing import Browser
from tests.callbacks.running import LOOPBACK
from tests.conformance.transports import OPENERS, Call
from tests.factories import PASSWORD, home_link, make_link, make_partner, make_subscription
from tests.packaging.following import ctrl_c
from tests.servers import HostServer, PartnerSink, host_server
from tests.streaming.asyncapi import check
from tests.waiting import eventually, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.streaming.conftest import Reader

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "feed.md"
NAMES = ("zoe-quill", "yan-ober")
ADDRESS = re.compile(r"\b\d{1,3}(\.\d{1,3}){3}\b|[0-9a-f]{1,4}(:[0-9a-f]{0,4}){3,}")
TYPES = {"hit", "claim", "confirmation", "reversal", "delivery"}


@pytest.fixture
def server(transactional_db: None, settings: Any) -> Iterator[HostServer]:
    settings.LIVEREFERRALS = {"CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK}}
    with host_server("daphne", LIVEREFERRALS={"FEED_POLL_INTERVAL": 0.05, "IP": "full"}) as running:
        yield running


def visit(server: HostServer, *identifiers: str, name: str) -> None:
    """Follow links, sign up, buy: as somebody with a name and an e-mail address."""
    browser = Browser(f"http://localhost:{server.port}")
    for identifier in identifiers:
        assert browser.request(f"/ref/{identifier}?next=/page/?mail={name}@mail.example").status == 302
    browser.submit("/signup/", username=name, password1=PASSWORD, password2=PASSWORD)
    User.objects.filter(username=name).update(email=f"{name}@mail.example", first_name=name.title())
    page = browser.submit("/buy/", number=f"N-{len(name)}-{name[0]}", total="12.50", currency="EUR")
    assert page.status == 201, page.text


def play(server: HostServer, sink: PartnerSink) -> dict[str, str]:
    """Have things of every type happen to two partners and the house; return the partners' tokens by uid."""
    partners = [make_partner(name=f"{word} Ltd") for word in ("Xylo", "Wern")]
    for partner in partners:
        make_subscription(partner=partner, callback_url=sink.url(), allow_plain_http=True)
        make_subscription(partner=partner, trigger="User registered", callback_url="")
    house = make_link(identifier="house", owner="house")
    for partner, name in zip(partners, NAMES, strict=True):
        visit(server, house.identifier, home_link(partner).identifier, name=name)
    wait_until(lambda: Delivery.objects.filter(state=DeliveryState.DELIVERED).count() >= 2)
    for confirmation in Confirmation.objects.filter(trigger="Order paid"):
        assert api.reverse(confirmation, reason="refund").created
    # The reversals are called back, too, and that is told: until then the log is not at rest.
    wait_until(lambda: not Delivery.objects.exclude(state=DeliveryState.DELIVERED).exists())
    wait_until(lambda: not Event.objects.filter(seq=None).exists())
    return {partner.uid: tokens.issue(name="all", partner=partner)[1] for partner in partners}


async def read_all(server: HostServer, transport: str, token: str) -> list[dict[str, Any]]:
    """Return every message up to the present."""
    call = Call(base=server.url("/referrals/feed/v1"), token=token, parameters={"cursor": "oldest"})
    async with OPENERS[transport](call) as reader:
        if transport == "poll":
            while reader.messages[-1]["more"]:
                await reader.receive()
        await reader.ready()
        return list(reader.messages)


async def test_partner_sees_its_own_and_nobody_in_person(server: HostServer, sink: PartnerSink) -> None:
    """feed-16, Y-01: all events of a partner, over each transport, every one as `docs/asyncapi.yaml` says

    No other partner's event, none of the house's, no address, e-mail address, name or user agent; with whole addresses
    kept in the database.
    """
    given = await database_sync_to_async(play)(server, sink)
    for uid, token in given.items():
        (other,) = given.keys() - {uid}
        seen = {}
        for transport in OPENERS:
            messages = await read_all(server, transport, token)
            for message in messages:
                check(message, name="answer" if transport == "poll" else None)
            events = [event for message in messages for event in message.get("events", ())]
            assert {event["partner"] for event in events} == {uid}
            assert {event["type"] for event in events} == TYPES
            seen[transport] = [event["id"] for event in events]
            text = json.dumps(messages)
            for word in (*NAMES, *map(str.title, NAMES), "@", "Mozilla", "mail", "house", other):
                assert word not in text, word
            assert ADDRESS.search(text) is None
        assert seen["ws"] == seen["sse"] == seen["poll"]
        own = await database_sync_to_async(lambda uid=uid: Event.objects.filter(partner=uid).count())()
        assert len(seen["ws"]) == own


def commands() -> dict[str, str]:
    """Return the guide's three commands that read the feed, by the endpoint that they name."""
    lines = re.findall(r"^(?:curl|websocat) .*/feed/v1/(?:ws|sse|poll)\?.*$", GUIDE.read_text(), re.MULTILINE)
    return {re.findall(r"/v1/(\w+)\?", line)[0]: line for line in lines}


def run(line: str, *, server: HostServer, token: str, until: str) -> str:
    """Run a command of the guide as it is printed, but for the address, until its output has a word."""
    here = line.replace("127.0.0.1:8000", f"127.0.0.1:{server.port}")
    environment = os.environ | {"LIVEREFERRALS_FEED_TOKEN": token, "no_proxy": "*"}
    with subprocess.Popen(["bash", "-c", here], stdout=subprocess.PIPE, env=environment, text=True) as process:  # noqa: S603, S607 - our own guide
        assert process.stdout is not None
        said = ""
        try:
            for text in process.stdout:
                said += text
                if until in said:
                    break
        finally:
            process.terminate()
    return said


async def test_commands_of_the_guide_work_as_printed(server: HostServer, sink: PartnerSink) -> None:
    """feed-60: where there is no websocat, a raw client sends what it would"""
    token = next(iter((await database_sync_to_async(play)(server, sink)).values()))
    lines = commands()
    assert lines.keys() == {"ws", "sse", "poll"}
    streamed = await asyncio.to_thread(run, lines["sse"], server=server, token=token, until="event: caught_up")
    assert "event: hello\n" in streamed
    assert '"type":"confirmation"' in streamed
    polled = json.loads(await asyncio.to_thread(run, lines["poll"], server=server, token=token, until="}\n"))
    assert {event["type"] for event in polled["events"]} == TYPES
    if shutil.which("websocat"):
        assert '"type":"hello"' in await asyncio.to_thread(
            run, lines["ws"], server=server, token=token, until="caught_up"
        )
    else:
        assert '--protocol livereferrals.v1 -H="Authorization: Bearer $LIVEREFERRALS_FEED_TOKEN"' in lines["ws"]
        assert (await read_all(server, "ws", token))[0]["type"] == "hello"


def holds(path: Path, ending: str) -> bool:
    return path.exists() and path.read_text().endswith(ending)


async def test_program_of_the_guide_works_as_printed(server: HostServer, reader: Reader, tmp_path: Path) -> None:
    """feed-60: the line that takes the demo's token, and the first program; after Ctrl-C it goes on where it was"""
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo/access.json").write_text(json.dumps({"feed": {"token": reader.token}}))
    text = GUIDE.read_text()
    shell = re.search(r"```sh\n(export [^\n]+python3 .*?)```", text, re.DOTALL)
    program = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert shell is not None
    assert program is not None
    (tmp_path / "first.py").write_text(program[1].replace("http://127.0.0.1:8000", server.url("")))
    command = f"{shell[1]}exec {sys.executable} -u first.py"
    environment = os.environ | {"PYTHONPATH": str(GUIDE.parents[1])}
    kept = tmp_path / "feed.cursor"
    for number in (1, 2):
        await database_sync_to_async(reader.append)()
        running = await asyncio.create_subprocess_shell(
            command, cwd=tmp_path, env=environment, stdout=PIPE, stderr=PIPE
        )
        assert running.stdout is not None
        try:
            line = await asyncio.wait_for(running.stdout.readline(), 40)
            # Stored when the program asks for the next one.
            await eventually(partial(holds, kept, f".{number}\n"))
        finally:
            running.send_signal(ctrl_c())
            _, complaint = await running.communicate()
        cursor, kind, *_ = line.decode().split() or [complaint.decode()]
        assert (cursor.rpartition(".")[2], kind) == (str(number), "hit")
        assert not complaint, complaint.decode()

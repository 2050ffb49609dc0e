"""Plays a scenario with the Python client, and says what came of it in the words of `scenarios.json`."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from livereferrals.client import FeedClient, FeedStopped, Gap, MemoryCursorStore, Timing
from tests.protocol.scripts import cursor
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.protocol.scripted import ScriptedServer
    from tests.protocol.scripts import Message, Run


PATIENCE_S = 120.0
QUICK: Message = {"base_s": 0.02, "cap_s": 0.1}


@dataclass
class Played:
    """What one run gave."""

    run: Run
    store: MemoryCursorStore
    events: list[str] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    gaps: list[list[str | None]] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    stop: FeedStopped | None = None

    def outcome(self, expected: Message) -> Message:
        """Return what the scenario says something about."""
        asked = [one.query for one in self.run.asked]
        found: Message = {
            "events": self.events,
            "stored": self.store.cursor,
            "stopped": self.stop and self.stop.code,
            "oldest": self.stop and self.stop.oldest,
            "types": self.types,
            "gaps": self.gaps,
            "asked": [query.get("cursor") for query in asked],
            "on_gap": [query.get("on_gap") for query in asked],
            "tickets": [one.ticket for one in self.run.asked],
            "acked": [one.acks for one in self.run.asked][-1:] and self.run.asked[-1].acks[-1:],
            "query": [{name: query.get(name) for name in ("types", "links")} for query in asked],
        }
        return {name: found[name] for name in expected}


def expectation(scenario: Message, transport: str) -> Message:
    """Return the scenario's expectation in full."""
    told: Message = {"stopped": None} | scenario["expect"]
    told = told | {name: places(told[name]) for name in ("events", "asked", "gaps", "stored", "oldest") if name in told}
    if "acked" in told:
        told["acked"] = [cursor(told["acked"])]
    if "query" in told:
        told["query"] = [told["query"]] * len(told["asked"])
    if transport != "ws":
        told.pop("acked", None)
    if transport == "poll":
        # Polls are many to a connection: where each begins is its own cursor.
        for name in ("asked", "query", "on_gap"):
            told.pop(name, None)
    return told


def places(value: Any) -> Any:
    """Return cursors in full, however deep they stand."""
    if isinstance(value, list):
        return [places(one) for one in value]
    return cursor(value) if isinstance(value, int) else value


async def play(server: ScriptedServer, scenario: Message, transport: Any) -> tuple[Message, Message]:
    """Run a scenario until it is as expected, or for as long as patience lasts; return what came, and what should."""
    given = scenario["client"]
    url = server.url(scenario["connections"])
    expected = expectation(scenario, transport)
    played = Played(
        run=server.run(url), store=MemoryCursorStore(cursor(given["cursor"]) if "cursor" in given else None)
    )
    client = FeedClient(
        url,
        None if given.get("ticket") else "lrf_abc_def",
        get_ticket=ticket_source() if given.get("ticket") else None,
        store=played.store,
        start=given.get("start", "newest"),
        since=given.get("since"),
        types=given.get("types"),
        links=given.get("links"),
        on_gap=gap_policy(given.get("on_gap", "stop"), played),
        on_state=played.states.append,
        transport=transport,
        timing=Timing(**(QUICK | given.get("timing", {}))),
    )
    consuming = asyncio.ensure_future(consume(client, played))

    def is_over() -> bool:
        return consuming.done() or ("stopped" not in scenario["expect"] and played.outcome(expected) == expected)

    try:
        await eventually(is_over, timeout_s=PATIENCE_S)
    except AssertionError:
        pass  # the comparison says more
    finally:
        consuming.cancel()
        await asyncio.wait([consuming])
    if not consuming.cancelled():
        consuming.result()
    return played.outcome(expected), expected


async def consume(client: FeedClient, played: Played) -> None:
    """Note every event until the feed stops."""
    try:
        async with client as feed:
            async for event in feed:
                played.events.append(event.cursor)
                played.types.append(event.type)
    except FeedStopped as stop:
        played.stop = stop


def ticket_source() -> Callable[[], str]:
    """Return a source of tickets in order."""
    numbers = itertools.count(1)
    return lambda: f"lrt_{next(numbers)}"


def gap_policy(name: str, played: Played) -> Any:
    """Return what the owner does about a gap."""
    if name in {"stop", "oldest"}:
        return name

    def decide(gap: Gap) -> bool:
        played.gaps.append([gap.reason, gap.origin, gap.to])
        return name == "agree"

    return decide

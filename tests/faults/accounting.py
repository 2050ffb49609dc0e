"""Proves that nothing which was answered is lost or doubled: what clients were told, against what the database holds.

    python -m tests.faults.accounting ANSWERS.json      # what a run of `tests.faults.chaos` has left, on its database

`find_faults` is pure; `books.read_books` is the one place that asks the database.
"""

from __future__ import annotations

import json
import sys
from bisect import bisect_right
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass, field
from itertools import chain, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.books import Books


KNOWN: Final = {"hit", "claim", "confirmation", "reversal", "delivery"}
"""What readers are given: other types belong to a newer version, and to no scope of a token yet."""


@dataclass(kw_only=True)
class Reading:
    """What one reader of the feed was handed out, in order, across all its connections."""

    topic: str | None = None
    """The partner's uid; `None`: everything."""
    after: int = 0
    """The number that it began after."""
    events: list[tuple[int, str]] = field(default_factory=list)
    """Number and id of each event."""


@dataclass(kw_only=True)
class Answered:
    """What clients were told."""

    visitors: list[str] = field(default_factory=list)
    """The visitor of each follow that was answered with a cookie; each browser came without one."""
    registered: list[str] = field(default_factory=list)
    """Names of users who followed a link, signed up, and were told that they have an account."""
    orders: list[str] = field(default_factory=list)
    """Numbers of the orders that such users placed, and were told of."""
    readings: list[Reading] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    """Callbacks that came to the partner's server: id and body."""

    def write(self, path: Path) -> None:
        """Keep it, so that it can be judged again."""
        path.write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return what was kept."""
        given = json.loads(path.read_text())
        readings = [Reading(**each) for each in given.pop("readings")]
        return cls(readings=readings, **given)


def find_faults(answered: Answered, books: Books) -> list[str]:
    """Return what is lost, doubled, or out of order; nothing where all is well."""
    return list(
        chain(
            _hits(answered, books),
            _log(books),
            _confirmations(answered, books),
            _deliveries(books),
            _calls(answered, books),
            *(_reading(each, books) for each in answered.readings),
            _totals(books),
        )
    )


def _hits(answered: Answered, books: Books) -> Iterator[str]:
    told, there = Counter(answered.visitors), Counter(books.hits.values())
    yield from (f"Visitor {visitor} was given to {number} browsers." for visitor, number in told.items() if number > 1)
    for visitor in told:
        if there[visitor] != 1:
            yield f"The answered hit of visitor {visitor} is there {there[visitor]} times."


def _log(books: Books) -> Iterator[str]:
    numbers = sorted(event.seq for event in books.events if event.seq is not None)
    if numbers != list(range(books.oldest + 1, books.head + 1)):
        yield f"The log is not numbered from {books.oldest + 1} to {books.head} without hole or doublet: {_odd(numbers)}"
    if waiting := sum(event.seq is None for event in books.events):
        yield f"{waiting} events have no number."
    yield from _told("hit", set(books.hits), books)
    yield from _told("confirmation", {row.id for row in books.confirmations}, books)


def _odd(numbers: list[int]) -> str:
    """Return the places around which a list of numbers is not one after the other."""
    found = [f"{before}, {after}" for before, after in pairwise(numbers) if after != before + 1]
    return "; ".join(found[:5]) or f"{numbers[:1]} to {numbers[-1:]}"


def _told(kind: str, rows: set[str], books: Books) -> Iterator[str]:
    told = Counter(event.subject for event in books.events if event.type == kind)
    for row in rows | told.keys():
        if told[row] != 1 or row not in rows:
            yield f"The {kind} {row} {'has' if row in rows else 'is not there and has'} {told[row]} events."


def _confirmations(answered: Answered, books: Books) -> Iterator[str]:
    paid = Counter(row.reference for row in books.confirmations if row.trigger == "Order paid")
    registered = Counter(row.user for row in books.confirmations if row.trigger == "User registered")
    for order in set(answered.orders) | paid.keys():
        if paid[order] > 1 or (order in answered.orders and not paid[order]):
            yield f"The order {order} is confirmed {paid[order]} times."
    for user in set(answered.registered) | registered.keys():
        if registered[user] > 1 or (user in answered.registered and not registered[user]):
            yield f"The account of {user} is confirmed {registered[user]} times."


def _deliveries(books: Books) -> Iterator[str]:
    owed, there = Counter(books.owed), Counter((row.confirmation, row.subscription) for row in books.deliveries)
    for debt in owed.keys() | there.keys():
        if owed[debt] != there[debt]:
            yield f"Of confirmation {debt[0]} subscription {debt[1]} is owed {owed[debt]} and has {there[debt]} deliveries."
    for row in books.deliveries:
        if row.state != "delivered":
            yield f"The delivery {row.id} is {row.state}."


def _calls(answered: Answered, books: Books) -> Iterator[str]:
    bodies: dict[str, Counter[str]] = defaultdict(Counter)
    for call, body in answered.calls:
        bodies[call][body] += 1
    known = {row.id: row for row in books.deliveries}
    yield from (f"A callback {call} came that nobody owes." for call in bodies.keys() - known.keys())
    for row in books.deliveries:
        came = bodies[row.id].total()
        if row.state == "delivered" and not came:
            yield f"The delivery {row.id} never came, although it counts as delivered."
        if came > row.attempts:
            yield f"The delivery {row.id} came {came} times, of which {row.attempts} are in the books."
        if len(bodies[row.id]) > 1:
            yield f"The delivery {row.id} came with {len(bodies[row.id])} different bodies."


def _reading(reading: Reading, books: Books) -> Iterator[str]:
    """Compare with the topic: at least once, in order, without a hole, up to the head."""
    rows = (row for row in books.events if row.type in KNOWN and reading.topic in {None, row.partner})
    topic = sorted((row.seq, row.id) for row in rows if row.seq)
    due = topic[bisect_right(topic, reading.after, key=lambda each: each[0]) :]
    got = [(number, event) for number, event in reading.events]
    if got == due:
        return
    name = f"The reader of {reading.topic or 'everything'} from {reading.after} on"
    missing, strange = sorted(set(due) - set(got)), sorted(set(got) - set(due))
    if missing:
        yield f"{name} was not given {len(missing)} events, the first of them number {missing[0][0]}."
    if strange:
        yield f"{name} was given {len(strange)} events that are not there, the first of them number {strange[0][0]}."
    if not missing and not strange:
        yield f"{name} was given events twice or out of order: {_odd([number for number, _ in got])}"


def _totals(books: Books) -> Iterator[str]:
    for name, number in books.rows.items():
        if books.totals.get(name) != number:
            yield f"The totals say {books.totals.get(name)} {name}; the rows are {number}."
    yield from books.differences


def report(answered: Answered, books: Books, faults: list[str]) -> str:
    """Return the account in words."""
    read = sum(len(each.events) for each in answered.readings)
    lines = [
        f"{len(answered.visitors)} hits answered, {len(books.hits)} there",
        (
            f"{len(answered.registered)} accounts and {len(answered.orders)} orders answered, "
            f"{len(books.confirmations)} confirmations there"
        ),
        f"{len(answered.calls)} callbacks came for {len(books.deliveries)} deliveries",
        f"{read} events read by {len(answered.readings)} readers of a log of {books.head}",
        *(f"FAULT: {fault}" for fault in faults[:50]),
        f"{len(faults)} faults" if faults else "Nothing is lost, nothing is doubled.",
    ]
    return "\n".join(lines)


def main(path: str) -> int:
    """Judge a run again that has kept what was answered."""
    import django

    django.setup()
    from tests.faults.books import read_books

    answered, books = Answered.read(Path(path)), read_books()
    faults = find_faults(answered, books)
    sys.stdout.write(report(answered, books, faults) + "\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))

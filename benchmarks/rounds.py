"""Alternating rounds: every contender in turn, forwards and backwards, so that a slow minute hits all of them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

T = TypeVar("T")


def alternate(
    contenders: Mapping[str, Callable[[], T]], *, rounds: int, warm_up: Mapping[str, Callable[[], object]] | None = None
) -> dict[str, list[T]]:
    """Run the contenders in the orders A B C, C B A, ...; return every round of each, none left out.

    Args:
        contenders: by name, what runs one round of it and returns what was measured.
        rounds: how often each is run.
        warm_up: what warms each up, before the first round; default: one round that is not kept. An empty mapping:
            nothing has to be warmed up.
    """
    for warm in (contenders if warm_up is None else warm_up).values():
        warm()
    found: dict[str, list[T]] = {name: [] for name in contenders}
    for name in order(list(contenders), rounds=rounds):
        found[name].append(contenders[name]())
    return found


def order(names: list[str], *, rounds: int) -> Iterator[str]:
    """Give the names in the order in which they are run."""
    for number in range(rounds):
        yield from reversed(names) if number % 2 else names


def median(values: list[float]) -> float:
    """Return the middle of the rounds."""
    return statistics.median(values)


def spread(values: list[float]) -> float:
    """Return by how much the rounds differ: the whole range, as a part of the median."""
    middle = statistics.median(values)
    return (max(values) - min(values)) / middle if middle else 0.0

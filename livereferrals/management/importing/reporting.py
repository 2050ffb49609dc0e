"""What was read of each old table and what has become of it, in numbers that must add up (I-05)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

EXAMPLES: Final = 10
"""Ids that are shown of the rows with one and the same note."""


@dataclass(slots=True, kw_only=True)
class Noted:
    """How many rows a note is about, and the first of them."""

    count: int = 0
    examples: list[object] = field(default_factory=list)

    def add(self, key: object) -> None:
        """Count one more row."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(key)


@dataclass(slots=True, kw_only=True)
class Tally:
    """The rows of one old table."""

    table: str
    becomes: str
    """What is made of them, in the plural."""
    say: Callable[[str], None]
    """Prints a line; skipped rows are told of at once, so that no list of them is held."""
    read: int = 0
    imported: int = 0
    there: int = 0
    """Imported by an earlier run."""
    skipped: int = 0
    notes: dict[str, Noted] = field(default_factory=lambda: defaultdict(Noted))

    def skip(self, key: object, reason: str) -> None:
        """Count a row that is not imported, and say why."""
        self.skipped += 1
        self.say(f"{self.table} {key}: skipped: {reason}")

    def note(self, key: object, text: str) -> None:
        """Note what was changed about a row that is imported."""
        self.notes[text].add(key)

    @property
    def adds_up(self) -> bool:
        """Whether it is known of every row what has become of it."""
        return self.read == self.imported + self.there + self.skipped

    def facts(self) -> dict[str, int]:
        """Return the numbers by their names."""
        return {"read": self.read, "imported": self.imported, "there": self.there, "skipped": self.skipped}


@dataclass(slots=True, kw_only=True)
class Report:
    """The tallies of an import, in the order of its stages."""

    dry_run: bool
    say: Callable[[str], None]
    tallies: list[Tally] = field(default_factory=list)

    def tally(self, table: str, *, becomes: str) -> Tally:
        """Return a new tally."""
        made = Tally(table=table, becomes=becomes, say=self.say)
        self.tallies.append(made)
        return made

    def lines(self) -> Iterator[str]:
        """Return the report as text."""
        imported = "to import" if self.dry_run else "imported"
        for tally in self.tallies:
            yield (
                f"{tally.table} -> {tally.becomes}: {tally.read} read = {tally.imported} {imported} "
                f"+ {tally.there} already there + {tally.skipped} skipped"
                f"{'' if tally.adds_up else '  DOES NOT ADD UP'}"
            )
            for text, noted in tally.notes.items():
                examples = ", ".join(map(str, noted.examples))
                more = f" and {noted.count - EXAMPLES} more" if noted.count > EXAMPLES else ""
                yield f"    {noted.count} x {text}: {examples}{more}"
        if not any(tally.imported for tally in self.tallies):
            yield "There is nothing to import." if self.dry_run else "Nothing was added."
        elif self.dry_run:
            yield "Nothing was written."

    @property
    def adds_up(self) -> bool:
        """Whether all tallies do."""
        return all(tally.adds_up for tally in self.tallies)

"""Cursors: `<epoch>.<seq>`, a place in the log that a client can resume from (feed protocol, 4)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from livereferrals.exceptions import InvalidCursor

MAX_SEQ = 2**63 - 1
# ASCII only: `\d` would take full-width digits. `\Z`, because `$` lets a trailing newline through.
PATTERN = re.compile(r"([a-z0-9]{4,16})\.(0|[1-9][0-9]{0,18})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one epoch of the log: done with everything up to and including `seq`."""

    epoch: str
    seq: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor that `text` spells.

        Raises:
            InvalidCursor: it spells none.
        """
        found = PATTERN.match(text)
        if found is None or int(found[2]) > MAX_SEQ:
            raise InvalidCursor("A cursor looks like k3f9.1840: the log's epoch, a dot and a number.")
        return cls(found[1], int(found[2]))

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

"""The steps of `scenarios.json`, as messages of the feed.

A step is a list, its name first; numbers stand for cursors of the epoch k3f9:

- `hello {...}`: greet, with these fields changed. `caught_up cursor`. `heartbeat prev cursor`. `goodbye seconds`.
- `batch prev cursor [event, ...]`: an event is a number, or an object with `seq`, `type`, `v`, `data`.
- `error code {...}`: the `error` message and the end that belong to the code. `message {...}`, `raw text`, `binary`.
- `close code`, `cut`: ends. `silence`: says nothing until the client goes. `pause seconds`. `acked cursor`: waits for it.
- `http status {...}`: a bare status with these headers, in place of the connection. `hang_up`: no answer at all.
- `flood`: keeps sending heartbeats, also while the client closes.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GOLDEN: dict[str, Any] = json.loads((HERE / "frames.json").read_text(encoding="utf-8"))
PLAYED: dict[str, Any] = json.loads((HERE / "scenarios.json").read_text(encoding="utf-8"))
SCENARIOS: list[dict[str, Any]] = PLAYED["scenarios"]
STAGES: dict[str, list[list[Any]]] = PLAYED["stages"]
"""Scripts that are played by tests of their own."""
EXPECTED_CONNECTIONS = "The script has no more connections."

Step = list[Any]
Message = dict[str, Any]
Place = int | str


def cursor(value: Place) -> str:
    """Return the cursor that a script means."""
    return f"k3f9.{value}" if isinstance(value, int) else value


def event(value: int | str | Message) -> Message:
    """Return the event that a script means: a golden hit with some fields changed."""
    changes = dict(value) if isinstance(value, dict) else {"seq": value}
    place = cursor(changes.pop("seq"))
    name = uuid.uuid5(uuid.NAMESPACE_URL, place)
    golden: Message = GOLDEN["server"]["events"]["events"][0]
    return golden | {"cursor": place, "id": str(name)} | changes


def message(step: Step, *, asked: str) -> Message:
    """Return the message that a step sends to a client that asked for this place."""
    name, *values = step
    made: Message = MAKERS[name](*values, asked=asked) if name == "hello" else MAKERS[name](*values)
    return made


def _hello(changes: Message | None = None, *, asked: str) -> Message:
    golden = GOLDEN["server"]["hello"]
    at = asked if "." in asked else "k3f9.10"
    told: Message = golden | {"cursor": at, "newest": at} | (changes or {})
    return told | {"limits": golden["limits"] | told["limits"]}


def _batch(prev: Place, upto: Place, events: list[Any]) -> Message:
    listed = [event(one) for one in events]
    return {"type": "events", "prev": cursor(prev), "cursor": cursor(upto), "events": listed}


def _heartbeat(prev: Place, upto: Place) -> Message:
    golden: Message = GOLDEN["server"]["heartbeat"]
    return golden | {"prev": cursor(prev), "cursor": cursor(upto)}


def _error(code: str, changes: Message | None = None) -> Message:
    close = GOLDEN["endings"][code][0]
    about: Message = {"type": "error", "code": code, "message": "As the script says.", "close": close}
    return about | {"retry": close < 4500, "retry_after_s": None, "oldest": None, "newest": None} | (changes or {})


MAKERS: dict[str, Any] = {
    "hello": _hello,
    "batch": _batch,
    "heartbeat": _heartbeat,
    "error": _error,
    "caught_up": lambda place: {"type": "caught_up", "cursor": cursor(place)},
    "goodbye": lambda seconds: {"type": "goodbye", "reason": "restart", "retry_after_s": seconds},
    "message": dict,
}


@dataclass
class Asked:
    """One connection as the server saw it."""

    transport: str
    query: dict[str, str]
    authorization: str | None
    ticket: str | None
    acks: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    last: str = ""
    """The cursor of the last batch that was sent."""

    @property
    def is_acknowledged(self) -> bool:
        """Whether the client is done with every batch."""
        return not self.last or self.last in self.acks


@dataclass
class Run:
    """One run of a scenario by one client."""

    scripts: list[list[Step]]
    asked: list[Asked] = field(default_factory=list)
    tickets: int = 0
    used: set[str] = field(default_factory=set)
    next_script: int = 0
    polled: list[Step] | None = None
    """What is left of the script that polls are answered from."""

    def script(self) -> list[Step]:
        """Return the next connection's script."""
        if self.next_script >= len(self.scripts):
            return [["error", "protocol_error", {"message": EXPECTED_CONNECTIONS}]]
        self.next_script += 1
        return list(self.scripts[self.next_script - 1])

    @property
    def is_last(self) -> bool:
        """Whether no script follows."""
        return self.next_script >= len(self.scripts)

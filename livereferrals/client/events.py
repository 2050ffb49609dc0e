"""Events as the partner's program gets them (feed protocol, 5.4).

Match on the class to know what is in `data`; events of a type or version that this client does not know are plain `Event`s::

    match event:
        case ConfirmationEvent(data=data):
            book(data["reference"], data["amount"], data["currency"])
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

KNOWN_VERSION: Final = 1


class HitData(TypedDict):
    """Somebody followed a link."""

    hit: str
    visitor: str | None
    repeat: bool
    click_id: str | None
    subs: list[str | None]
    landing: str | None
    referrer_host: str | None
    device: str | None


class ClaimData(TypedDict):
    """A visitor logged in."""

    visitor: str | None
    user: str | None
    hits: int


class ConfirmationData(TypedDict):
    """A success; `amount` is a decimal number as text."""

    confirmation: str
    trigger: str
    hit: str | None
    visitor: str | None
    user: str | None
    click_id: str | None
    subs: list[str | None]
    reference: str | None
    amount: str | None
    currency: str | None


class ReversalData(TypedDict):
    """A success taken back, in whole or in part."""

    confirmation: str
    trigger: str
    reference: str | None
    click_id: str | None
    subs: list[str | None]
    reason: str | None
    amount: str | None
    currency: str | None
    partial: bool


class DeliveryData(TypedDict):
    """What became of a callback, or of its endpoint."""

    delivery: str | None
    confirmation: str | None
    trigger: str | None
    outcome: str
    reason: str | None
    attempt: int | None
    status: int | None
    next_at: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The link that an event is about."""

    id: str
    identifier: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event. Of this very class only if its type or version is not known here."""

    cursor: str
    """Its place in the log. Whoever stores it has handled everything up to it, itself included."""
    id: str
    """UUID; the key to spot an event that comes twice."""
    type: str
    v: int
    time: str
    """When it happened, RFC 3339; not in the order of cursors. `moment` is the same as a `datetime`."""
    partner: str | None
    link: Link | None
    data: Any
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    """The whole object as it came, fields unknown to this client included."""

    @property
    def moment(self) -> datetime:
        """When it happened."""
        return datetime.fromisoformat(self.time)


@dataclass(frozen=True, slots=True, kw_only=True)
class HitEvent(Event):
    """Somebody followed a link."""

    data: HitData


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimEvent(Event):
    """A visitor logged in."""

    data: ClaimData


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmationEvent(Event):
    """A success: a sign-up, an order."""

    data: ConfirmationData


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalEvent(Event):
    """A success taken back."""

    data: ReversalData


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryEvent(Event):
    """What became of a callback."""

    data: DeliveryData


CLASSES: Final[Mapping[str, type[Event]]] = {
    "hit": HitEvent,
    "claim": ClaimEvent,
    "confirmation": ConfirmationEvent,
    "reversal": ReversalEvent,
    "delivery": DeliveryEvent,
}


def event_of(raw: Mapping[str, Any]) -> Event:
    """Return the event that an object of the wire is; the cursor has been checked.

    What is missing or odd in an event of an unknown version is no reason to stop: its `raw` has everything.
    """
    version = raw.get("v", KNOWN_VERSION)
    kind = CLASSES.get(str(raw.get("type")), Event) if version == KNOWN_VERSION else Event
    return kind(
        cursor=raw["cursor"],
        id=raw.get("id", ""),
        type=raw.get("type", ""),
        v=version,
        time=raw.get("time", ""),
        partner=raw.get("partner"),
        link=_link(raw.get("link")),
        data=raw.get("data"),
        raw=raw,
    )


def _link(value: object) -> Link | None:
    if not isinstance(value, dict) or "id" not in value:
        return None
    return Link(id=value["id"], identifier=value.get("identifier", ""))

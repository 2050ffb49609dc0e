"""Which value of a batch goes into which column of visitors, hits and events.

The columns are those of the models: one that is added there and has no place here is an error, not a silent default.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from livereferrals.events.models import Event, EventType
from livereferrals.exceptions import LiveReferralsError
from livereferrals.tracking.models import Origin, ReferralHit, Visitor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.db.models import Field, Model


class Fixed(NamedTuple):
    """The same value in every row."""

    value: str | bool | None

    @property
    def sql(self) -> str:
        """The value as a literal, which both databases read alike."""
        if self.value is None:
            return "NULL"
        return f"'{self.value}'" if isinstance(self.value, str) else str(self.value).upper()


VISITOR: Final[Mapping[str, str | Fixed]] = {
    "id": "visitor",
    "user_id": Fixed(None),
    "claimed_at": Fixed(None),
    "legacy_id": Fixed(None),
    "created_at": "at",
}
HIT: Final[Mapping[str, str | Fixed]] = {
    "id": "hit",
    "link_id": "link",
    "partner_id": "partner",
    "visitor_id": "visitor",
    # Whoever is logged in goes the plain way, where a visitor may have to be claimed first.
    "user_id": Fixed(None),
    "authenticated": Fixed(value=False),
    "self_referral": Fixed(value=False),
    "created_at": "at",
    "entry_url": "entry_url",
    "user_agent": "user_agent",
    "referer": "referer",
    "click_id": "click_id",
    "sub1": "sub1",
    "sub2": "sub2",
    "sub3": "sub3",
    "sub4": "sub4",
    "sub5": "sub5",
    "ip": "ip",
    "device": "device",
    "repeat": "repeat",
    "bot": "bot",
    "flagged_by": "flagged_by",
    "no_consent": "no_consent",
    "confirmed_at": Fixed(None),
    "origin": Fixed(str(Origin.WEB)),
}
EVENT: Final[Mapping[str, str | Fixed]] = {
    "id": "event",
    "seq": "seq",
    "type": Fixed(str(EventType.HIT)),
    "occurred_at": "at",
    "numbered_at": "stamp",
    "partner": "partner_uid",
    "link": "link",
    "link_identifier": "link_identifier",
    "visitor": "visitor",
    "user": Fixed(""),
    "data": "data",
}
PLACES: Final[Mapping[type[Model], Mapping[str, str | Fixed]]] = {Visitor: VISITOR, ReferralHit: HIT, Event: EVENT}
"""The tables of a batch, in the order in which they are written."""


class MisplacedColumnError(LiveReferralsError):
    """A model and its places in the batch do not have the same columns."""


def columns(model: type[Model]) -> list[tuple[Field[Any, Any], str | Fixed]]:
    """Return each column of the model with what goes there.

    Raises:
        MisplacedColumnError: a column has no place, or a place no column.
    """
    places = PLACES[model]
    fields = model._meta.concrete_fields
    if odd := {field.attname for field in fields} ^ set(places):
        raise MisplacedColumnError(f"{model.__name__}: {', '.join(sorted(odd))}: columns and places differ.")
    return [(field, places[field.attname]) for field in fields]

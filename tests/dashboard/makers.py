"""Rows of the log with the data that feed-protocol 5.4 prescribes, and people with rights."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import Permission
from django.utils import timezone

from livereferrals import ids
from livereferrals.events.models import EventType
from livereferrals.tracking import amounts
from tests.factories import make_confirmation, make_entry, make_event, make_hit, make_link, make_user

if TYPE_CHECKING:
    from datetime import datetime

    from django.contrib.auth.models import User

    from livereferrals.events import log
    from livereferrals.events.models import Event
    from livereferrals.tracking.models import Confirmation, ReferralLink


def make_viewer(*codenames: str, **overrides: Any) -> User:
    """Make a user who has the named permissions, `view_dashboard` where none is named, and no staff flag."""
    user = make_user(**overrides)
    user.user_permissions.set(permissions(*(codenames or ("view_dashboard",))))
    return user


def permissions(*codenames: str) -> list[Permission]:
    """Return the permissions of these codenames."""
    return list(Permission.objects.filter(codename__in=codenames))


def hit(link: ReferralLink | None = None, *, at: datetime | None = None, repeat: bool = False, **data: Any) -> Event:
    """Write a hit's event."""
    link = link or make_link()
    values = {"repeat": repeat, "landing": "/pricing/", "device": "desktop", "visitor": str(ids.new_uuid())} | data
    return _event(EventType.HIT, link, at=at, data=values)


def claim(link: ReferralLink, *, at: datetime | None = None, hits: int = 1) -> Event:
    """Write a claim's event, which has no link."""
    return make_event(
        type=EventType.CLAIM,
        occurred_at=at or timezone.now(),
        partner=link.partner.uid if link.partner else "",
        data={"visitor": str(ids.new_uuid()), "user": "u_abc", "hits": hits},
    )


def confirmed(
    link: ReferralLink, *, at: datetime | None = None, amount: str | None = None, currency: str = "", **data: Any
) -> Confirmation:
    """Make a confirmation and write its event."""
    moment = at or timezone.now()
    values: dict[str, Any] = {"hit": make_hit(link=link), "occurred_at": moment}
    if amount is not None:
        values |= {"amount_micros": amounts.parse_amount(amount, currency), "currency": currency}
    confirmation = make_confirmation(**values)
    _event(EventType.CONFIRMATION, link, at=moment, data=_confirmation_data(confirmation) | data)
    return confirmation


def reversed_(
    confirmation: Confirmation, *, at: datetime | None = None, amount: str | None = None, partial: bool = False
) -> Event:
    """Write the event of a reversal, of the whole confirmation where no amount is given."""
    data = _confirmation_data(confirmation) | {"reason": "refund", "partial": partial}
    if amount is not None:
        data["amount"] = amount
    return _event(EventType.REVERSAL, confirmation.hit.link, at=at, data=data)


def delivered(link: ReferralLink, *, outcome: str = "delivered", status: int | None = 200) -> Event:
    """Write the event of a delivery's outcome."""
    data = {"delivery": str(ids.new_uuid()), "trigger": "Order paid", "outcome": outcome, "status": status}
    return _event(EventType.DELIVERY, link, at=None, data=data)


def _event(kind: EventType, link: ReferralLink, *, at: datetime | None, data: dict[str, Any]) -> Event:
    return make_event(
        type=kind,
        occurred_at=at or timezone.now(),
        partner=link.partner.uid if link.partner else "",
        link=link.pk,
        link_identifier=link.identifier,
        data=data,
    )


def _confirmation_data(confirmation: Confirmation) -> dict[str, Any]:
    return {
        "confirmation": str(confirmation.pk),
        "trigger": confirmation.trigger,
        "hit": str(confirmation.hit_id),
        "reference": confirmation.reference,
        "amount": amounts.canonical_amount(confirmation.amount_micros, confirmation.currency),
        "currency": confirmation.currency or None,
    }


class _Metrics(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if values.get("data-metric"):
            self.found[values["data-metric"] or ""] = values.get("data-value") or ""


def metrics(markup: str) -> dict[str, str]:
    """Return every `data-value` of the markup by its `data-metric`."""
    parser = _Metrics()
    parser.feed(markup)
    return parser.found


def cursor_of(markup: str) -> str:
    """Return the cursor that the markup's `#cursor` element carries."""
    found = re.search(r'<data id="cursor" value="([^"]+)"', markup)
    assert found is not None, markup
    return found[1]


def period_of(markup: str) -> str:
    """Return the name of the span that the markup's numbers are of."""
    found = re.search(r'data-period="([^"]+)"', markup)
    assert found is not None, markup
    return found[1]


def filter_of(markup: str) -> str:
    """Return the hash of the filters that the markup was made under."""
    found = re.search(r'<data id="cursor"[^>]* data-filter="([^"]+)"', markup)
    assert found is not None, markup
    return found[1]


def rows_of(markup: str) -> list[str]:
    """Return the markup of each row of the live list, byte for byte."""
    return re.findall(r'<tr id="event-.*?</tr>', markup, re.DOTALL)


def regions_of(frame: str) -> dict[str, str]:
    """Return the regions that a frame brings, by their ids: those alone that have changed since the frame before."""
    begins = list(re.finditer(r'<\w+ id="([^"]+)"[^>]* hx-swap-oob="morph"', frame))
    ends = [found.start() for found in begins[1:]] + [len(frame)]
    return {found[1]: frame[found.start() : end] for found, end in zip(begins, ends, strict=True)}


def region(markup: str, name: str) -> str:
    """Return the markup of the counters' region."""
    found = re.search(rf'<dl id="{name}".*?</dl>', markup, re.DOTALL)
    assert found is not None, markup
    return found[0]


def hit_entry(link: ReferralLink) -> log.Entry:
    """Return the entry of a hit, to be appended by the test."""
    partner = link.partner.uid if link.partner else ""
    return make_entry(partner=partner, link=link.pk, link_identifier=link.identifier, data={"repeat": False})

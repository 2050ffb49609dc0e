"""Some of everything, with names that are long and hostile, and where each page of the dashboard is then."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from django.urls import NoReverseMatch
from django.utils import timezone

from livereferrals.callbacks.models import DeliveryAttempt
from livereferrals.dashboard import catalogue
from livereferrals.dashboard.addresses import address
from tests.dashboard import makers
from tests.factories import make_delivery, make_link, make_partner, make_subscription, make_visitor

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Delivery
    from livereferrals.tracking.models import Confirmation

LONG: Final = "Donaudampfschifffahrtsgesellschaft & Söhne, <b>Wien</b>"
NASTY: Final = "<script>alert(1)</script><img src=x onerror=alert(2)>"
PAGES: Final = tuple(page.name for page in catalogue.PAGES)


def fill() -> dict[str, Any]:
    """Write the rows; return what each page is about that is about something."""
    partner = make_partner(name=LONG)
    link = make_link(partner=partner, identifier="a-rather-long-identifier-of-a-campaign")
    for _ in range(5):
        makers.hit(link)
    makers.hit(make_link(owner="house"), repeat=True)
    makers.claim(link, hits=2)
    confirmation = makers.confirmed(link, amount="1234567.89", currency="EUR")
    makers.confirmed(link, amount="80.00", currency="USD")
    makers.reversed_(confirmation, amount="34.89", partial=True)
    makers.delivered(link)
    makers.delivered(link, outcome="dead", status=500)
    delivery = _delivery(confirmation)
    return {
        "partner": partner.uid,
        "link": link.pk,
        "visitor": confirmation.visitor_id or make_visitor().pk,
        "confirmation": confirmation.pk,
        "delivery": delivery.pk,
        "endpoint": delivery.subscription.uid,
    }


def _delivery(confirmation: Confirmation) -> Delivery:
    """Make a delivery that has failed once and is tried again tomorrow."""
    url = f"https://partner.example/{'callback/' * 12}?confirmation={{confirmation_id}}"
    subscription = make_subscription(partner=confirmation.partner, callback_url=url)
    later = timezone.now() + timedelta(days=1)
    row = make_delivery(
        subscription=subscription, confirmation=confirmation, due_at=later, attempts=1, last_outcome="server_error"
    )
    DeliveryAttempt.objects.create(
        delivery=row, number=1, started_at=timezone.now(), outcome="server_error", status=503, duration_ms=81,
        response_headers=[["X-Evil", NASTY]], response_excerpt=NASTY + "x" * 4000, request_url=url, error=NASTY,
    )  # fmt: skip
    return row


def paths(about: dict[str, Any], *, names: tuple[str, ...] = PAGES) -> dict[str, str]:
    """Return where each of these pages is, by its name."""
    return {name: _path(name, about) for name in names}


def is_unbound(name: str) -> bool:
    """Whether the page is about nothing in particular, so that it is there in an empty database too."""
    try:
        return bool(address(name))
    except NoReverseMatch:
        return False


def _path(name: str, about: dict[str, Any]) -> str:
    if is_unbound(name):
        return address(name)
    assert name in about, f"Say in {__name__}.fill what the page {name!r} can be about."
    return address(name, about[name])

"""All that is stored about one user, in words that a person can follow (Y-06)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy

from livereferrals.callbacks.models import Delivery
from livereferrals.events.models import Event
from livereferrals.tracking.amounts import canonical_amount
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Reversal, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable
    from datetime import datetime

ABOUT = gettext_lazy(
    "This is everything that the referral programme of this site stores about you: the browsers that we knew you by, the "
    "referral links that you followed, what you did afterwards that a partner was credited for, and what partners were told."
)


def export_user(user: Any) -> dict[str, Any]:
    """Return the rows about the user, as values that JSON knows: times in RFC 3339, amounts as text. Eight queries."""
    visitors = list(Visitor.objects.filter(user=user.pk).order_by("created_at"))
    whose = Q(user=user.pk) | Q(visitor__in=[visitor.pk for visitor in visitors])
    hits = ReferralHit.objects.filter(whose).select_related("link", "partner").order_by("created_at")
    confirmations = list(Confirmation.objects.filter(whose).select_related("partner").order_by("occurred_at"))
    ids = [confirmation.pk for confirmation in confirmations]
    events = Event.objects.filter(Q(user=str(user.pk)) | Q(visitor__in=[visitor.pk for visitor in visitors]))
    return {
        "about": str(ABOUT),
        "made_at": _time(timezone.now()),
        "browsers": [_browser(visitor) for visitor in visitors],
        "links_followed": [_hit(hit) for hit in hits],
        "successes_credited_to_partners": _confirmations(confirmations, reversals=_reversals(ids)),
        "calls_to_partners": [_delivery(delivery) for delivery in _deliveries(ids)],
        "events_kept_for_partners": [_event(event) for event in events.order_by("occurred_at", "pk")],
        "your_own_links": [_link(link) for link in ReferralLink.objects.filter(user=user.pk).order_by("created_at")],
        "partners_you_log_in_for": [partner.name for partner in Partner.objects.filter(user=user.pk)],
    }


def _browser(visitor: Visitor) -> dict[str, Any]:
    return {
        "id_in_the_cookie": str(visitor.pk),
        "first_seen": _time(visitor.created_at),
        "known_as_yours_since": _time(visitor.claimed_at),
    }


def _hit(hit: ReferralHit) -> dict[str, Any]:
    return {
        "time": _time(hit.created_at),
        "link": hit.link.identifier,
        "partner": _name(hit.partner),
        "page_it_led_to": hit.entry_url,
        "page_you_came_from": hit.referer,
        "kind_of_device": hit.device,
        "browser_name": hit.user_agent,
        "internet_address": hit.ip,
        "click_number_of_the_partner": hit.click_id,
        "marks_of_the_partner": [sub for sub in hit.subs if sub],
        "browser_id": _text(hit.visitor_id),
        "logged_in_at_the_time": hit.authenticated,
    }


def _confirmations(
    found: Iterable[Confirmation], *, reversals: dict[uuid.UUID, list[Reversal]]
) -> list[dict[str, Any]]:
    return [
        {
            "time": _time(confirmation.occurred_at),
            "what": confirmation.trigger,
            "partner": _name(confirmation.partner),
            "number": confirmation.reference,
            "amount": canonical_amount(confirmation.amount_micros, confirmation.currency),
            "currency": confirmation.currency or None,
            "stored_with_it": confirmation.extra,
            "taken_back": [
                {
                    "time": _time(reversal.created_at),
                    "reason": reversal.reason,
                    "amount": canonical_amount(reversal.amount_micros, confirmation.currency),
                }
                for reversal in reversals[confirmation.pk]
            ],
        }
        for confirmation in found
    ]


def _delivery(delivery: Delivery) -> dict[str, Any]:
    return {
        "partner": delivery.subscription.partner.name,
        "about": delivery.subscription.trigger,
        "planned": _time(delivery.created_at),
        "ended": _time(delivery.finished_at),
        "state": delivery.state,
        "what_it_says": delivery.payload,
    }


def _event(event: Event) -> dict[str, Any]:
    return {"time": _time(event.occurred_at), "kind": event.type, "what_it_says": event.data}


def _link(link: ReferralLink) -> dict[str, Any]:
    return {"link": link.identifier, "name": link.name, "leads_to": link.target, "made": _time(link.created_at)}


def _deliveries(confirmations: list[uuid.UUID]) -> Iterable[Delivery]:
    mine = Delivery.objects.filter(confirmation__in=confirmations)
    return mine.select_related("subscription__partner").order_by("created_at")


def _reversals(confirmations: list[uuid.UUID]) -> dict[uuid.UUID, list[Reversal]]:
    found: defaultdict[uuid.UUID, list[Reversal]] = defaultdict(list)
    for reversal in Reversal.objects.filter(confirmation__in=confirmations).order_by("created_at"):
        found[reversal.confirmation_id].append(reversal)
    return found


def _name(partner: Partner | None) -> str | None:
    return None if partner is None else partner.name


def _text(pk: object) -> str | None:
    return None if pk is None else str(pk)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

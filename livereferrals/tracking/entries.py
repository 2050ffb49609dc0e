"""The log's entries for what is tracked, with exactly the `data` that partners get (feed protocol, 5.4)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urlsplit

from livereferrals.events import log, wire
from livereferrals.events.log import Entry
from livereferrals.events.models import EventType
from livereferrals.tracking.amounts import canonical_amount

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, Reversal, Visitor


def hit_entry(hit: ReferralHit) -> Entry:
    """Return the entry of a hit. No query when its link and partner are loaded."""
    return Entry(
        type=EventType.HIT,
        occurred_at=hit.created_at,
        **_place(hit),
        visitor=hit.visitor_id,
        user=_text(hit.user_id),
        data={
            "hit": str(hit.pk),
            "visitor": _name(hit.visitor_id),
            "repeat": hit.repeat,
            **_own_ids(hit),
            "landing": landing(hit.entry_url),
            "referrer_host": referrer_host(hit.referer),
            "device": hit.device,
        },
    )


def claim_entries(
    *, visitor: Visitor, user: AbstractBaseUser, hits: Sequence[ReferralHit], now: datetime
) -> list[Entry]:
    """Return one entry for each partner whose hits were tied, and one for all links without a partner.

    The hits' partners are loaded. One query where there are links without a partner.
    """
    partners = {hit.partner_id: hit.partner for hit in hits}
    counts = Counter(hit.partner_id for hit in hits)
    return [
        Entry(
            type=EventType.CLAIM,
            occurred_at=now,
            partner=partner.uid if partner is not None else "",
            visitor=visitor.pk,
            user=_text(user.pk),
            data={
                "visitor": str(visitor.pk),
                "user": _user(user.pk, partner=partner),
                "hits": counts[partner_id],
            },
        )
        for partner_id, partner in partners.items()
    ]


def confirmation_entry(confirmation: Confirmation) -> Entry:
    """Return the entry of a confirmation. No query when its hit, link and partner are loaded, but for the house's."""
    hit = confirmation.hit
    return Entry(
        type=EventType.CONFIRMATION,
        occurred_at=confirmation.occurred_at,
        **_place(hit),
        visitor=confirmation.visitor_id,
        user=_text(confirmation.user_id),
        data={
            "confirmation": str(confirmation.pk),
            "trigger": confirmation.trigger,
            "hit": str(hit.pk),
            "visitor": _name(confirmation.visitor_id),
            "user": _user(confirmation.user_id, partner=confirmation.partner),
            **_own_ids(hit),
            "reference": confirmation.reference,
            "amount": canonical_amount(confirmation.amount_micros, confirmation.currency),
            "currency": confirmation.currency or None,
        },
    )


def reversal_entry(reversal: Reversal) -> Entry:
    """Return the entry of a reversal. No query when its confirmation, hit, link and partner are loaded."""
    confirmation = reversal.confirmation
    hit = confirmation.hit
    return Entry(
        type=EventType.REVERSAL,
        occurred_at=reversal.created_at,
        **_place(hit),
        visitor=confirmation.visitor_id,
        user=_text(confirmation.user_id),
        data={
            "confirmation": str(confirmation.pk),
            "trigger": confirmation.trigger,
            "reference": confirmation.reference,
            **_own_ids(hit),
            "reason": reversal.reason,
            "amount": canonical_amount(reversal.amount_micros, confirmation.currency),
            "currency": confirmation.currency or None,
            "partial": reversal.partial,
        },
    )


def landing(entry_url: str) -> str | None:
    """Return the path of the page that the hit led to, without query and host, or nothing."""
    return _split(entry_url).path or None


def referrer_host(referer: str) -> str | None:
    """Return the host of the page that the visitor came from, or nothing where it names none."""
    return _split(referer).hostname


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:  # "http://[x": text from outside
        return urlsplit("")


def _place(hit: ReferralHit) -> dict[str, Any]:
    """Return whose topics the event belongs to."""
    return {
        "partner": hit.partner.uid if hit.partner is not None else "",
        "link": hit.link_id,
        "link_identifier": hit.link.identifier,
    }


def _own_ids(hit: ReferralHit) -> dict[str, Any]:
    """Return the partner's own ids, as they came in the link's query; what was not given is null."""
    return {"click_id": hit.click_id or None, "subs": [sub or None for sub in hit.subs]}


def _user(user_pk: object, *, partner: Partner | None) -> str | None:
    """Return the opaque name of a user towards one partner, or towards the house."""
    if user_pk is None:
        return None
    key = partner.user_key if partner is not None else log.load_log().house_key
    return wire.user_hash(str(user_pk), key=key)


def _text(pk: object) -> str:
    return "" if pk is None else str(pk)


def _name(pk: object) -> str | None:
    return None if pk is None else str(pk)

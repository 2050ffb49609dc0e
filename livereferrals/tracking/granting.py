"""Consent that is given after the follow: the hit becomes a visitor's (V-19)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import router, transaction

from livereferrals.tracking import claiming, judging, recording
from livereferrals.tracking.models import ReferralHit, Visitor

if TYPE_CHECKING:
    import uuid
    from datetime import datetime


def grant(hit_id: uuid.UUID, *, visitor_id: uuid.UUID | None, user: Any, now: datetime) -> Visitor | None:
    """Tie a hit that was made without consent to a visitor, and return that; nothing where there is no such hit any more.

    Each hit is granted once, whoever comes with a copy of the address. One transaction. What was not kept of the request
    then is not made up for, and its event stays as partners have read it: of nobody.

    Args:
        hit_id: the hit.
        visitor_id: the visitor that the browser carries by now, if any; one that is somebody else's is not taken (V-12).
        user: who is logged in, or nobody; the visitor is theirs then.
        now: the time of the answer.
    """
    using = router.db_for_write(ReferralHit)
    with transaction.atomic(using=using):
        # Visitors are locked before hits, as everywhere.
        visitors = Visitor.objects.using(using).select_for_update(no_key=True)
        known = None if visitor_id is None else visitors.filter(pk=visitor_id).first()
        rows = ReferralHit.objects.using(using).select_for_update(no_key=True, of=("self",))
        ungranted = rows.filter(pk=hit_id, no_consent=True, visitor__isnull=True)
        hit = ungranted.select_related("link", "partner").first()
        if hit is None:
            return None
        visitor = recording.usable(known, user=user, now=now) or recording.new_visitor(user=user, now=now)
        hit.visitor, hit.user, hit.no_consent = visitor, user, False
        if user is not None:
            owners = claiming.owners(hit.link, hit.partner)
            hit.self_referral = judging.rules().self_referral(user.pk, owners=owners)
        hit.save(update_fields=["visitor", "user", "no_consent", "self_referral"])
    return visitor

"""Claiming: a visitor's hits become a user's, at login."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.utils import timezone

from livereferrals.events import log
from livereferrals.signals import referral_claimed
from livereferrals.tracking import screening, visitors
from livereferrals.tracking.entries import claim_entries
from livereferrals.tracking.models import Confirmation, ReferralHit, Visitor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import Partner, ReferralLink

logger = logging.getLogger(__name__)


def claim(visitor: Visitor, *, user: Any, now: datetime) -> bool:
    """Tie the visitor, its hits and its confirmations to the user; say whether this call did it.

    A visitor is claimed once: of two calls at once, one does it. One transaction; the visitor given is brought up to
    date. One claim event for each partner, and one for the links without; `referral_claimed` is sent after the commit.
    """
    with transaction.atomic(using=router.db_for_write(Visitor)):
        free = Visitor.objects.filter(pk=visitor.pk, user__isnull=True, claimed_at__isnull=True)
        if not free.update(user=user, claimed_at=now):
            return False
        hits = _claim_hits(visitor, user=user)
        _claim_confirmations(visitor, user=user)
        if hits:
            log.append_all(claim_entries(visitor=visitor, user=user, hits=hits, now=now))
        visitor.user, visitor.claimed_at = user, now
        _tell_after_commit(visitor, user=user, hits=hits)
    return True


def claim_at_login(sender: object, *, request: HttpRequest | None, user: Any, **kwargs: Any) -> None:
    """Claim the visitor of the browser that has just logged in: the receiver of `user_logged_in`.

    Nothing is claimed without a request (C-10), and a visitor that the cookie says is claimed costs no query.
    """
    try:
        _claim_carried(request, user=visitors.person(user))
    except Exception:
        # The host's login must not fail for our sake (C-13); the savepoint has left its transaction usable.
        logger.exception("A visitor could not be claimed at login.", extra={"action": "claim.failed"})


def _claim_carried(request: HttpRequest | None, *, user: AbstractBaseUser | None) -> None:
    carried = visitors.carried(request) if request is not None else None
    if carried is None or carried.claimed or user is None:
        return
    referral = getattr(request, "referral", None)
    visitor = Visitor.objects.filter(pk=carried.id).first() if referral is None else referral.visitor
    if visitor is None or not claim(visitor, user=user, now=timezone.now()) or referral is None:
        return
    referral.choose_anew()
    # Not before the commit: a login that rolls back leaves the visitor, and its cookie, as they were (C-12).
    transaction.on_commit(referral.renew, using=router.db_for_write(Visitor))


def owners(link: ReferralLink, partner: Partner | None) -> tuple[object | None, ...]:
    """Return the primary keys of the users whose link it is: its own, and its partner's login (L-37, L-38)."""
    return (link.user_id, partner.user_id if partner is not None else None)


def _claim_hits(visitor: Visitor, *, user: Any) -> list[ReferralHit]:
    """Give the visitor's hits to the user, flag those of its own links, and return them."""
    mine = ReferralHit.objects.filter(visitor=visitor, user__isnull=True)
    hits = list(mine.select_related("link", "partner").order_by("created_at", "pk"))
    mine.update(user=user)
    for hit in hits:
        hit.user = user
        hit.visitor = visitor
        hit.self_referral |= screening.is_self_referral(user.pk, owners=owners(hit.link, hit.partner))
    own = [hit.pk for hit in hits if hit.self_referral]
    if own:
        ReferralHit.objects.filter(pk__in=own).update(self_referral=True)
    return hits


def _claim_confirmations(visitor: Visitor, *, user: Any) -> None:
    """Give the visitor's confirmations to the user (C-17).

    One that the user has already, of a trigger that confirms a person once, keeps standing and gives up the mark:
    both happened, and the constraint allows one marked row for a user.
    """
    mine = Confirmation.objects.filter(visitor=visitor, user__isnull=True)
    once = _standing_once(mine)
    twice = once and once & _standing_once(Confirmation.objects.filter(user=user, trigger__in=once))
    if twice:
        mine.filter(once=True, trigger__in=twice).update(once=False)
    mine.update(user=user)


def _standing_once(confirmations: Any) -> set[str]:
    return set(confirmations.filter(once=True, reversed_at__isnull=True).values_list("trigger", flat=True))


def _tell_after_commit(visitor: Visitor, *, user: AbstractBaseUser, hits: Iterable[ReferralHit]) -> None:
    def tell() -> None:
        referral_claimed.send_robust(Visitor, visitor=visitor, user=user, hits=list(hits))

    transaction.on_commit(tell, using=router.db_for_write(Visitor), robust=True)

"""Claiming: a visitor's hits become a user's, at login."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import router, transaction
from django.utils import timezone

from livereferrals.events import log
from livereferrals.signals import referral_claimed
from livereferrals.tracking import judging, visitors
from livereferrals.tracking.entries import claim_entries
from livereferrals.tracking.lost_transactions import is_lost
from livereferrals.tracking.models import Confirmation, Origin, ReferralHit, Visitor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import Partner, ReferralLink
    from livereferrals.tracking.referral import Referral

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
    if request is None:
        return
    alias = router.db_for_write(Visitor)
    was_lost = is_lost(alias)
    try:
        _settle(request)
        _claim_carried(request, user=visitors.person(user))
    except Exception:
        if is_lost(alias) and not was_lost:
            raise  # what the host has saved is gone too, and nobody else would tell it
        # The host's login must not fail for our sake (C-13); the savepoint has left its transaction usable.
        logger.exception("A visitor could not be claimed at login.", extra={"action": "claim.failed"})


def is_left_to_claim(request: HttpRequest) -> bool:
    """Whether somebody is logged in here whose browser carries an unclaimed visitor, as far as is known (C-11). No query.

    Not after a login in this request: that has claimed, or was rolled back (C-12).
    """
    if _referral(request).settled:
        return False
    return visitors.seen_person(request) is not None and visitors.is_unclaimed(request)


def claim_on_the_way_out(request: HttpRequest) -> None:
    """Claim the visitor of somebody who logged in without the signal: tokens, JWT (C-11). Two queries more than a claim."""
    try:
        user = visitors.seen_person(request)
        if user is None or not get_user_model()._base_manager.filter(pk=user.pk).exists():
            return  # deleted by the host's view (C-19)
        _claim_carried(request, user=user)
        referral = _referral(request)
        if referral.visitor is not None and referral.visitor.claimed_at is not None:
            referral.renew()  # also where it was claimed meanwhile: the browser shall know
    except Exception:
        # The host's answer is made and must not be lost for our sake (C-13).
        logger.exception("A visitor could not be claimed.", extra={"action": "claim.failed"})


def _claim_carried(request: HttpRequest, *, user: AbstractBaseUser | None) -> None:
    if user is None:
        return
    _claim_imported(request, user=user)
    carried = visitors.carried(request)
    if carried is None or carried.claimed:
        return
    referral = getattr(request, "referral", None)
    visitor = Visitor.objects.filter(pk=carried.id).first() if referral is None else referral.visitor
    if visitor is None or not claim(visitor, user=user, now=timezone.now()) or referral is None:
        return
    referral.choose_anew()
    # Not before the commit: a login that rolls back leaves the visitor, and its cookie, as they were (C-12).
    transaction.on_commit(referral.renew, using=router.db_for_write(Visitor))


def _claim_imported(request: HttpRequest, *, user: AbstractBaseUser) -> None:
    """Claim the visitor of the imported hit that django-hype's cookie names (C-18). One query where there is one."""
    hit_id = visitors.old_hit(request)
    if hit_id is None:
        return
    imported = ReferralHit.objects.filter(pk=hit_id, origin=Origin.IMPORT, visitor__isnull=False)
    hit = imported.select_related("visitor").first()
    if hit is None or hit.visitor is None:
        return
    claim(hit.visitor, user=user, now=timezone.now())
    if hasattr(request, "referral"):
        transaction.on_commit(_referral(request).use_up_old_cookie, using=router.db_for_write(Visitor))


def _settle(request: HttpRequest) -> None:
    if hasattr(request, "referral"):
        _referral(request).settle()


def _referral(request: HttpRequest) -> Referral:
    found: Referral = request.referral  # type: ignore[attr-defined] # ours
    return found


def owners(link: ReferralLink, partner: Partner | None) -> tuple[object | None, ...]:
    """Return the primary keys of the users whose link it is: its own, and its partner's login (L-37, L-38)."""
    return (link.user_id, partner.user_id if partner is not None else None)


def _claim_hits(visitor: Visitor, *, user: Any) -> list[ReferralHit]:
    """Give the visitor's hits to the user, flag those of its own links, and return them."""
    mine = ReferralHit.objects.filter(visitor=visitor, user__isnull=True)
    hits = list(mine.select_related("link", "partner").order_by("created_at", "pk"))
    mine.update(user=user)
    is_self_referral = judging.rules().self_referral
    for hit in hits:
        hit.user = user
        hit.visitor = visitor
        hit.self_referral |= is_self_referral(user.pk, owners=owners(hit.link, hit.partner))
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

"""Recording one hit: visitor, hit and event in one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import router, transaction
from django.db.models import OuterRef, Subquery
from django.utils import timezone

from livereferrals import conf, ids
from livereferrals.events import log
from livereferrals.signals import hit_recorded
from livereferrals.tracking import claiming, judging, kept, visitors
from livereferrals.tracking.entries import hit_entry
from livereferrals.tracking.models import Origin, ReferralHit, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from livereferrals.tracking.models import ReferralLink


def record_hit(
    link: ReferralLink,
    *,
    visitor: Visitor | uuid.UUID | None = None,
    user: Any = None,
    now: datetime | None = None,
    entry_url: str = "",
    user_agent: str = "",
    referer: str = "",
    ip: str | None = None,
    click_id: str = "",
    subs: Sequence[str] = (),
    origin: Origin = Origin.WEB,
    bot: bool = False,
    flagged_by: str = "",
    consent: bool = True,
    hit_id: uuid.UUID | None = None,
) -> ReferralHit:
    """Record that somebody followed the link; the hit comes with its link, partner and visitor loaded.

    One transaction, at most four statements: the visitor is read and locked if there may be one, else or if it cannot
    be used inserted; hit and event are inserted. `hit_recorded` is sent after the commit.

    Args:
        link: the link with its partner loaded; whether it may be followed has been asked before (`links.find_link`).
        visitor: who follows. A row stands for its user too. An id is what a browser carries: if it is gone, or belongs
            to somebody who is not `user`, the hit gets a new visitor (V-04, V-12). `None`: a new one.
        user: who is logged in. A visitor of nobody is claimed first.
        now: when it was followed; default: now.
        entry_url: the page that it leads to. Texts are cut to what is kept of them.
        user_agent: header of the request.
        referer: header of the request.
        ip: address of the client; the setting `IP` says what is kept of it.
        click_id: the partner's own id of the click.
        subs: up to five ids of the partner's own.
        origin: how the hit came to be.
        bot: whether a crawler followed. Such a hit has no event, so that no screen and no feed counts it (L-35).
        flagged_by: the host's rule that has caught the hit, if any; it has no event either.
        consent: whether the visitor may be known again. If not, the hit has no visitor, and nothing personal is kept (V-14).
        hit_id: the hit's id, where it was made before.
    """
    now = now or timezone.now()
    user = visitors.person(user)
    if user is None and isinstance(visitor, Visitor):
        user = visitor.user
    if not consent:
        visitor = user = None
    rules = judging.rules()
    said = kept.kept(
        entry_url=entry_url,
        user_agent=user_agent,
        referer=referer,
        ip=ip,
        click_id=click_id,
        subs=subs,
        consent=consent,
    )
    with transaction.atomic(using=router.db_for_write(ReferralHit)):
        known = _lock(visitor, link=link)
        last_follow = None if known is None else known.last_follow
        who = (usable(known, user=user, now=now) or new_visitor(user=user, now=now)) if consent else None
        hit = ReferralHit(
            id=hit_id or ids.new_uuid(),
            link=link,
            partner=link.partner,
            visitor=who,
            user=user,
            created_at=now,
            authenticated=user is not None,
            repeat=known is not None
            and who is known
            and rules.repeat(last_follow, now=now, window=conf.settings.REPEAT_WINDOW),
            self_referral=user is not None and rules.self_referral(user.pk, owners=claiming.owners(link, link.partner)),
            bot=bot,
            flagged_by=flagged_by,
            no_consent=not consent,
            origin=origin,
            **said._asdict(),
        )
        hit.save(force_insert=True)
        if not bot and not flagged_by:
            log.append(hit_entry(hit))
        _tell_after_commit(hit)
    return hit


def _lock(visitor: Visitor | uuid.UUID | None, *, link: ReferralLink) -> Any:
    """Return the visitor's row with the time of its last follow of this link, locked against a claim. One query.

    Without the lock a login at the same time could claim the visitor and miss this hit. Two follows in the very same
    instant may both be no repeats on PostgreSQL, where the wait for the lock does not renew what the statement sees:
    knowing better would cost each hit a query more.
    """
    if visitor is None:
        return None
    visitor_id = visitor.pk if isinstance(visitor, Visitor) else visitor
    follows = ReferralHit.objects.filter(visitor=OuterRef("pk"), link=link).order_by("-created_at")
    rows = Visitor.objects.using(router.db_for_write(Visitor)).select_for_update(no_key=True)
    return rows.annotate(last_follow=Subquery(follows.values("created_at")[:1])).filter(pk=visitor_id).first()


def usable(visitor: Visitor | None, *, user: AbstractBaseUser | None, now: datetime) -> Visitor | None:
    """Return the visitor if it may have this person's hit; one of nobody becomes the person's."""
    if visitor is None or visitor.claimed_at is None:
        if visitor is not None and user is not None:
            claiming.claim(visitor, user=user, now=now)
        return visitor
    # Claimed by nobody who is known any more counts as somebody else's.
    return visitor if user is not None and visitor.user_id == user.pk else None


def new_visitor(*, user: Any, now: datetime) -> Visitor:
    """Insert a visitor; one who is logged in is its user's from the start, which is no claim (C-08)."""
    visitor = Visitor(user=user, claimed_at=None if user is None else now)
    visitor.save(force_insert=True)
    return visitor


def _tell_after_commit(hit: ReferralHit) -> None:
    def tell() -> None:
        hit_recorded.send_robust(ReferralHit, hit=hit, link=hit.link, visitor=hit.visitor, user=hit.user)

    transaction.on_commit(tell, using=router.db_for_write(ReferralHit), robust=True)

"""From an identifier or a uid to a link that counts, or the reason why it does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db import models
from django.utils.translation import gettext_lazy as _

from livereferrals.tracking.models import LinkOwner, ReferralLink
from livereferrals.tracking.models.partners import IDENTIFIER

if TYPE_CHECKING:
    from datetime import datetime

WELL_FORMED: Final = re.compile(rf"{IDENTIFIER}\Z")


class Refusal(models.TextChoices):
    """Why following a link makes no hit."""

    UNKNOWN = "unknown", _("no such link")
    DISABLED = "disabled", _("the link is disabled")
    NOT_STARTED = "not-started", _("the link has not started")
    EXPIRED = "expired", _("the link has expired")
    INACTIVE_PARTNER = "inactive-partner", _("the partner is not active")
    INACTIVE_USER = "inactive-user", _("the user is not active")


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLookup:
    """What a look-up has found."""

    link: ReferralLink | None = None
    """The link, with its partner and user loaded; also when it does not count."""
    refusal: Refusal | None = None
    """Why following it makes no hit; `None`: it counts."""

    @property
    def counted(self) -> ReferralLink | None:
        """The link if following it makes a hit."""
        return self.link if self.refusal is None else None


UNKNOWN: Final = LinkLookup(refusal=Refusal.UNKNOWN)


def find_link(identifier: str, *, now: datetime) -> LinkLookup:
    """Look a link up by its identifier, case-sensitively. One query; none for what can be no identifier (X-14)."""
    if not WELL_FORMED.match(identifier):
        return UNKNOWN
    return _judge(_links().filter(identifier=identifier).first(), now=now)


def find_partner_link(uid: str, *, now: datetime) -> LinkLookup:
    """Look a partner's home link up by the partner's uid. One query; none for what can be no uid."""
    if not WELL_FORMED.match(uid):
        return UNKNOWN
    return _judge(_links().filter(partner__uid=uid, home=True).first(), now=now)


def refusal(link: ReferralLink, *, now: datetime) -> Refusal | None:
    """Say why following the link makes no hit at this time, or nothing. The same rule as `LinkQuerySet.followable`."""
    if link.disabled or (link.owner == LinkOwner.USER and link.user is None):  # a deleted user's link (L-63)
        return Refusal.DISABLED
    if link.starts_at is not None and link.starts_at > now:
        return Refusal.NOT_STARTED
    if link.expires_at is not None and link.expires_at <= now:
        return Refusal.EXPIRED
    if link.partner is not None and not link.partner.active:
        return Refusal.INACTIVE_PARTNER
    if link.user is not None and not link.user.is_active:
        return Refusal.INACTIVE_USER
    return None


def _links() -> models.QuerySet[ReferralLink]:
    return ReferralLink.objects.select_related("partner", "user")


def _judge(link: ReferralLink | None, *, now: datetime) -> LinkLookup:
    return UNKNOWN if link is None else LinkLookup(link=link, refusal=refusal(link, now=now))

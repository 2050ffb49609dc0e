"""From an identifier or a uid to a link that counts, or the reason why it does not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from livereferrals.tracking.models import LinkOwner, ReferralLink
from livereferrals.tracking.models.partners import IDENTIFIER

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

Found = TypeVar("Found")
"""A row, or what is known of one."""
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
class KnownLink:
    """What following a link needs to know of it: values alone, which no thread and no host can change."""

    id: uuid.UUID
    identifier: str
    target: str
    disabled: bool
    """Whether it is switched off, or nobody's: a deleted user's link (L-63)."""
    starts_at: datetime | None
    expires_at: datetime | None
    partner_id: int | None
    partner_uid: str
    """The partner's public name; empty for a link without partner."""
    partner_active: bool
    """Whether its partner is active, if it has one."""
    user_id: object | None
    """Primary key of the user whose link it is."""
    partner_user_id: object | None
    """Primary key of its partner's own login."""
    user_active: bool
    """Whether its user is active, if it has one."""

    @classmethod
    def of(cls, link: ReferralLink) -> Self:
        """Return what is to be known of the row; its partner and user are loaded."""
        partner, user = link.partner, link.user
        return cls(
            id=link.pk,
            identifier=link.identifier,
            target=link.target,
            disabled=link.disabled or (link.owner == LinkOwner.USER and user is None),
            starts_at=link.starts_at,
            expires_at=link.expires_at,
            partner_id=link.partner_id,
            partner_uid="" if partner is None else partner.uid,
            partner_active=partner is None or partner.active,
            user_id=link.user_id,
            partner_user_id=None if partner is None else partner.user_id,
            user_active=user is None or user.is_active,
        )

    def refusal(self, now: datetime) -> Refusal | None:
        """Say why following the link makes no hit at this time, or nothing. The same rule as `LinkQuerySet.followable`."""
        if self.disabled:
            return Refusal.DISABLED
        if self.starts_at is not None and self.starts_at > now:
            return Refusal.NOT_STARTED
        if self.expires_at is not None and self.expires_at <= now:
            return Refusal.EXPIRED
        if not self.partner_active:
            return Refusal.INACTIVE_PARTNER
        return None if self.user_active else Refusal.INACTIVE_USER


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkLookup(Generic[Found]):
    """What a look-up has found."""

    link: Found | None = None
    """The link, a row with its partner and user loaded, or what is known of it; also when it does not count."""
    refusal: Refusal | None = None
    """Why following it makes no hit; `None`: it counts."""

    @property
    def counted(self) -> Found | None:
        """The link if following it makes a hit."""
        return self.link if self.refusal is None else None


def looked_up(known: KnownLink | None, *, now: datetime) -> LinkLookup[KnownLink]:
    """Return what was found in memory."""
    return UNKNOWN if known is None else LinkLookup(link=known, refusal=known.refusal(now))


UNKNOWN: Final[LinkLookup[Any]] = LinkLookup(refusal=Refusal.UNKNOWN)


def find_link(identifier: str, *, now: datetime) -> LinkLookup[ReferralLink]:
    """Look a link up by its identifier, case-sensitively. One query; none for what can be no identifier (X-14)."""
    if not WELL_FORMED.match(identifier):
        return UNKNOWN
    return _judge(_links().filter(identifier=identifier).first(), now=now)


def find_partner_link(uid: str, *, now: datetime) -> LinkLookup[ReferralLink]:
    """Look a partner's home link up by the partner's uid. One query; none for what can be no uid."""
    if not WELL_FORMED.match(uid):
        return UNKNOWN
    return _judge(_links().filter(partner__uid=uid, home=True).first(), now=now)


def refusal(link: ReferralLink, *, now: datetime) -> Refusal | None:
    """Say why following the link makes no hit at this time, or nothing."""
    return KnownLink.of(link).refusal(now)


def _links() -> models.QuerySet[ReferralLink]:
    return ReferralLink.objects.select_related("partner", "user")


def _judge(link: ReferralLink | None, *, now: datetime) -> LinkLookup[ReferralLink]:
    return UNKNOWN if link is None else LinkLookup(link=link, refusal=refusal(link, now=now))

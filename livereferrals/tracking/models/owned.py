"""Whose a link is, and which of many count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.tracking.models.partners import ReferralLink


class LinkOwner(models.TextChoices):
    """Whom a link belongs to; kept when the user is deleted, so that the link is known to be nobody's (L-63)."""

    PARTNER = "partner", _("partner")
    USER = "user", _("user")
    HOUSE = "house", _("house")


class LinkQuerySet(models.QuerySet["ReferralLink"]):
    """Named filters over links."""

    def followable(self, now: datetime) -> LinkQuerySet:
        """Return the links whose following makes a hit at this time."""
        has_begun = Q(starts_at__isnull=True) | Q(starts_at__lte=now)
        goes_on = Q(expires_at__isnull=True) | Q(expires_at__gt=now)
        is_owned = Q(owner=LinkOwner.HOUSE) | Q(partner__active=True) | Q(owner=LinkOwner.USER, user__is_active=True)
        return self.filter(has_begun, goes_on, is_owned, disabled=False)

    def for_user(self, user: Any) -> ReferralLink:
        """Return the user's link, made at first use; of several the oldest (L-60).

        One query, or one transaction that holds the user's row: two calls at once give one link.
        """
        mine = self.filter(owner=LinkOwner.USER, user=user).order_by("created_at", "pk")
        if (found := mine.first()) is not None:
            return found
        users = get_user_model()._base_manager.using(self.db).select_for_update(no_key=True)
        with transaction.atomic(using=self.db):
            users.get(pk=user.pk)
            return mine.first() or self.create(user=user)

"""Partners and the links that they, users and the house share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals import ids

if TYPE_CHECKING:
    from datetime import datetime

IDENTIFIER = r"[\w-]{1,50}"
"""What a link's URL can carry: letters of any language, digits, underscore and hyphen, case-sensitive (L-06)."""

validate_identifier = RegexValidator(
    rf"\A{IDENTIFIER}\Z",
    _("Use 1 to 50 letters, digits, underscores and hyphens; no spaces."),
)


class Partner(models.Model):
    """A company or person with a referral deal."""

    uid = models.CharField(
        _("uid"),
        max_length=8,
        unique=True,
        default=ids.random_uid,
        editable=False,
        help_text=_("The partner's public name in links; made by the system and never changed."),
    )
    name = models.CharField(_("name"), max_length=200)
    active = models.BooleanField(
        _("active"),
        default=False,
        help_text=_("Only an active partner's links count, and only an active partner is called back."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("login"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="referral_partners",
        help_text=_(
            "The partner's own login, if it has one. Following the partner's links with it is a self-referral."
        ),
    )
    user_key = models.CharField(max_length=64, default=ids.random_key, editable=False)
    notes = models.TextField(_("notes"), blank=True, help_text=_("For your colleagues; the partner never sees it."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("partner")
        verbose_name_plural = _("partners")
        ordering = ["name", "id"]
        indexes = [models.Index(fields=["name", "id"], name="lr_partner_name")]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and give a new partner its home link (L-08)."""
        is_new = self._state.adding
        super().save(*args, **kwargs)
        if is_new:
            ReferralLink.objects.using(self._state.db).get_or_create(
                identifier=self.uid,
                defaults={"partner": self, "owner": LinkOwner.PARTNER, "home": True, "name": "Home"},
            )


class LinkOwner(models.TextChoices):
    """Whom a link belongs to; kept when the user is deleted, so that the link is known to be nobody's (L-63)."""

    PARTNER = "partner", _("partner")
    USER = "user", _("user")
    HOUSE = "house", _("house")


class LinkQuerySet(models.QuerySet["ReferralLink"]):
    """Named filters over links."""

    def followable(self, now: datetime) -> LinkQuerySet:
        """Return the links whose following makes a hit at this time."""
        return (
            self.filter(disabled=False)
            .filter(
                Q(starts_at__isnull=True) | Q(starts_at__lte=now), Q(expires_at__isnull=True) | Q(expires_at__gt=now)
            )
            .filter(Q(owner=LinkOwner.HOUSE) | Q(partner__active=True) | Q(owner=LinkOwner.USER, user__is_active=True))
        )


class ReferralLink(models.Model):
    """A link that partners and users share."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    identifier = models.CharField(
        _("identifier"),
        max_length=50,
        unique=True,
        default=ids.random_identifier,
        validators=[validate_identifier],
        help_text=_("The last part of the link's address. Upper and lower case are different."),
    )
    owner = models.CharField(_("owner"), max_length=8, choices=LinkOwner, default=LinkOwner.HOUSE, editable=False)
    partner = models.ForeignKey(
        Partner, verbose_name=_("partner"), null=True, blank=True, on_delete=models.CASCADE, related_name="links"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="referral_links",
    )
    home = models.BooleanField(
        default=False, editable=False, help_text=_("The partner's first link, named by its uid.")
    )
    name = models.CharField(
        _("name"), max_length=200, blank=True, help_text=_("For your colleagues: what it is used for.")
    )
    target = models.CharField(
        _("target"),
        max_length=2000,
        blank=True,
        help_text=_("Where the link leads, for example /spring-sale/. Empty: the start page."),
    )
    disabled = models.BooleanField(
        _("disabled"), default=False, help_text=_("A disabled link still leads on, but counts nothing.")
    )
    drop_pending = models.BooleanField(
        _("also drop its pending hits"),
        default=False,
        help_text=_("With a disabled link: hits that it has already had are not credited any more either."),
    )
    starts_at = models.DateTimeField(_("starts"), null=True, blank=True)
    expires_at = models.DateTimeField(_("ends"), null=True, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = LinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        constraints = [
            models.CheckConstraint(
                condition=Q(owner="partner", partner__isnull=False, user__isnull=True)
                | Q(owner="user", partner__isnull=True)
                | Q(owner="house", partner__isnull=True, user__isnull=True),
                name="lr_link_one_owner",
            ),
            models.CheckConstraint(condition=~Q(identifier=""), name="lr_link_identifier_not_empty"),
            models.UniqueConstraint(fields=["partner"], condition=Q(home=True), name="lr_link_one_home"),
        ]

    def __str__(self) -> str:
        return self.identifier

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save with the owner that the foreign keys say; a user's link stays one when the user is gone."""
        if self.partner_id is not None:
            self.owner = LinkOwner.PARTNER
        elif self.user_id is not None:
            self.owner = LinkOwner.USER
        super().save(*args, **kwargs)

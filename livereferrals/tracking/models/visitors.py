"""Visitors and their hits."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals import ids
from livereferrals.tracking.models.partners import Partner, ReferralLink


class Origin(models.TextChoices):
    """How a row came to be."""

    WEB = "web", _("web")
    API = "api", _("API")
    IMPORT = "import", _("import")
    SIMULATION = "simulation", _("simulation")


class Visitor(models.Model):
    """One browser that followed a link. It has at most one user, for ever (V-12)."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="referral_visitors",
        db_index=False,  # most visitors are nobody's; see `Meta`
    )
    claimed_at = models.DateTimeField(_("claimed"), null=True, blank=True)
    legacy_id = models.BigIntegerField(_("old number"), null=True, blank=True)
    created_at = models.DateTimeField(_("first seen"), auto_now_add=True)

    class Meta:
        verbose_name = _("visitor")
        verbose_name_plural = _("visitors")
        permissions = [("erase_personal_data", "Can erase the personal data of a user")]
        constraints = [
            models.CheckConstraint(
                condition=Q(user__isnull=True) | Q(claimed_at__isnull=False), name="lr_visitor_user_claimed"
            ),
            # As those of users below: few visitors have one, and each new visitor would pay for the others' places.
            models.UniqueConstraint(
                fields=["legacy_id"], condition=Q(legacy_id__isnull=False), name="lr_visitor_legacy_id"
            ),
        ]
        indexes = [
            models.Index(fields=["user"], name="lr_visitor_user", condition=Q(user__isnull=False)),
            # The admin's filter over all visitors, newest first: their ids are in the order of time.
            models.Index(fields=["id"], name="lr_visitor_claimed", condition=Q(claimed_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Device(models.TextChoices):
    """What kind of device followed, as far as its user agent says."""

    DESKTOP = "desktop", _("desktop")
    MOBILE = "mobile", _("mobile")
    TABLET = "tablet", _("tablet")
    OTHER = "other", _("other")


class HitQuerySet(models.QuerySet["ReferralHit"]):
    """Named filters over hits."""

    def confirmed(self) -> HitQuerySet:
        """Return the hits that have a standing confirmation (N-13)."""
        return self.filter(confirmed_at__isnull=False)

    def unconfirmed(self) -> HitQuerySet:
        """Return the hits that have none."""
        return self.filter(confirmed_at__isnull=True)


class ReferralHit(models.Model):
    """One following of one link by one visitor."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    link = models.ForeignKey(
        ReferralLink, verbose_name=_("link"), on_delete=models.CASCADE, related_name="hits", db_index=False
    )
    partner = models.ForeignKey(
        Partner,
        verbose_name=_("partner"),
        null=True,
        on_delete=models.CASCADE,
        related_name="hits",
        db_index=False,
        help_text=_("The link's partner."),
    )
    visitor = models.ForeignKey(
        Visitor, verbose_name=_("visitor"), null=True, on_delete=models.SET_NULL, related_name="hits", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="referral_hits",
        db_index=False,
    )
    created_at = models.DateTimeField(_("time"))
    authenticated = models.BooleanField(_("logged in"), default=False, help_text=_("Logged in when following."))
    entry_url = models.CharField(_("leads to"), max_length=2000, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=1000, blank=True)
    referer = models.CharField(_("referer"), max_length=1000, blank=True)
    ip = models.GenericIPAddressField(_("address"), null=True, unpack_ipv4=True)
    device = models.CharField(_("device"), max_length=8, choices=Device, default=Device.OTHER)
    click_id = models.CharField(_("click id"), max_length=200, blank=True)
    sub1 = models.CharField(max_length=200, blank=True)
    sub2 = models.CharField(max_length=200, blank=True)
    sub3 = models.CharField(max_length=200, blank=True)
    sub4 = models.CharField(max_length=200, blank=True)
    sub5 = models.CharField(max_length=200, blank=True)
    repeat = models.BooleanField(_("repeat"), default=False)
    bot = models.BooleanField(_("bot"), default=False)
    self_referral = models.BooleanField(_("self-referral"), default=False)
    flagged_by = models.CharField(
        _("flagged by"), max_length=50, blank=True, help_text=_("The rule of the project that the hit was caught by.")
    )
    no_consent = models.BooleanField(_("without consent"), default=False)
    confirmed_at = models.DateTimeField(_("confirmed"), null=True)
    origin = models.CharField(_("origin"), max_length=10, choices=Origin, default=Origin.WEB)

    objects = HitQuerySet.as_manager()

    class Meta:
        verbose_name = _("hit")
        verbose_name_plural = _("hits")
        permissions = [
            ("view_dashboard", "Can see the referral dashboard"),
            ("export_referrals", "Can export referral lists"),
        ]
        indexes = [
            # Attribution and claims: a visitor's hits in order; also the repeat look-up.
            models.Index(fields=["visitor", "link", "created_at"], name="lr_hit_visitor"),
            # Attribution over a user's devices.
            models.Index(fields=["user", "created_at"], name="lr_hit_user", condition=Q(user__isnull=False)),
            # The last rows and the last 48 hours of one link, of one partner, of all.
            models.Index(fields=["link", "created_at"], name="lr_hit_link"),
            models.Index(fields=["partner", "created_at"], name="lr_hit_partner", condition=Q(partner__isnull=False)),
            models.Index(fields=["created_at"], name="lr_hit_created"),
            # The dashboard's filter over all hits: a kind of device may be rare, too.
            models.Index(fields=["device", "created_at"], name="lr_hit_device"),
            # The admin's filters over all hits: what is rare must not be looked for in every row.
            models.Index(fields=["created_at"], name="lr_hit_claimed", condition=Q(user__isnull=False)),
            models.Index(fields=["created_at"], name="lr_hit_confirmed", condition=Q(confirmed_at__isnull=False)),
            models.Index(fields=["created_at"], name="lr_hit_repeat", condition=Q(repeat=True)),
            models.Index(fields=["created_at"], name="lr_hit_self_referral", condition=Q(self_referral=True)),
            models.Index(fields=["created_at"], name="lr_hit_bot", condition=Q(bot=True)),
            models.Index(fields=["created_at"], name="lr_hit_flagged", condition=~Q(flagged_by="")),
            models.Index(fields=["created_at"], name="lr_hit_no_consent", condition=Q(no_consent=True)),
        ]

    def __str__(self) -> str:
        return str(self.id)

    @property
    def subs(self) -> list[str]:
        """The five sub-ids of the link's query, empty ones included."""
        return [self.sub1, self.sub2, self.sub3, self.sub4, self.sub5]

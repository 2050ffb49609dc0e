"""Confirmations and their reversals."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from livereferrals import ids
from livereferrals.tracking.models.partners import Partner
from livereferrals.tracking.models.visitors import Origin, ReferralHit, Visitor


class Confirmation(models.Model):
    """A success credited to a hit; never edited, only reversed (N-15)."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    trigger = models.CharField(_("trigger"), max_length=100)
    hit = models.ForeignKey(ReferralHit, verbose_name=_("hit"), on_delete=models.PROTECT, related_name="confirmations")
    partner = models.ForeignKey(
        Partner,
        verbose_name=_("partner"),
        null=True,
        on_delete=models.PROTECT,
        related_name="confirmations",
        db_index=False,
    )
    visitor = models.ForeignKey(
        Visitor, verbose_name=_("visitor"), null=True, on_delete=models.PROTECT, related_name="confirmations"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        on_delete=models.SET_NULL,
        related_name="referral_confirmations",
    )
    once = models.BooleanField(default=False, help_text=_("The trigger's only confirmation for this person."))
    reference = models.CharField(_("reference"), max_length=200, null=True)  # noqa: DJ001 - NULL is "none" in the unique constraint
    # Whole millionths: on SQLite a DecimalField is a float, and so is its SUM (N-05).
    amount_micros = models.BigIntegerField(_("amount in millionths"), null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)
    occurred_at = models.DateTimeField(_("time"))
    created_at = models.DateTimeField(_("recorded"), auto_now_add=True)
    problem = models.CharField(
        _("problem"), max_length=20, blank=True, help_text=_("bad-amount: kept without its amount.")
    )
    rule = models.CharField(_("rule"), max_length=100, help_text=_("The attribution rule that chose the hit."))
    trace = models.JSONField(_("trace"), default=dict)
    extra = models.JSONField(_("extra"), null=True)
    reversed_at = models.DateTimeField(_("reversed"), null=True)
    reversed_micros = models.BigIntegerField(_("reversed amount in millionths"), default=0)
    origin = models.CharField(_("origin"), max_length=10, choices=Origin, default=Origin.WEB)

    class Meta:
        verbose_name = _("confirmation")
        verbose_name_plural = _("confirmations")
        permissions = [
            ("view_amounts", "Can see amounts"),
            ("reverse_confirmation", "Can reverse a confirmation"),
        ]
        constraints = [
            # The reference first, so that the admin finds it without the trigger too.
            models.UniqueConstraint(
                fields=["reference", "trigger"], condition=Q(reference__isnull=False), name="lr_confirmation_reference"
            ),
            models.UniqueConstraint(
                fields=["trigger", "user"],
                condition=Q(once=True, reversed_at__isnull=True, user__isnull=False),
                name="lr_confirmation_once_user",
            ),
            models.UniqueConstraint(
                fields=["trigger", "visitor"],
                condition=Q(once=True, reversed_at__isnull=True, visitor__isnull=False),
                name="lr_confirmation_once_visitor",
            ),
            models.CheckConstraint(condition=~Q(reference=""), name="lr_confirmation_reference_not_empty"),
            models.CheckConstraint(
                condition=Q(amount_micros__isnull=True) | Q(amount_micros__gte=0, currency__gt=""),
                name="lr_confirmation_amount_whole",
            ),
        ]
        indexes = [
            models.Index(fields=["partner", "occurred_at"], name="lr_confirmation_partner"),
            models.Index(fields=["trigger", "occurred_at"], name="lr_confirmation_trigger"),
            models.Index(fields=["occurred_at"], name="lr_confirmation_occurred"),
            # The admin's filter over all confirmations.
            models.Index(
                fields=["occurred_at"], name="lr_confirmation_reversed", condition=Q(reversed_at__isnull=False)
            ),
            # The dashboard's filter over all confirmations.
            models.Index(
                fields=["occurred_at"],
                name="lr_confirmation_in_part",
                condition=Q(reversed_at__isnull=True, reversed_micros__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.trigger} {self.reference or self.id}"


class ReversalReason(models.TextChoices):
    """Why a confirmation was taken back; partners see the code (N-08)."""

    REFUND = "refund", _("refund")
    CANCELLED = "cancelled", pgettext_lazy("reversal", "cancelled")
    FRAUD = "fraud", _("fraud")
    DUPLICATE = "duplicate", _("duplicate")
    MISTAKE = "mistake", _("mistake")
    OTHER = "other", _("other")


class Reversal(models.Model):
    """A confirmation taken back, as a whole or in part."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    confirmation = models.ForeignKey(
        Confirmation, verbose_name=_("confirmation"), on_delete=models.PROTECT, related_name="reversals"
    )
    reason = models.CharField(_("reason"), max_length=10, choices=ReversalReason)
    note = models.TextField(_("note"), blank=True, help_text=_("For your colleagues; the partner never sees it."))
    amount_micros = models.BigIntegerField(_("amount in millionths"), null=True)
    partial = models.BooleanField(_("partial"), default=False)
    created_at = models.DateTimeField(_("time"))
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("by"), null=True, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        verbose_name = _("reversal")
        verbose_name_plural = _("reversals")
        constraints = [
            models.CheckConstraint(
                condition=Q(amount_micros__isnull=True) | Q(amount_micros__gte=0), name="lr_reversal_amount"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.confirmation_id}"

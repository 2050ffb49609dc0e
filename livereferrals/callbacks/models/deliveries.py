"""Deliveries owed to subscriptions, and the attempts made at them."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals import ids
from livereferrals.callbacks.models.subscriptions import Subscription
from livereferrals.tracking.models import Confirmation


class DeliveryKind(models.TextChoices):
    """What a delivery tells the partner."""

    CONFIRMATION = "confirmation", _("confirmation")
    REVERSAL = "reversal", _("reversal")
    TEST = "test", _("test")


class DeliveryState(models.TextChoices):
    """Where a delivery stands."""

    WAITING = "waiting", _("waiting")
    SENDING = "sending", _("sending")
    DELIVERED = "delivered", _("delivered")
    DEAD = "dead", _("dead")
    CANCELLED = "cancelled", _("cancelled")


ENDED = (DeliveryState.DELIVERED, DeliveryState.DEAD, DeliveryState.CANCELLED)


class EndReason(models.TextChoices):
    """Why a delivery ended other than well."""

    EXHAUSTED = "exhausted", _("all attempts failed")
    GONE = "gone", _("the partner's server says that the address is gone")
    UNRENDERABLE = "unrenderable", _("no valid request could be made")
    POISON = "poison", _("the worker died three times while sending it")
    EXPIRED = "expired", _("on hold for too long")
    REVERSED = "reversed", _("reversed before it was sent")
    ARCHIVED = "archived", _("the subscription was archived")
    STAFF = "staff", _("cancelled by staff")
    ERASURE = "erasure", _("the visitor's data were erased")


class Delivery(models.Model):
    """One confirmation (or reversal, or test) owed to one subscription."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    subscription = models.ForeignKey(
        Subscription,
        verbose_name=_("subscription"),
        on_delete=models.PROTECT,
        related_name="deliveries",
        db_index=False,
    )
    confirmation = models.ForeignKey(
        Confirmation, verbose_name=_("confirmation"), null=True, on_delete=models.PROTECT, related_name="deliveries"
    )
    kind = models.CharField(_("kind"), max_length=12, choices=DeliveryKind, default=DeliveryKind.CONFIRMATION)
    event = models.UUIDField(null=True, help_text="The event's id; the log forgets events sooner than this row.")
    payload = models.JSONField(null=True, help_text="The event object as the partner gets it.")
    state = models.CharField(_("state"), max_length=9, choices=DeliveryState, default=DeliveryState.WAITING)
    end_reason = models.CharField(_("why it ended"), max_length=12, choices=EndReason, blank=True)
    due_at = models.DateTimeField(_("due"))
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    lost = models.PositiveSmallIntegerField(_("lost attempts"), default=0)
    schedule_from = models.PositiveSmallIntegerField(
        default=0, help_text="Attempt at which the current schedule began."
    )
    lease_token = models.UUIDField(null=True)
    after = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="followers")
    last_status = models.PositiveSmallIntegerField(_("last status"), null=True)
    last_outcome = models.CharField(_("last outcome"), max_length=16, blank=True)
    created_at = models.DateTimeField(_("created"))
    finished_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        permissions = [("retry_delivery", "Can retry, resend, cancel and replay deliveries")]
        constraints = [
            models.UniqueConstraint(fields=["subscription", "event"], name="lr_delivery_one"),
            models.CheckConstraint(
                condition=Q(state="sending", lease_token__isnull=False)
                | (~Q(state="sending") & Q(lease_token__isnull=True)),
                name="lr_delivery_sending_leased",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["delivered", "dead", "cancelled"], finished_at__isnull=False)
                | (~Q(state__in=["delivered", "dead", "cancelled"]) & Q(finished_at__isnull=True)),
                name="lr_delivery_ended_dated",
            ),
            models.CheckConstraint(condition=Q(lost__gte=0, attempts__gte=models.F("lost")), name="lr_delivery_lost"),
        ]
        indexes = [
            # Reading what is due of a leased endpoint.
            models.Index(fields=["subscription", "due_at", "id"], name="lr_delivery_due", condition=Q(state="waiting")),
            # Tests, which go before a backlog. With the kind, or SQLite would rather read the backlog by the index above.
            models.Index(
                fields=["kind", "subscription"], name="lr_delivery_tests", condition=Q(state="waiting", kind="test")
            ),
            # Taking back what a dead worker left.
            models.Index(fields=["subscription"], name="lr_delivery_sending", condition=Q(state="sending")),
            # The delivery log of one subscription.
            models.Index(fields=["subscription", "created_at"], name="lr_delivery_log"),
            # The delivery log of one state, newest first.
            models.Index(fields=["state", "id"], name="lr_delivery_by_state"),
            # How many tests there were in the last minute.
            models.Index(fields=["created_at"], name="lr_delivery_tested", condition=Q(kind="test")),
            # Pruning.
            models.Index(fields=["state", "finished_at"], name="lr_delivery_finished"),
        ]

    def __str__(self) -> str:
        return str(self.id)


class DeliveryAttempt(models.Model):
    """One request made for a delivery and what came of it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempt_log", db_index=False)
    number = models.PositiveSmallIntegerField(_("number"))
    started_at = models.DateTimeField(_("started"))
    duration_ms = models.PositiveIntegerField(_("duration in ms"), null=True)
    outcome = models.CharField(_("outcome"), max_length=16)
    status = models.PositiveSmallIntegerField(_("status"), null=True)
    error = models.CharField(_("error"), max_length=300, blank=True)
    address = models.CharField(_("address"), max_length=64, blank=True)
    request_url = models.TextField(_("URL"), blank=True)
    request_headers = models.JSONField(_("request headers"), default=dict)
    request_excerpt = models.TextField(_("request"), blank=True)
    response_headers = models.JSONField(_("answer headers"), default=list)
    response_excerpt = models.TextField(_("answer"), blank=True)
    retry_after_s = models.FloatField(null=True)
    worker = models.CharField(max_length=100, blank=True)
    late = models.BooleanField(default=False)
    config_version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["delivery", "number"], name="lr_attempt_one")]
        indexes = [models.Index(fields=["started_at"], name="lr_attempt_started")]

    def __str__(self) -> str:
        return f"{self.delivery_id} {self.number}: {self.outcome}"

"""Subscriptions, their servers' state, and the deliveries owed to them."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals import ids
from livereferrals.tracking.models import Confirmation, Partner

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Method(models.TextChoices):
    """The HTTP method of a callback."""

    POST = "POST", _("POST, signed, with the event as JSON")
    GET = "GET", _("GET")


class Subscription(models.Model):
    """A partner's agreement to one trigger, with a callback URL. Archived, never deleted while deliveries refer to it."""

    partner = models.ForeignKey(
        Partner, verbose_name=_("partner"), on_delete=models.CASCADE, related_name="subscriptions"
    )
    trigger = models.CharField(_("trigger"), max_length=100)
    callback_url = models.CharField(
        _("callback URL"),
        max_length=2000,
        blank=True,
        help_text=_("The partner's address that is called for each confirmation. Empty: the partner reads the feed."),
    )
    method = models.CharField(_("method"), max_length=4, choices=Method, default=Method.POST)
    allow_plain_http = models.BooleanField(_("allow plain HTTP"), default=False)
    reversal_url = models.CharField(
        _("reversal URL"),
        max_length=2000,
        blank=True,
        help_text=_("For GET: the address called when a confirmation is taken back. Empty: it is not called then."),
    )
    send_reversals = models.BooleanField(_("send reversals"), default=True)
    headers = models.JSONField(
        _("headers"), default=list, blank=True, help_text=_("Up to 10 fixed headers: name, value and whether secret.")
    )
    timeout_s = models.PositiveSmallIntegerField(
        _("time limit in seconds"), default=15, validators=[MinValueValidator(1), MaxValueValidator(30)]
    )
    max_in_flight = models.PositiveSmallIntegerField(
        _("calls at the same time"), default=4, validators=[MinValueValidator(1), MaxValueValidator(32)]
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    archived_at = models.DateTimeField(_("archived"), null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("subscription")
        verbose_name_plural = _("subscriptions")
        permissions = [
            ("allow_plain_http", "Can allow callbacks over plain HTTP"),
            ("hold_endpoint", "Can pause and enable a partner's endpoint"),
            ("send_test_callback", "Can send a test callback"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "trigger"],
                condition=Q(archived_at__isnull=True),
                name="lr_subscription_one",
                violation_error_message=_("This partner already has a subscription to this trigger."),
            ),
            models.CheckConstraint(condition=Q(timeout_s__gte=1, timeout_s__lte=30), name="lr_subscription_timeout"),
            models.CheckConstraint(
                condition=Q(max_in_flight__gte=1, max_in_flight__lte=32), name="lr_subscription_flight"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.partner}: {self.trigger}"


class EndpointState(models.TextChoices):
    """Whether an endpoint's deliveries are made or held."""

    ACTIVE = "active", _("active")
    PAUSED = "paused", _("paused")
    DISABLED = "disabled", _("disabled")


class Endpoint(models.Model):
    """What the worker knows of a subscription's server; apart from it, because a form saves all its columns."""

    subscription = models.OneToOneField(
        Subscription, primary_key=True, on_delete=models.CASCADE, related_name="endpoint"
    )
    state = models.CharField(_("state"), max_length=8, choices=EndpointState, default=EndpointState.ACTIVE)
    state_reason = models.CharField(_("reason"), max_length=200, blank=True)
    state_changed_at = models.DateTimeField(_("since"), null=True)
    state_changed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    gate_until = models.DateTimeField(null=True)
    gate_reason = models.CharField(max_length=12, blank=True, help_text="retry_after or breaker")
    consecutive_failures = models.PositiveIntegerField(default=0)
    failing_since = models.DateTimeField(null=True)
    failed_attempts_since = models.PositiveIntegerField(default=0)
    last_success_at = models.DateTimeField(null=True)
    last_failure_at = models.DateTimeField(null=True)
    last_leased_at = models.DateTimeField(default=NEVER)
    lease_token = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    leased_by = models.CharField(max_length=100, blank=True)
    config_version = models.PositiveIntegerField(default=1)

    class Meta:
        verbose_name = _("endpoint")
        verbose_name_plural = _("endpoints")
        constraints = [
            models.CheckConstraint(
                condition=Q(lease_token__isnull=True, lease_until__isnull=True)
                | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="lr_endpoint_lease_whole",
            ),
        ]
        # The lease: active endpoints, longest unserved first.
        indexes = [models.Index(fields=["state", "last_leased_at"], name="lr_endpoint_lease")]

    def __str__(self) -> str:
        return f"{self.subscription_id}: {self.state}"


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
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="deliveries", db_index=False)
    confirmation = models.ForeignKey(Confirmation, null=True, on_delete=models.PROTECT, related_name="deliveries")
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
            # Taking back what a dead worker left.
            models.Index(fields=["subscription"], name="lr_delivery_sending", condition=Q(state="sending")),
            # The delivery log of one subscription.
            models.Index(fields=["subscription", "created_at"], name="lr_delivery_log"),
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


def new_secret() -> str:
    """Return a signing secret in the form of the Standard Webhooks specification: `whsec_` and 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class SecretField(models.CharField):  # type: ignore[type-arg] # the stub's two type parameters are the base's own
    """The column of a secret: a class of its own, so that encryption can be put here."""


class SigningSecret(models.Model):
    """A secret that signs a subscription's callbacks; the older one signs along while it has not expired."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="secrets")
    value = SecretField(max_length=100, default=new_secret)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("signing secret")
        verbose_name_plural = _("signing secrets")
        permissions = [("reveal_secret", "Can see signing secrets")]
        constraints = [
            models.UniqueConstraint(
                fields=["subscription"], condition=Q(expires_at__isnull=True), name="lr_secret_one_active"
            ),
        ]

    def __str__(self) -> str:
        return f"secret {self.pk} of {self.subscription_id}"

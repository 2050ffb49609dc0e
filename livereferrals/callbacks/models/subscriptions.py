"""Subscriptions, their servers' state, and the secrets that sign their callbacks."""

from __future__ import annotations

import base64
import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, router, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from livereferrals import ids
from livereferrals.callbacks import checking, headers
from livereferrals.tracking.models import Partner

if TYPE_CHECKING:
    from collections.abc import Collection

NEVER = datetime(1970, 1, 1, tzinfo=UTC)


def never() -> datetime:
    """Return a time before all others, as the project's database takes it: naive without `USE_TZ` (N-17)."""
    return NEVER if timezone.is_aware(timezone.now()) else timezone.make_naive(NEVER, UTC)


class Method(models.TextChoices):
    """The HTTP method of a callback."""

    POST = "POST", _("POST, signed, with the event as JSON")
    GET = "GET", _("GET")


class Subscription(models.Model):
    """A partner's agreement to one trigger, with a callback URL. Archived, never deleted while deliveries refer to it."""

    uid = models.UUIDField(
        default=ids.new_uuid,
        unique=True,
        editable=False,
        help_text="Its name in addresses that the partner sees, too: the key is a number that could be counted.",
    )
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
    allow_plain_http = models.BooleanField(
        _("allow plain HTTP"),
        default=False,
        help_text=_(
            "Its addresses may begin with http:// too. Everybody on the way can read and change what is sent: for test servers."
        ),
    )
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

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save a row that can be called; a new one gets its endpoint and signing secret, a changed one a new version.

        Raises:
            InvalidCallBackURL: an address is refused (D-13).
        """
        self._refuse_bad_addresses(kwargs.get("update_fields"))
        is_new = self._state.adding
        with transaction.atomic(using=kwargs.get("using") or router.db_for_write(Subscription, instance=self)):
            super().save(*args, **kwargs)
            if is_new:
                Endpoint.objects.using(self._state.db).get_or_create(subscription=self)
                SigningSecret.objects.using(self._state.db).get_or_create(subscription=self, expires_at=None)
            else:
                Endpoint.objects.using(self._state.db).filter(subscription=self).update(
                    config_version=models.F("config_version") + 1
                )

    def clean(self) -> None:
        """Check addresses and headers: one message for each mistake, at its field (D-11, D-13)."""
        mistakes: dict[str, list[Any]] = {
            field: [
                *map(checking.advised, checking.mistakes_in(getattr(self, field), plain_http=self.allow_plain_http))
            ]
            for field in ("callback_url", "reversal_url")
        }
        try:
            headers.read(self.headers)
        except ValueError as error:
            mistakes["headers"] = [str(error)]
        if any(mistakes.values()):
            raise ValidationError({field: found for field, found in mistakes.items() if found})

    def _refuse_bad_addresses(self, update_fields: Collection[str] | None) -> None:
        """Look at the addresses that are about to be written: archiving must not fail for an old one."""
        for field in ("callback_url", "reversal_url"):
            if update_fields is None or field in update_fields:
                for mistake in checking.mistakes_in(getattr(self, field), plain_http=self.allow_plain_http):
                    raise checking.advised(mistake)


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
    last_leased_at = models.DateTimeField(default=never)
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


def new_secret() -> str:
    """Return a signing secret in the form of the Standard Webhooks specification: `whsec_` and 32 random bytes."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


class SecretField(models.CharField):  # type: ignore[type-arg] # the stub's two type parameters are the base's own
    """The column of a secret: a class of its own, so that a host can put encryption here, with room for its text."""


class SigningSecret(models.Model):
    """A secret that signs a subscription's callbacks; the older one signs along while it has not expired."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="secrets")
    value = SecretField(max_length=255, default=new_secret)
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

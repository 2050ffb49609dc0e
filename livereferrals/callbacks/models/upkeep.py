"""What staff are told of endpoints, and the replays that they have asked for."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals import ids
from livereferrals.callbacks.models.subscriptions import Subscription


class AlertCause(models.TextChoices):
    """What staff are told of."""

    FAILING = "failing", _("every call has failed for a day")
    DISABLED = "disabled", _("switched off, because every call has failed for days")
    GONE = "gone", _("switched off, because the partner's server says that the address is gone")
    BLOCKED = "blocked", _("the address may not be called")
    POISON = "poison", _("a worker died three times while sending one delivery")
    UNRENDERABLE = "unrenderable", _("no valid request can be made")
    ERROR = "error", _("an error of ours")
    BACKLOG = "backlog", _("deliveries have been overdue for more than an hour")
    CHANGED = "changed", _("an address or a secret was changed")


class EndpointAlert(models.Model):
    """What staff were told of one endpoint and one cause, last; the row keeps others from telling it again so soon."""

    subscription = models.ForeignKey(Subscription, on_delete=models.CASCADE, related_name="alerts", db_index=False)
    cause = models.CharField(_("cause"), max_length=12, choices=AlertCause)
    raised_at = models.DateTimeField(_("raised"))
    told_at = models.DateTimeField(_("told"), null=True, help_text="When the mail and the signal were sent.")
    delivery = models.UUIDField(null=True, help_text="The delivery that it is about, where it is about one.")
    text = models.CharField(_("details"), max_length=1000, blank=True)

    class Meta:
        verbose_name = _("alert")
        verbose_name_plural = _("alerts")
        constraints = [models.UniqueConstraint(fields=["subscription", "cause"], name="lr_alert_one")]
        indexes = [
            # What waits to be told.
            models.Index(fields=["raised_at"], name="lr_alert_untold", condition=Q(told_at__isnull=True)),
            # The banner.
            models.Index(fields=["cause", "raised_at"], name="lr_alert_recent"),
        ]

    def __str__(self) -> str:
        return f"{self.subscription_id}: {self.cause}"


class ReplayState(models.TextChoices):
    """Where a replay stands."""

    RUNNING = "running", _("running")
    FINISHED = "finished", _("finished")
    STOPPED = "stopped", _("stopped")


class Replay(models.Model):
    """Deliveries of one subscription, of a span of time, that are made once more, so many a second."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    subscription = models.ForeignKey(Subscription, on_delete=models.PROTECT, related_name="replays")
    since = models.DateTimeField(_("from"))
    until = models.DateTimeField(_("to"))
    with_delivered = models.BooleanField(_("delivered ones too"), default=False)
    per_second = models.PositiveSmallIntegerField(_("per second"))
    counted = models.PositiveIntegerField(_("deliveries"), help_text="How many there were when it was asked for.")
    done = models.PositiveIntegerField(_("made due"), default=0)
    state = models.CharField(_("state"), max_length=8, choices=ReplayState, default=ReplayState.RUNNING)
    after_created_at = models.DateTimeField(null=True, help_text="Where it goes on: after the delivery made then,")
    after_id = models.UUIDField(null=True, help_text="and of this id.")
    stepped_at = models.DateTimeField(help_text="When it last went on; the rate is counted from then.")
    created_at = models.DateTimeField(_("asked for"))
    created_by: Any = models.ForeignKey(
        settings.AUTH_USER_MODEL, verbose_name=_("by"), null=True, on_delete=models.SET_NULL, related_name="+"
    )
    finished_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("replay")
        verbose_name_plural = _("replays")
        constraints = [
            models.CheckConstraint(condition=Q(until__gt=models.F("since")), name="lr_replay_span"),
            models.CheckConstraint(condition=Q(per_second__gte=1, per_second__lte=1000), name="lr_replay_rate"),
            models.CheckConstraint(
                condition=Q(state="running", finished_at__isnull=True)
                | (~Q(state="running") & Q(finished_at__isnull=False)),
                name="lr_replay_ended_dated",
            ),
            # Two at once would send everything twice.
            models.UniqueConstraint(
                fields=["subscription"], condition=Q(state="running"), name="lr_replay_one_running"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.subscription}: {self.since:%Y-%m-%d %H:%M} - {self.until:%Y-%m-%d %H:%M}"

"""What triggers decided: a capped list of the last firings and counts by the hour."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class TriggerFiring(models.Model):
    """One firing of a trigger and what it decided, a "no" included; the last 1,000 are kept."""

    trigger = models.CharField(_("trigger"), max_length=100)
    fired_at = models.DateTimeField(_("time"))
    receiver = models.CharField(_("receiver"), max_length=200, blank=True)
    reason = models.CharField(_("outcome"), max_length=30, help_text=_("confirmed, or the reason why not."))
    confirmation = models.UUIDField(_("confirmation"), null=True)
    duration_ms = models.FloatField(_("duration in ms"), null=True)
    trace = models.JSONField(_("trace"), null=True)

    class Meta:
        verbose_name = _("trigger firing")
        verbose_name_plural = _("trigger firings")
        indexes = [models.Index(fields=["trigger", "-id"], name="lr_firing_trigger")]

    def __str__(self) -> str:
        return f"{self.trigger}: {self.reason}"


class TriggerCount(models.Model):
    """How often a trigger decided what, by the hour."""

    trigger = models.CharField(max_length=100)
    hour = models.DateTimeField()
    reason = models.CharField(max_length=30)
    count = models.PositiveIntegerField(default=0)

    class Meta:
        verbose_name = _("trigger count")
        verbose_name_plural = _("trigger counts")
        constraints = [models.UniqueConstraint(fields=["trigger", "hour", "reason"], name="lr_triggercount_one")]

    def __str__(self) -> str:
        return f"{self.trigger} {self.hour:%Y-%m-%d %H}h {self.reason}: {self.count}"

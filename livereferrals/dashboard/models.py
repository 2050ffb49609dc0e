"""Rollups: what adds up, by hour and day over all, by day and month of partner and link; of the last hours by hour too.

They hold exactly the events up to the cursor in `RollupState`; what is shown adds the tail after it. Rows with an empty
trigger and currency count hits, visitors and claims; the others count the confirmations of one trigger and currency.
Hours and days are those of the project's `TIME_ZONE`.
"""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class RollupState(models.Model):
    """The one row that holds the place up to which the rollups are complete; its lock is the writer's."""

    SINGLETON = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=SINGLETON, editable=False)
    epoch = models.CharField(max_length=16, blank=True)
    seq = models.BigIntegerField(default=0)
    time_zone = models.CharField(max_length=64, blank=True, help_text="The zone whose hours and days the rows hold.")
    imported_upto = models.DateTimeField(
        null=True, help_text="The newest time of rows that an import has added: the log knows nothing of them."
    )
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(id=1), name="lr_rollup_singleton")]

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"


class Totals(models.Model):
    """The columns that add up."""

    trigger = models.CharField(max_length=100, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    hits = models.BigIntegerField(default=0)
    visitors = models.BigIntegerField(default=0, help_text="Hits that are no repeats.")
    claims = models.BigIntegerField(default=0)
    confirmations = models.BigIntegerField(default=0, help_text="Less the reversed ones, on the confirmation's day.")
    reversals = models.BigIntegerField(default=0)
    amount_micros = models.BigIntegerField(default=0, help_text="Less what was reversed, on the confirmation's day.")

    class Meta:
        abstract = True


class HourlyTotal(Totals):
    """Totals over all, by the hour."""

    starts_at = models.DateTimeField(help_text="The beginning of the hour.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["starts_at", "trigger", "currency"], name="lr_hourly_one"),
        ]

    def __str__(self) -> str:
        return f"{self.starts_at:%Y-%m-%d %H}h"


class DailyTotal(Totals):
    """Totals over all, by the day: a year has as few rows as a fortnight has by the hour."""

    day = models.DateField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["day", "trigger", "currency"], name="lr_daily_one"),
        ]

    def __str__(self) -> str:
        return f"{self.day}"


class DailyPartnerTotal(Totals):
    """Totals of one partner, by the day."""

    day = models.DateField()
    partner = models.CharField(max_length=8, help_text="The partner's uid.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["partner", "day", "trigger", "currency"], name="lr_daily_partner_one"),
        ]
        indexes = [models.Index(fields=["day"], name="lr_daily_partner_day")]

    def __str__(self) -> str:
        return f"{self.partner} {self.day}"


class DailyLinkTotal(Totals):
    """Totals of one link, by the day."""

    day = models.DateField()
    link = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["link", "day", "trigger", "currency"], name="lr_daily_link_one"),
        ]
        indexes = [models.Index(fields=["day"], name="lr_daily_link_day")]

    def __str__(self) -> str:
        return f"{self.link} {self.day}"


class MonthlyPartnerTotal(Totals):
    """Totals of one partner, by the month: who brought most in a year is asked of all partners at once."""

    month = models.DateField(help_text="Its first day.")
    partner = models.CharField(max_length=8, help_text="The partner's uid.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["month", "partner", "trigger", "currency"], name="lr_monthly_partner_one"),
        ]

    def __str__(self) -> str:
        return f"{self.partner} {self.month:%Y-%m}"


class MonthlyLinkTotal(Totals):
    """Totals of one link, by the month."""

    month = models.DateField(help_text="Its first day.")
    link = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["month", "link", "trigger", "currency"], name="lr_monthly_link_one"),
        ]

    def __str__(self) -> str:
        return f"{self.link} {self.month:%Y-%m}"


class HourlyPartnerTotal(Totals):
    """Totals of one partner, by the hour; the last hours alone are kept."""

    starts_at = models.DateTimeField(help_text="The beginning of the hour.")
    partner = models.CharField(max_length=8, help_text="The partner's uid.")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["partner", "starts_at", "trigger", "currency"], name="lr_hourly_partner_one"
            ),
        ]
        indexes = [models.Index(fields=["starts_at"], name="lr_hourly_partner_hour")]

    def __str__(self) -> str:
        return f"{self.partner} {self.starts_at:%Y-%m-%d %H}h"


class HourlyLinkTotal(Totals):
    """Totals of one link, by the hour; the last hours alone are kept."""

    starts_at = models.DateTimeField(help_text="The beginning of the hour.")
    link = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["link", "starts_at", "trigger", "currency"], name="lr_hourly_link_one"),
        ]
        indexes = [models.Index(fields=["starts_at"], name="lr_hourly_link_hour")]

    def __str__(self) -> str:
        return f"{self.link} {self.starts_at:%Y-%m-%d %H}h"

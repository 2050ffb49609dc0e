"""Rows of the event log, its head, and what each process says of itself."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from livereferrals import ids


class EventType(models.TextChoices):
    """What happened; the same word on every channel."""

    HIT = "hit", _("hit")
    CLAIM = "claim", _("claim")
    CONFIRMATION = "confirmation", _("confirmation")
    REVERSAL = "reversal", _("reversal")
    DELIVERY = "delivery", _("delivery")


class Event(models.Model):
    """One entry of the event log, belonging to at most one partner.

    `data` is what the partner sees (feed protocol, 5.4). Without a `seq` the event is committed and not yet numbered.
    There are no foreign keys: the log is below everything and outlives what it tells of.
    """

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    seq = models.BigIntegerField(_("number"), null=True, help_text=_("Place in the log, given after commit."))
    type = models.CharField(_("type"), max_length=12, choices=EventType)
    occurred_at = models.DateTimeField(_("time"), help_text=_("When it happened."))
    numbered_at = models.DateTimeField(
        _("numbered"), null=True, help_text=_("When it got its number; never goes back.")
    )
    partner = models.CharField(
        _("partner"), max_length=8, blank=True, help_text=_("The partner's uid; empty: the house's own.")
    )
    link = models.UUIDField(_("link"), null=True)
    link_identifier = models.CharField(_("link's identifier"), max_length=50, blank=True)
    visitor = models.UUIDField(_("visitor"), null=True, help_text=_("For erasure; the partner sees the one in `data`."))
    user = models.CharField(max_length=64, blank=True, help_text="The user's primary key as text; never sent.")
    data = models.JSONField(_("data"), default=dict)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        constraints = [
            models.CheckConstraint(
                condition=Q(seq__isnull=True, numbered_at__isnull=True) | Q(seq__gt=0, numbered_at__isnull=False),
                name="lr_event_numbered_whole",
            ),
            # Indexes by number leave out what has none: each event would enter them twice, and what it leaves behind when
            # it is numbered stands in the way of the sequencer's question until the table is vacuumed.
            models.UniqueConstraint(fields=["seq"], condition=Q(seq__isnull=False), name="lr_event_seq"),
        ]
        indexes = [
            # The sequencer's only question: what has no number yet.
            models.Index(fields=["id"], name="lr_event_unnumbered", condition=Q(seq__isnull=True)),
            # A partner's topic, and the last rows of one partner.
            models.Index(fields=["partner", "seq"], name="lr_event_partner_seq", condition=Q(seq__isnull=False)),
            # The newest of a rare type, which would else lie below millions of hits.
            models.Index(fields=["type", "seq"], name="lr_event_rare", condition=~Q(type="hit")),
            # A link's topic, and the last rows of one link.
            models.Index(
                fields=["link", "seq"],
                name="lr_event_link_seq",
                condition=Q(link__isnull=False, seq__isnull=False),
            ),
            # Erasure: all events of one person, without reading the log.
            models.Index(fields=["visitor"], name="lr_event_visitor", condition=Q(visitor__isnull=False)),
            models.Index(fields=["user"], name="lr_event_user", condition=~Q(user="")),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.seq if self.seq is not None else 'unnumbered'}"


class EventLog(models.Model):
    """The one row that holds the log's epoch and bounds; its lock is the sequencer's."""

    SINGLETON = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=SINGLETON, editable=False)
    epoch = models.CharField(max_length=16, default=ids.random_epoch)
    head = models.BigIntegerField(default=0, help_text="Number of the newest event.")
    oldest = models.BigIntegerField(default=0, help_text="The first kept event is the one after this.")
    last_numbered_at = models.DateTimeField(null=True)
    revision = models.PositiveIntegerField(
        default=0, help_text="How often events that may have been read were changed: by an erasure."
    )
    house_key = models.CharField(max_length=64, default=ids.random_key, help_text="Keys the house's user hashes.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = "event log"
        verbose_name_plural = "event log"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="lr_eventlog_singleton"),
            models.CheckConstraint(condition=Q(oldest__gte=0, head__gte=models.F("oldest")), name="lr_eventlog_bounds"),
        ]

    def __str__(self) -> str:
        return f"{self.epoch}.{self.head}"


class Chore(models.Model):
    """When a piece of housekeeping was last done, and which process is at it: one at a time."""

    name = models.CharField(primary_key=True, max_length=40)
    done_at = models.DateTimeField(null=True)
    holder = models.CharField(max_length=100, blank=True)
    held_until = models.DateTimeField(null=True, help_text="A process that has died leaves it free from then on.")

    class Meta:
        verbose_name = "chore"
        verbose_name_plural = "chores"

    def __str__(self) -> str:
        return self.name


class ProcessStatus(models.Model):
    """What one process last said of itself: its hub's position, its worker, its open connections."""

    id = models.CharField(primary_key=True, max_length=100, help_text="Host, process id and its start time.")
    kind = models.CharField(max_length=12, help_text="server or worker")
    interface = models.CharField(max_length=4, blank=True, help_text="How a server serves: asgi or wsgi.")
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    hub_seq = models.BigIntegerField(null=True)
    hub_lag = models.PositiveBigIntegerField(default=0, help_text="How far behind the log its hub was then.")
    watchers = models.PositiveIntegerField(default=0, help_text="Open feed connections.")
    worker = models.BooleanField(default=False, help_text="Whether it makes deliveries.")
    screens = models.PositiveIntegerField(default=0, help_text="Open live sockets of the dashboard.")
    connections = models.JSONField(default=dict, help_text="Open feed connections by token id.")
    behind = models.JSONField(
        default=dict, help_text="Events that the slowest connection of a token is still to get, by token id."
    )
    housekeeping = models.JSONField(default=dict, help_text="When each chore was last done.")
    lost_hits = models.JSONField(default=dict, help_text="Hits that it has not recorded since it started, by reason.")

    class Meta:
        verbose_name = "process"
        verbose_name_plural = "processes"
        indexes = [models.Index(fields=["seen_at"], name="lr_process_seen")]

    def __str__(self) -> str:
        return self.id

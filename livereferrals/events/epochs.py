"""Epochs: after a backup was restored, numbers that clients know may stand for other events; a new epoch says so."""

from __future__ import annotations

import logging

from django.db import router, transaction

from livereferrals import ids
from livereferrals.events import hints, log
from livereferrals.events.locking import lock_singleton
from livereferrals.events.models import EventLog

logger = logging.getLogger(__name__)


def begin_new_epoch() -> log.Bounds:
    """Give the log a new epoch: every cursor from before is answered with `other_epoch` (feed protocol, 8).

    Numbers go on where they are, so that rollups and whatever else goes by them stay right. Hubs see it at their next
    look and send their watchers round again; they are woken. One transaction.
    """
    alias = router.db_for_write(EventLog)
    with transaction.atomic(using=alias):
        row = lock_singleton(EventLog, using=alias)
        before, row.epoch = row.epoch, ids.random_epoch()
        row.save(using=alias, update_fields=["epoch"])
        transaction.on_commit(_wake_readers, using=alias, robust=True)
    logger.warning(
        "The event log has a new epoch: %s, after %s.",
        row.epoch,
        before,
        extra={"action": "log.new_epoch", "epoch": row.epoch, "epoch_before": before, "head": row.head},
    )
    return log.Bounds.of(row)


def _wake_readers() -> None:
    hints.notify()
    hints.announce()

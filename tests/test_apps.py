"""What is done when Django is ready, and after migrations."""

from __future__ import annotations

import pytest
from django.core.management.sql import emit_post_migrate_signal
from django.db.migrations.state import ProjectState

from livereferrals.events.models import EventLog

pytestmark = pytest.mark.django_db


def test_the_event_log_has_its_row_after_a_migration() -> None:
    """Without it the first cursors of a new installation would be of no epoch."""
    EventLog.objects.all().delete()
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default")
    assert EventLog.objects.get().epoch


def test_a_migration_back_to_nothing_asks_for_no_row() -> None:
    """O-13: the table is gone by then."""
    EventLog.objects.all().delete()
    emit_post_migrate_signal(verbosity=0, interactive=False, db="default", apps=ProjectState().apps)
    assert not EventLog.objects.exists()


def test_another_databases_migration_is_not_ours() -> None:
    """O-13: our tables may not be there yet."""
    EventLog.objects.all().delete()
    emit_post_migrate_signal(verbosity=0, interactive=False, db="elsewhere", apps=ProjectState().apps)
    assert not EventLog.objects.exists()

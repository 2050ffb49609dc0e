"""What is done when Django is ready, and after migrations."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from django.apps import apps
from django.core.management.sql import emit_post_migrate_signal
from django.db.migrations.state import ProjectState

from livereferrals.events.models import EventLog

if TYPE_CHECKING:
    from django.test import Client
    from pytest_django import Settings

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


def test_old_settings_are_told_of_once_at_the_start(
    settings: Settings, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    """O-10: and by no request, neither in the log nor as a warning"""
    settings.AFFILIATE_QUERY_STRING_KEY = "aid"
    settings.DJANGO_REFERRALS_SETTINGS = {"COOKIE_KEY": "rk"}
    with caplog.at_level(logging.DEBUG, logger="livereferrals"):
        apps.get_app_config("livereferrals").ready()
        client.get("/ref/nobody")
        client.get("/?aid=nobody")
    told = [record.message for record in caplog.records if "older package" in record.message]
    names = "AFFILIATE_QUERY_STRING_KEY, DJANGO_REFERRALS_SETTINGS"
    assert told == [f"Settings of an older package are read: {names}. See docs/settings.md for their new names."]


def test_new_settings_alone_are_nothing_to_tell_of(caplog: pytest.LogCaptureFixture) -> None:
    """O-10"""
    with caplog.at_level(logging.DEBUG, logger="livereferrals"):
        apps.get_app_config("livereferrals").ready()
    assert "older package" not in caplog.text

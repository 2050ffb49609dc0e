"""What empties the database after a test that commits: all rows go, and what Django makes for the models stays."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.db import connection

from livereferrals.events import log
from livereferrals.events.models import Event
from livereferrals.tracking.models import ReferralHit
from tests.factories import make_confirmation, make_event, make_staff
from tests.shop.management.commands import flush
from tests.shop.models import Order

pytestmark = pytest.mark.django_db(transaction=True)


def fill() -> str:
    """Write rows of several apps, and say of which epoch the log is."""
    make_confirmation(amount="3.50")
    make_event()
    make_staff().user_permissions.add(Permission.objects.earliest("pk"))
    return log.bounds().epoch


def empty() -> None:
    call_command("flush", verbosity=0, interactive=False, reset_sequences=False)


@pytest.mark.parametrize("small_bytes", [flush.SMALL_BYTES, 0], ids=["small", "large"])
def test_all_rows_go_and_the_log_begins_anew(monkeypatch: pytest.MonkeyPatch, small_bytes: int) -> None:
    monkeypatch.setattr(flush, "SMALL_BYTES", small_bytes)
    epoch, permissions = fill(), Permission.objects.count()
    empty()
    assert not any(model.objects.exists() for model in (User, Order, Event, ReferralHit))
    assert flush.count(connection, "auth_user_user_permissions") == 0
    assert (Permission.objects.count(), log.bounds().head) == (permissions, 0)
    assert log.bounds().epoch != epoch
    assert flush.are_as_made(connection)


def test_lost_permission_is_made_anew() -> None:
    fill()
    Permission.objects.earliest("pk").delete()
    assert not flush.are_as_made(connection)
    empty()
    assert flush.are_as_made(connection)
    assert not User.objects.exists()

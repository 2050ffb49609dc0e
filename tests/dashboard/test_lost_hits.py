"""Hits that were answered and not recorded: counted by each process, summed, and shown to staff, monitors and the doctor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from django.db import IntegrityError, OperationalError
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from prometheus_client import REGISTRY

from livereferrals.dashboard import system
from livereferrals.events.models import ProcessStatus
from livereferrals.housekeeping.reporting import of_server
from livereferrals.management.diagnosis import processes as diagnosis
from livereferrals.management.diagnosis.findings import Level
from livereferrals.streaming import processes
from livereferrals.streaming.processes import DEAD_FOR, Life
from livereferrals.tracking import losses
from livereferrals.tracking.losses import HitLoss
from tests.dashboard.makers import metrics
from tests.factories import make_staff

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _parted(db: None) -> Iterator[None]:
    yield
    processes.part()


def test_lost_hits_are_said_summed_and_shown() -> None:
    """dashboard-1: by each process that lives, on the page, for monitors, and by the doctor"""
    assert "None was lost" in "".join(finding.text for finding in diagnosis.running())
    processes.say_alive(Life(kind="server", worker=True, lost_hits={"overload": 3, "late": 1}))
    now = timezone.now()
    ProcessStatus.objects.create(
        pk="elsewhere:1:1", kind="server", started_at=now, seen_at=now, lost_hits={"overload": 1000}
    )
    ProcessStatus.objects.create(
        pk="elsewhere:2:1", kind="server", started_at=now, seen_at=now - DEAD_FOR / 2, lost_hits={"overload": 50_000}
    )
    assert system.look().lost_hits == {"overload": 1003, "late": 1}
    client = Client()
    client.force_login(make_staff())
    page = client.get(reverse("livereferrals_dashboard:status")).content.decode()
    assert metrics(page)["lost"] == "1004"
    assert "1,003: more came than the database takes" in page
    told = client.get(reverse("livereferrals_dashboard:status_json")).json()
    assert told["lost_hits"] == {"overload": 1003, "late": 1}
    (warned,) = [finding for finding in diagnosis.running() if finding.about == "Hits"]
    assert warned.level is Level.WARNING
    assert "1004 were lost" in warned.text


def test_server_says_what_it_has_lost() -> None:
    """dashboard-1: what the group of hits tells, and what the plain view cannot write"""
    before = losses.of_process().get("overload", 0)
    losses.Losses().tell({(HitLoss.OVERLOAD, "abc"): 2, (HitLoss.OVERLOAD, "xyz"): 1})
    assert of_server().lost_hits["overload"] == before + 3
    counted = REGISTRY.get_sample_value("livereferrals_hits_lost_total", {"reason": "overload"})
    assert counted == before + 3
    assert losses.why(IntegrityError()) == HitLoss.REFUSED
    assert losses.why(OperationalError()) == HitLoss.DATABASE

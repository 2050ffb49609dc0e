"""What the real packages have left in their tables, recorded; and with `LIVEREFERRALS_REAL_PACKAGES=1` they themselves."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import User
from django.db import connections

from livereferrals.callbacks.models import EndpointState, Subscription
from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink, Visitor
from tests.importing import real
from tests.importing.commands import import_affiliations, import_hype

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ROOT = real.HERE.parent.parent
REAL = pytest.mark.skipif(
    "LIVEREFERRALS_REAL_PACKAGES" not in os.environ, reason="needs the package index and a minute"
)


@pytest.fixture
def old(tmp_path: Path, django_user_model: type[User], db: None) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A connection named "old" to what was recorded, with the same users here."""
    database = tmp_path / "old.sqlite3"
    connections.databases["old"] = {
        **connections.databases["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(database),
        "OPTIONS": {},
    }

    def load(kind: str) -> dict[str, Any]:
        for pk, name in enumerate(("ann", "bob"), 1):
            django_user_model.objects.create(pk=pk, username=name)
        found = real.load(kind, database)
        connections["old"].connect()  # by hand: a test case lets the databases that it knows be opened, and no other
        return found

    yield load
    connections["old"].close()
    del connections["old"]
    del connections.databases["old"]


def test_recorded_rows_of_django_hype(old: Callable[[str], dict[str, Any]]) -> None:
    """I-01, I-07, I-08: from another database, without the package"""
    hits = old("hype")["hits"]
    out = import_hype("--database", "old")
    assert f"hype_referralhit -> hits: {len(hits)} read = {len(hits)} imported + 0 already there + 0 skipped" in out
    assert dict(ReferralLink.objects.values_list("identifier", "disabled")) == {
        "ann1": False,
        "shut": True,
        "nobody": False,
    }
    for told in hits:
        hit = ReferralHit.objects.select_related("link", "user", "visitor").get(pk=told["id"])
        assert (hit.link.identifier, hit.user and hit.user.username) == (told["link"], told["user"])
        assert (hit.created_at, hit.entry_url) == (datetime.fromisoformat(told["created"]), told["next"])
        assert hit.confirmed_at == (told["confirmed"] and datetime.fromisoformat(told["confirmed"]))
        assert hit.referer == "https://blog.example/p"
    assert set(ReferralHit.objects.values_list("ip", flat=True)) == {"127.0.0.0", "2001:db8:1::"}
    assert Visitor.objects.filter(user__username="bob").count() == 1
    assert Confirmation.objects.get().hit.user == User.objects.get(username="bob")
    assert "Nothing was added." in import_hype("--database", "old")


def test_recorded_rows_of_django_affiliate_tracking(old: Callable[[str], dict[str, Any]]) -> None:
    """I-01, I-09, I-10, I-11"""
    told = old("affiliations")
    out = import_affiliations("--database", "old")
    assert "affiliations_subscription -> subscriptions: 4 read = 3 imported + 0 already there + 1 skipped" in out
    assert {partner.uid: [partner.name, partner.active] for partner in Partner.objects.all()} == told["partners"]
    for row in told["visitors"]:
        visitor = Visitor.objects.select_related("user").get(legacy_id=row["id"])
        hit = visitor.hits.select_related("partner", "user").get()
        assert hit.partner is not None
        assert hit.user is not None
        assert (hit.partner.uid, hit.user.username) == (row["partner"], row["user"])
        assert hit.created_at == datetime.fromisoformat(row["created"])
        assert hit.entry_url == row["entry"].replace("?token=secret", "")
        assert hit.confirmed_at == (row["successful"] and datetime.fromisoformat(row["successful"]))
    triggers = Confirmation.objects.order_by("visitor__legacy_id").values_list("partner__name", "trigger")
    assert list(triggers) == [("Acme", "User registered"), ("Other", "Imported")]
    disabled = Subscription.objects.get(endpoint__state=EndpointState.DISABLED)
    assert (disabled.partner.name, disabled.trigger) == ("Other", "Order paid")
    assert "Nothing was added." in import_affiliations("--database", "old")


@REAL
@pytest.mark.once
@pytest.mark.timeout(600)
@pytest.mark.parametrize("kind", ["hype", "affiliations"])
def test_project_moves_over_in_its_own_database(kind: str, tmp_path: Path) -> None:
    """I-01 to I-11: the package's own database is migrated and imported, as the guide says"""
    database = tmp_path / "project.sqlite3"
    told = real.run_site(kind, real.environment(kind, tmp_path / "environment"), database)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TEST_")}
    environment |= {"TEST_DATABASE_URL": f"sqlite:///{database}", "TEST_SCRATCH": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "tests.settings"

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True)  # noqa: S603 - our own
        return done.stdout

    manage("migrate", "--verbosity", "0")
    out = manage("livereferrals", f"import-{kind}", "--pause", "0")
    rows = told["hits"] if kind == "hype" else told["visitors"]
    assert f"{len(rows)} read = {len(rows)} imported + 0 already there + 0 skipped" in out
    with closing(sqlite3.connect(database)) as connection:
        (found,) = connection.execute("SELECT COUNT(*) FROM livereferrals_referralhit WHERE origin = 'import'")
    assert found == (len(rows),)
    assert "Nothing was added." in manage("livereferrals", f"import-{kind}")
    assert "The totals are what the event log says." in manage("livereferrals", "rollup", "--check")

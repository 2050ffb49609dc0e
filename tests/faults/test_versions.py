"""Two versions side by side, as during a deploy: the newer one has migrated, and the older one goes on serving."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, cast

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import connection, migrations, models
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from livereferrals import ids
from livereferrals.callbacks.models import Delivery
from livereferrals.events.models import Event, ProcessStatus
from livereferrals.events.sequencer import number_events
from livereferrals.tracking.models import Confirmation, ReferralHit, Visitor
from tests.browsing import Browser
from tests.factories import PASSWORD, make_staff
from tests.faults.play import Play
from tests.servers import host_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.db.migrations.operations.base import Operation

    from tests.partner import PartnerSink

LARGE: Final = {"referralhit", "event"}
"""Models with millions of rows."""
WIDENED = (Visitor, ReferralHit, Confirmation, Event, Delivery)
"""The tables to which what clients do adds rows."""


@contextlib.contextmanager
def newer_tables() -> Iterator[None]:
    """Add to each table what a newer version may: a column that may be empty, and one with a default of the database's."""
    with connection.cursor() as cursor:
        for model in WIDENED:
            for column in ("newer_note text NULL", "newer_weight integer NOT NULL DEFAULT 1"):
                cursor.execute(f"ALTER TABLE {model._meta.db_table} ADD COLUMN {column}")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            for model in WIDENED:
                for name in ("newer_note", "newer_weight"):
                    cursor.execute(f"ALTER TABLE {model._meta.db_table} DROP COLUMN {name}")


def write_as_newer_version(partner: str) -> None:
    """Write what this version has never heard of, as a process of a newer one does."""
    kinds = {"type": "payout", "partner": partner, "data": {"payout": str(ids.new_uuid()), "amount": "12.50"}}
    Event.objects.create(id=ids.new_uuid(), occurred_at=timezone.now(), **kinds)
    now = timezone.now()
    ProcessStatus.objects.create(id="elsewhere:1:1", kind="payer", started_at=now, seen_at=now)
    number_events()


@pytest.mark.django_db(transaction=True)
def test_older_process_serves_while_a_newer_one_has_migrated_and_writes(sink: PartnerSink) -> None:
    """O-13: new columns, events of an unknown type and processes of an unknown kind cost no hit, event, screen or call"""
    make_staff(username="boss")
    with host_server("uvicorn") as server, contextlib.ExitStack() as stack:
        play = Play.on([server], sink)
        boss = Browser(server.url())
        boss.submit("/admin/login/", username="boss", password=PASSWORD, next="/referrals/")

        async def happen() -> None:
            await play.recovered()
            await sync_to_async(stack.enter_context)(newer_tables())
            await sync_to_async(write_as_newer_version)(play.partner.uid)
            for path in ("", "live/", "partners/moox6esi/", "status/", "status.json"):
                page = await asyncio.to_thread(boss.visit, f"/referrals/{path}")
                assert page.status == HTTPStatus.OK, path
            await play.recovered()

        play.run(happen)
        assert "Traceback" not in server.output()
        assert play.faults() == [], play.account()


# --- the policy ----------------------------------------------------------------------------------------------------------


def breaks_older_processes(operation: Operation) -> bool:
    """Whether a process that was started before the migration may fail after it."""
    if isinstance(operation, migrations.AddField):
        return not operation.field.null and operation.field.db_default is models.NOT_PROVIDED
    return not isinstance(
        operation, migrations.CreateModel | migrations.AddIndex | migrations.AlterModelOptions | migrations.RunPython
    )


def holds_up_hits(operation: Operation) -> bool:
    """Whether PostgreSQL builds an index on hits or events that nobody can be written into meanwhile."""
    if not isinstance(operation, migrations.AddField | migrations.AddIndex) or operation.model_name_lower not in LARGE:
        return False
    if isinstance(operation, migrations.AddField):
        column = cast("models.Field[object, object]", operation.field)
        return bool(vars(column)["db_index"] or column.unique)
    return not isinstance(operation, AddIndexConcurrently)


def field(**options: object) -> migrations.AddField:
    return migrations.AddField("ReferralHit", "more", models.IntegerField(**options))  # type: ignore[arg-type] # as given


INDEX: Final = models.Index(fields=["referer"], name="lr_hit_referer")


@pytest.mark.once
@pytest.mark.parametrize(
    ("operation", "breaks"),
    [
        pytest.param(field(null=True), False, id="empty"),
        pytest.param(field(db_default=0), False, id="default-of-the-database"),
        pytest.param(field(default=0), True, id="default-of-python"),
        pytest.param(migrations.RemoveField("ReferralHit", "referer"), True, id="removed"),
        pytest.param(migrations.RenameField("ReferralHit", "referer", "source"), True, id="renamed"),
        pytest.param(migrations.DeleteModel("Chore"), True, id="table-gone"),
    ],
)
def test_what_breaks_older_processes_is_told_from_what_does_not(operation: Operation, breaks: bool) -> None:
    """O-13"""
    assert breaks_older_processes(operation) is breaks


@pytest.mark.once
@pytest.mark.parametrize(
    ("operation", "holds"),
    [
        pytest.param(migrations.AddIndex("ReferralHit", INDEX), True, id="on-hits"),
        pytest.param(migrations.AddIndex("Event", INDEX), True, id="on-events"),
        pytest.param(AddIndexConcurrently("ReferralHit", INDEX), False, id="concurrently"),
        pytest.param(migrations.AddIndex("Partner", INDEX), False, id="on-a-small-table"),
        pytest.param(field(null=True, db_index=True), True, id="of-a-new-column"),
        pytest.param(field(null=True), False, id="column-without"),
    ],
)
def test_what_holds_up_hits_is_told_from_what_does_not(operation: Operation, holds: bool) -> None:
    """O-13"""
    assert holds_up_hits(operation) is holds


@pytest.mark.once
def test_no_migration_after_the_first_breaks_or_holds_up_older_processes() -> None:
    """O-13: what goes is left alone for one release by the code, and taken away by the next; no table of hits is locked"""
    loader = MigrationLoader(None)
    label = apps.get_app_config("livereferrals").label
    later = [found for (app, name), found in loader.disk_migrations.items() if app == label and name != "0001_initial"]
    assert loader.disk_migrations
    operations = [each for found in later for each in found.operations]
    assert [each for each in operations if breaks_older_processes(each) or holds_up_hits(each)] == []

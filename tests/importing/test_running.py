"""How an import goes: in batches, stopped and resumed, with its progress shown."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError
from django.core.management.base import OutputWrapper
from django.db import connection
from django.test.utils import CaptureQueriesContext

from livereferrals.dashboard.models import DailyTotal
from livereferrals.management import progress
from livereferrals.management.importing import hype_hits, source
from livereferrals.tracking.models import Confirmation, ReferralHit, ReferralLink, Visitor
from tests.factories import make_user
from tests.importing.commands import import_affiliations, import_hype
from tests.importing.old_tables import (
    AFFILIATIONS,
    BEGAN,
    HYPE,
    add_all,
    change,
    create,
    hype_hit,
    hype_hit_values,
    hype_link,
    old_partner,
    old_visitor,
)

if TYPE_CHECKING:
    from pytest_django import Settings

pytestmark = pytest.mark.django_db


@pytest.fixture
def hype(db: None) -> None:
    create(HYPE)


def fill(count: int, **overrides: Any) -> None:
    link = hype_link()
    add_all("hype_referralhit", [hype_hit_values(link, **overrides) for _ in range(count)])


class Stopping(StringIO):
    """A terminal at which somebody presses Ctrl-C when so many rows are done."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self._at = f" {at:,} of "

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._at in text:
            raise KeyboardInterrupt
        return super().write(text)


@pytest.fixture
def every_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show progress after each batch."""
    monkeypatch.setattr(progress, "TERMINAL_S", 0)
    monkeypatch.setattr(progress, "LINE_S", 0)


def test_interrupted_import_is_resumed(hype: None, every_batch: None) -> None:
    """I-02: by running it again"""
    fill(2500, confirmed=BEGAN + timedelta(days=1))
    with pytest.raises(KeyboardInterrupt):
        import_hype(out=Stopping(2000))
    assert ReferralHit.objects.count() == 2000
    out = import_hype()
    assert "hype_referralhit -> hits: 2500 read = 500 imported + 2000 already there + 0 skipped" in out
    assert Visitor.objects.count() == Confirmation.objects.count() == 2500
    assert sum(DailyTotal.objects.values_list("hits", flat=True)) == 2500
    assert "Nothing was added." in import_hype()


def at_insert_of_hit(there: int, *, sqlite: str, postgresql: str) -> None:
    """Have the database do this when a hit is inserted while so many are there."""
    count = f"(SELECT COUNT(*) FROM livereferrals_referralhit) = {there}"  # noqa: S608 - a number of our own
    trigger = "CREATE TRIGGER odd BEFORE INSERT ON livereferrals_referralhit"
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute(f"{trigger} WHEN {count} BEGIN SELECT {sqlite}; END")
        else:
            cursor.execute(
                "CREATE FUNCTION odd() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                f" IF {count} THEN {postgresql}; END IF; RETURN NEW; END $$;"
                f"{trigger} FOR EACH ROW EXECUTE FUNCTION odd()"
            )


def test_batch_is_imported_as_a_whole_or_not_at_all(hype: None) -> None:
    """I-02: a row that the database refuses takes the rows and totals of its batch with it"""
    fill(10)
    at_insert_of_hit(5, sqlite="RAISE(ABORT, 'full')", postgresql="RAISE integrity_constraint_violation")
    with pytest.raises(CommandError, match="run it again"):
        import_hype()
    assert ReferralLink.objects.count() == 1
    assert not any(model._default_manager.exists() for model in (ReferralHit, Visitor, DailyTotal))


def test_statements_do_not_grow_with_the_rows_of_a_batch(hype: None) -> None:
    """I-06"""
    bob = make_user()
    values = {"hit_user_id": bob.pk, "confirmed": BEGAN + timedelta(days=1)}

    def statements(count: int) -> int:
        add_all("hype_referralhit", [hype_hit_values(link, **values) for _ in range(count)])
        with CaptureQueriesContext(connection) as captured:
            import_hype()
        return len(captured)

    link = hype_link()
    statements(2)
    assert statements(2) == statements(400) < 90


@pytest.mark.once
def test_repeats_are_looked_for_among_the_hits_of_their_user(hype: None) -> None:
    """I-06, I-02: those of a link may be all there are, and SQLite takes either index where nothing has counted them"""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL knows how many there are")
    with connection.cursor() as cursor:  # as Django makes them for the old package's foreign keys
        for column in ("hit_user_id", "referral_link_id"):
            cursor.execute(f"CREATE INDEX by_{column} ON hype_referralhit ({column})")
        cursor.execute(f"EXPLAIN QUERY PLAN {hype_hits.READING.select.replace('@', '')}")
        plan = [step for *_, step in cursor.fetchall()]
    assert [step for step in plan if " e " in step] == ["SEARCH e USING INDEX by_hit_user_id (hit_user_id=?)"]


def test_memory_does_not_grow_with_the_rows(hype: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-06: twenty batches need what two need; small ones, because what counts memory is slow"""
    monkeypatch.setattr(source, "BATCH", 100)
    monkeypatch.setattr(source, "KEYS", 200)
    link = hype_link()

    def peak(batches: int) -> int:
        add_all("hype_referralhit", [hype_hit_values(link) for _ in range(batches * source.BATCH)])
        tracemalloc.start()
        try:
            import_hype()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(1)
    few = peak(2)
    assert peak(20) < 2 * few
    assert ReferralHit.objects.count() == 23 * source.BATCH


def test_hits_are_read_in_the_order_of_time(hype: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """I-06: each once, also where many have one time and the keys do not fit into one look"""
    monkeypatch.setattr(source, "BATCH", 3)
    monkeypatch.setattr(source, "KEYS", 7)
    link = hype_link()
    times = [BEGAN + timedelta(hours=number // 10) for number in range(40)]
    add_all("hype_referralhit", [hype_hit_values(link, created=at) for at in reversed(times)])
    reading = source.Source(alias="default").batches(hype_hits.OLD)
    found = [(str(row.created), str(row.uuid)) for rows in reading for row in rows]
    assert found == sorted(found)
    assert len(set(found)) == len(found) == 40
    assert "40 read = 40 imported" in import_hype()


def test_terminal_shows_a_bar_with_rows_rate_and_time_left(hype: None, every_batch: None) -> None:
    """I-04"""
    fill(2500)
    terminal = Stopping(0)
    import_hype(out=terminal)
    shown = terminal.getvalue()
    assert "[#########...............] hype_referralhit: 1,000 of 2,500 rows, " in shown
    assert " a second, 0:0" in shown
    assert "left\r\x1b[K[" in shown
    assert shown.splitlines()[-1].startswith("hype_referralhit.confirmed -> ")


def test_plain_lines_where_there_is_no_terminal(hype: None, every_batch: None) -> None:
    """I-04"""
    fill(1500)
    out = import_hype()
    assert "\r" not in out
    assert [line.split(" rows")[0] for line in out.splitlines() if " of " in line and "->" not in line] == [
        "hype_referrallink: 1 of 1",
        "hype_referralhit: 1,000 of 1,500",
        "hype_referralhit: 1,500 of 1,500",
    ]


def test_quiet_prints_the_report_alone(hype: None, every_batch: None) -> None:
    """I-04"""
    fill(10)
    out = import_hype("--quiet")
    assert [line.split(":")[0] for line in out.splitlines()] == [
        "hype_referrallink -> links",
        "hype_referralhit -> hits",
        "hype_referralhit.confirmed -> confirmations of 'Imported'",
    ]


@pytest.mark.once
def test_rate_and_time_left_are_worked_out() -> None:
    """I-04"""
    assert progress.told("t", done=500, total=2000, elapsed_s=5.0) == "t: 500 of 2,000 rows, 100 a second, 0:15 left"
    assert progress.told("t", done=1, total=1_000_000, elapsed_s=1.0).endswith("277:46:39 left")
    assert progress.told("t", done=2100, total=2000, elapsed_s=1.0) == "t: 2,100 of 2,100 rows, 2,100 a second"


def test_numbers_that_do_not_add_up_end_with_an_error(hype: None) -> None:
    """I-05: a hit that another writer has put there without its batch knowing"""
    fill(3)
    at_insert_of_hit(2, sqlite="RAISE(IGNORE)", postgresql="RETURN NULL")
    out = StringIO()
    with pytest.raises(CommandError, match="do not add up"):
        import_hype(out=out)
    assert "3 read = 2 imported + 0 already there + 0 skipped  DOES NOT ADD UP" in out.getvalue()


def test_only_what_is_newer_on_request(hype: None) -> None:
    """I-15: --since, a day in the project's zone"""
    link = hype_link()
    hype_hit(link, created=datetime(2024, 6, 30, 21, 59, tzinfo=UTC))
    new = hype_hit(link, created=datetime(2024, 6, 30, 22, 0, tzinfo=UTC))
    out = import_hype("--since", "2024-07-01")
    assert "hype_referralhit -> hits: 1 read = 1 imported" in out
    assert ReferralHit.objects.get().pk == new
    assert "2 read = 1 imported + 1 already there" in import_hype()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "yesterday"], "'yesterday' is no date or time"),
        (["--time-zone", "Mars/Olympus"], "no time zone 'Mars/Olympus'"),
        (["--trigger", ""], "1 to 100 characters"),
        (["--pause", "-1"], "not less than none"),
    ],
    ids=["since", "zone", "trigger", "pause"],
)
def test_mistakes_on_the_command_line_are_told(hype: None, arguments: list[str], message: str) -> None:
    """I-15"""
    with pytest.raises(CommandError, match=message):
        import_hype(*arguments)


def test_texts_and_addresses_that_cannot_be_kept_are_cut_or_dropped(hype: None) -> None:
    """I-13: with a note, and never fatal"""
    link = hype_link()
    pk = hype_hit(
        link, user_agent="M" * 1500, http_referer="https://a.example/" + "r" * 3000, next="/x?token=secret&a=1"
    )
    if connection.vendor == "sqlite":  # PostgreSQL's column takes addresses alone
        change("hype_referralhit", pk, ip="not an address")
    out = import_hype()
    hit = ReferralHit.objects.get()
    assert (len(hit.user_agent), len(hit.referer), hit.entry_url) == (1000, 1000, "/x?a=1")
    assert f"1 x its user_agent was longer than 1000 characters and is cut: {pk}" in out
    assert f"1 x its referer was longer than 1000 characters and is cut: {pk}" in out
    if connection.vendor == "sqlite":
        assert hit.ip is None
        assert f"1 x its address cannot be read and is left out: {pk}" in out


@pytest.mark.parametrize(
    ("mode", "kept"), [("truncate", "203.0.113.0"), ("full", "203.0.113.77"), ("none", None)], ids=str
)
def test_addresses_are_kept_as_the_setting_says(hype: None, settings: Settings, mode: str, kept: str | None) -> None:
    """I-13"""
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"IP": mode}
    hype_hit(hype_link())
    import_hype()
    assert ReferralHit.objects.get().ip == kept


@pytest.mark.once
def test_naive_times_are_those_of_the_zone(hype: None, settings: Settings) -> None:
    """I-13: what an old project without USE_TZ has stored on SQLite, read by one with it, and the other way round"""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL stores the zone")
    link = hype_link()
    pk = hype_hit(link)
    change("hype_referralhit", pk, created="2024-07-01 12:00:00")
    import_hype("--time-zone", "Europe/Berlin")
    assert ReferralHit.objects.get().created_at == datetime(2024, 7, 1, 10, 0, tzinfo=UTC)


def test_naive_columns_are_in_the_zone_of_the_project(db: None) -> None:
    """I-13: PostgreSQL has a type for times without a zone"""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has text alone")
    create({"postgresql": HYPE["postgresql"].replace("with time zone", "")})
    hype_hit(hype_link(), created="2024-07-01 12:00:00")
    import_hype()
    assert ReferralHit.objects.get().created_at == datetime(2024, 7, 1, 10, 0, tzinfo=UTC)  # noon in Berlin


def test_project_without_time_zones(hype: None, settings: Settings) -> None:
    """I-13, N-17: naive times are read in the project's zone"""
    settings.USE_TZ = False
    at = datetime(2024, 7, 1, 12, 0)  # noqa: DTZ001 - as the database has it
    link = hype_link(created=at, updated=at)
    hype_hit(link, created=at, updated=at, confirmed=at + timedelta(days=1))
    import_hype()
    assert ReferralHit.objects.get().created_at == at
    assert "Nothing was added." in import_hype()
    settings.USE_TZ = True
    assert ReferralHit.objects.get().created_at.replace(tzinfo=None) in (at, at - timedelta(hours=2))


@pytest.mark.once
def test_time_that_cannot_be_read_skips_the_row(hype: None) -> None:
    """I-13, I-05: SQLite stores what it is given"""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL's column takes times alone")
    link = hype_link()
    pk = hype_hit(link, confirmed=BEGAN)
    change("hype_referralhit", pk, created="0000-00-00 00:00:00")
    late = hype_hit(link, confirmed=BEGAN)
    change("hype_referralhit", late, confirmed="soon")
    out = import_hype()
    assert f"hype_referralhit {pk}: skipped: its time cannot be read" in out
    assert f"hype_referralhit.confirmed {late}: skipped: the time cannot be read" in out
    assert ReferralHit.objects.get().pk == late


def test_time_to_come_counts_as_now(hype: None) -> None:
    """I-13, A-04: of a clock that was wrong"""
    hype_hit(hype_link(), created=datetime(2090, 1, 1, tzinfo=UTC))
    import_hype()
    assert ReferralHit.objects.get().created_at < datetime.now(UTC)


def test_affiliations_are_read_in_batches_too(db: None) -> None:
    """I-06"""
    create(AFFILIATIONS)
    ann, partner = make_user(), old_partner()
    old_visitor(partner, ann.pk)
    values = {"partner_id": partner, "user_id": ann.pk, "entry_point": "/", "referred_on": BEGAN, "successful_on": None}
    add_all("affiliations_visitor", [values] * 2200)
    assert "visitors, each with its hit: 2201 read = 2201 imported" in import_affiliations()
    assert Visitor.objects.filter(legacy_id__isnull=False).count() == ReferralHit.objects.count() == 2201


@pytest.mark.once
def test_output_is_that_of_a_command() -> None:
    """I-04: lines that are drawn anew need Django's wrapper"""
    terminal = Stopping(0)
    shown = progress.Output(OutputWrapper(terminal), quiet=False)
    shown.begin("t", total=2)
    shown.progress(2)
    shown.line("done")
    assert terminal.getvalue().endswith("\r\x1b[Kdone\n")

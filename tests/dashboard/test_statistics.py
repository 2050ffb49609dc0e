from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from livereferrals.dashboard import rollups, statistics
from livereferrals.dashboard.models import HourlyPartnerTotal
from livereferrals.dashboard.ranges import HOUR, Dates, Range, span_of
from livereferrals.dashboard.sources import By, Whose
from livereferrals.dashboard.statistics import Figures, Numbers
from livereferrals.events import log
from livereferrals.events.models import Event
from livereferrals.tracking.models import Confirmation, ReferralLink
from tests.dashboard import makers
from tests.factories import make_link

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 21, 11, 20, tzinfo=UTC)
STEPS = 60


def numbers_now(chosen: Range = Range.TODAY, *, now: datetime = NOW) -> Numbers:
    span = span_of(chosen, now=now, zone=timezone.get_default_timezone())
    return Figures(log.bounds()).numbers(span)


def recount(chosen: Range, *, now: datetime, **where: object) -> Numbers:
    """The same from all events and confirmations, the slow and obvious way; of one partner or link where one is named."""
    span = span_of(chosen, now=now, zone=timezone.get_default_timezone())
    events = [event for event in Event.objects.filter(seq__isnull=False, **where) if event.occurred_at in span]
    kinds = defaultdict(list)
    for event in events:
        kinds[event.type].append(event)
    mine = {str(event.data["confirmation"]) for event in Event.objects.filter(type="confirmation", **where)}
    rows = {str(row.pk): row for row in Confirmation.objects.all()}
    standing = {pk: rows[pk] for pk in mine if rows[pk].occurred_at in span}
    taken = list(Event.objects.filter(type="reversal", **where))
    gone = {event.data["confirmation"] for event in taken if not event.data["partial"]}
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for row in standing.values():
        if row.amount_micros is not None:
            sums[row.currency] += Decimal(row.amount_micros) / 1_000_000
    for event in taken:
        if event.data["confirmation"] in standing and event.data["currency"]:
            sums[event.data["currency"]] -= Decimal(event.data["amount"])
    for event in kinds["reversal"]:
        if event.data["currency"]:
            sums[event.data["currency"]] += 0
    return Numbers(
        hits=len(kinds["hit"]),
        visitors=sum(not event.data["repeat"] for event in kinds["hit"]),
        claims=len(kinds["claim"]),
        confirmations=len(standing.keys() - gone),
        reversals=len(kinds["reversal"]),
        amounts=dict(sorted(sums.items())),
    )


class Story:
    """Things that happen by chance."""

    def __init__(self, seed: int, *, now: datetime = NOW) -> None:
        self.now = now
        self.chance = random.Random(seed)  # noqa: S311 - a test's dice
        self.links = [make_link(), make_link(owner="house")]
        self.standing: list[Confirmation] = []
        self.steps = [self.hit, self.claim, self.confirm, self.reverse, self.reverse_in_part, self.deliver]

    def step(self) -> None:
        self.chance.choice([*self.steps, rollups.advance])()

    def moment(self) -> datetime:
        hours = self.chance.choice([0, 0, 1, 5, 13, 30, 200, 900])
        return self.now - timedelta(hours=hours, minutes=self.chance.randrange(60))

    def link(self) -> ReferralLink:
        return self.chance.choice(self.links)

    def hit(self) -> None:
        makers.hit(self.link(), at=self.moment(), repeat=self.chance.random() < 0.3)

    def claim(self) -> None:
        makers.claim(self.link(), at=self.moment())

    def confirm(self) -> None:
        amount, currency = self.chance.choice([("12.50", "EUR"), ("1000", "JPY"), ("0.105", "KWD"), (None, "")])
        self.standing.append(makers.confirmed(self.link(), at=self.moment(), amount=amount, currency=currency))

    def reverse(self) -> None:
        if self.standing:
            place = self.chance.randrange(len(self.standing))
            makers.reversed_(self.standing.pop(place), at=self.moment())

    def reverse_in_part(self) -> None:
        priced = [row for row in self.standing if row.currency == "EUR"]
        if priced:
            makers.reversed_(self.chance.choice(priced), at=self.moment(), amount="0.10", partial=True)

    def deliver(self) -> None:
        makers.delivered(self.links[0])


@pytest.mark.parametrize("seed", range(3))
def test_numbers_equal_the_database_after_every_step(seed):
    """dashboard-7: random events, reversals, late ones, and rollups at random moments"""
    story = Story(seed)
    for _ in range(STEPS):
        story.step()
        chosen = story.chance.choice(list(Range))
        assert numbers_now(chosen) == recount(chosen, now=NOW)
    rollups.advance()
    for chosen in Range:
        assert numbers_now(chosen) == recount(chosen, now=NOW)


@pytest.mark.parametrize("chosen", list(Range))
def test_numbers_of_one_partner_and_one_link_equal_the_database(chosen):
    """dashboard-7: also of the hours of the last days"""
    now = timezone.now()
    story = Story(7, now=now)
    zone = timezone.get_default_timezone()
    theirs, house = story.links
    assert theirs.partner is not None
    for count in range(STEPS):
        story.step()
        if count % 15:
            continue
        span, bounds = span_of(chosen, now=now, zone=zone), log.bounds()
        by_partner = Figures(bounds).divided(span, by=By.PARTNER)
        by_link = Figures(bounds).divided(span, by=By.LINK)
        nothing = Numbers(amounts={})
        uid = theirs.partner.uid
        of_partner = recount(chosen, now=now, partner=uid)
        assert Figures(bounds).numbers(span, whose=Whose(partners=frozenset({uid}))) == of_partner
        assert by_partner.get(uid, nothing) == of_partner
        for link in (theirs, house):
            of_link = recount(chosen, now=now, link=link.pk)
            assert Figures(bounds).numbers(span, whose=Whose(link=link.pk)) == of_link
            assert by_link.get(link.pk, nothing) == of_link
        assert set(by_partner) <= {uid}
        ranked = sorted(by_link.items(), key=lambda item: (-item[1].confirmations, -item[1].hits, str(item[0])))
        assert Figures(bounds).leaders(span, by=By.LINK, count=1) == ranked[:1]
        assert Figures(bounds).divided(span, by=By.PARTNER, only=["none"]) == {}
        assert set(Figures(bounds).divided(span, by=By.LINK, whose=Whose(partners=frozenset({uid})))) <= {theirs.pk}


@pytest.mark.parametrize(("chosen", "hourly", "count"), [(Range.DAY, True, 24), (Range.WEEK, False, 7)])
def test_steps_of_a_chart_add_up_to_the_numbers(chosen, hourly, count):
    """dashboard-7, dashboard-48"""
    now = timezone.now()
    story = Story(11, now=now)
    zone = timezone.get_default_timezone()
    for _ in range(STEPS):
        story.step()
    span, bounds = span_of(chosen, now=now, zone=zone), log.bounds()
    assert story.links[0].partner is not None
    for whose in (Whose(), Whose(partners=frozenset({story.links[0].partner.uid})), Whose(link=story.links[1].pk)):
        steps = Figures(bounds).steps(span, zone=zone, hourly=hourly, whose=whose)
        whole = Figures(bounds).numbers(span, whose=whose)
        assert len(steps) == count
        assert (steps[0].span.start, steps[-1].span.end) == (span.start, span.end)
        assert statistics.total(steps) == whole


def test_hours_of_a_partner_are_forgotten_after_two_days():
    """dashboard.md 3: what is kept for ever is by the day"""
    link = make_link()
    now = timezone.now()
    makers.hit(link, at=now - timedelta(hours=60))
    makers.hit(link, at=now)
    rollups.advance()
    assert [row.hits for row in HourlyPartnerTotal.objects.all()] == [1]
    HourlyPartnerTotal.objects.update(starts_at=now - timedelta(hours=51))
    makers.hit(link, at=now)
    rollups.advance()
    assert [row.hits for row in HourlyPartnerTotal.objects.all()] == [1]


def test_amounts_are_never_added_up_across_currencies():
    """N-07, dashboard.md 6"""
    link = make_link()
    for amount, currency in (("0.10", "EUR"), ("0.20", "EUR"), ("999999999999.99", "USD"), ("7", "JPY")):
        makers.confirmed(link, at=NOW, amount=amount, currency=currency)
    wanted = {"EUR": Decimal("0.30"), "JPY": Decimal(7), "USD": Decimal("999999999999.99")}
    assert numbers_now().amounts == wanted
    rollups.advance()
    assert numbers_now().amounts == wanted
    assert list(numbers_now().amounts) == ["EUR", "JPY", "USD"]


def test_rate_is_confirmations_for_each_visitor():
    """dashboard.md 6"""
    link = make_link()
    assert numbers_now().rate is None
    makers.confirmed(link, at=NOW)
    assert numbers_now().rate is None
    for _ in range(3):
        makers.hit(link, at=NOW)
    makers.hit(link, at=NOW, repeat=True)
    assert numbers_now().rate == Decimal("0.333333")


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
def test_short_and_long_days_are_the_sum_of_their_hours(day, hours):
    """dashboard-48: summer time begins and ends in Berlin"""
    link = make_link()
    noon = datetime.fromisoformat(day).replace(hour=11, tzinfo=UTC)
    start = span_of(Range.TODAY, now=noon, zone=timezone.get_default_timezone()).start
    for half in range(-2, 2 * hours + 2):
        makers.hit(link, at=start + timedelta(minutes=30 * half))
    assert numbers_now(now=noon).hits == 2 * hours
    rollups.advance()
    assert numbers_now(now=noon).hits == 2 * hours


def test_long_tail_is_rolled_up_before_it_is_read():
    """dashboard.md 3: rollups plus the tail, never a count over the log"""
    link = make_link()
    makers.hit(link)
    statistics.keep_tail_short()
    assert rollups.position().seq == 0
    log.append_all([makers.hit_entry(link) for _ in range(statistics.TAIL)])
    makers.hit(link)
    statistics.keep_tail_short()
    assert rollups.position().seq == log.bounds().head


@pytest.mark.parametrize(
    ("chosen", "table"), [(Range.MONTH, "dailytotal"), (Range.TODAY, "dailytotal"), (Range.DAY, "hourlytotal")]
)
def test_whole_days_are_read_by_the_day(chosen: Range, table: str) -> None:
    """performance P18: a year is as few rows as a fortnight is by the hour"""
    link = make_link()
    for days in (0, 1, 28):
        makers.hit(link, at=NOW - timedelta(days=days))
    rollups.advance()
    span = span_of(chosen, now=NOW, zone=timezone.get_default_timezone())
    figures = Figures(log.bounds())
    with CaptureQueriesContext(connection) as seen:
        found = figures.numbers(span)
    assert found.hits == {Range.MONTH: 3, Range.TODAY: 1, Range.DAY: 1}[chosen]
    assert f'FROM "livereferrals_{table}"' in seen.captured_queries[0]["sql"]


@pytest.mark.parametrize("by", [By.PARTNER, By.LINK])
@pytest.mark.parametrize(
    ("first", "last"), [("2025-11-15", "2026-11-21"), ("2026-01-01", "2026-10-31"), ("2026-08-31", "2026-11-01")]
)
def test_long_spans_of_all_partners_are_read_by_the_month(by: By, first: str, last: str) -> None:
    """performance P19: and come to what the days come to, with what is not rolled up yet"""
    links = [make_link() for _ in range(3)]
    chosen = Dates(first=date.fromisoformat(first), last=date.fromisoformat(last))
    span = span_of(chosen, now=NOW, zone=timezone.get_default_timezone())
    edges = [span.start, span.start - HOUR / 2, span.end, span.end - HOUR / 2]
    for number, at in enumerate([*edges, *(span.start + timedelta(days=17 * step) for step in range(26))]):
        makers.confirmed(links[number % 2], at=at, amount="1.50", currency="EUR")
        makers.hit(links[number % 3], at=at)
        if number == 20:
            rollups.advance()
    figures = Figures(log.bounds())
    uids = {link.pk: link.partner.uid for link in links if link.partner}
    whose: dict[By, dict[Any, Whose]] = {
        By.PARTNER: {uid: Whose(partners=frozenset({uid})) for uid in uids.values()},
        By.LINK: {pk: Whose(link=pk) for pk in uids},
    }
    whole = {key: figures.numbers(span, whose=one) for key, one in whose[by].items()}
    with CaptureQueriesContext(connection) as seen:
        leaders = figures.leaders(span, by=by, count=2)
    assert sum(f"livereferrals_monthly{by}total" in each["sql"] for each in seen.captured_queries) == 2
    assert figures.divided(span, by=by) == whole
    ranked = sorted(whole, key=lambda key: (-whole[key].confirmations, -whole[key].hits, str(key)))
    assert leaders == [(key, whole[key]) for key in ranked[:2]]


def test_numbers_need_few_queries_however_much_there_is(django_assert_max_num_queries):
    """dashboard.md 3"""
    link = make_link()
    confirmations = [makers.confirmed(link, at=NOW, amount="1", currency="EUR") for _ in range(20)]
    rollups.advance()
    for confirmation in confirmations:
        makers.reversed_(confirmation, at=NOW)
    bounds = log.bounds()
    span = span_of(Range.MONTH, now=NOW, zone=timezone.get_default_timezone())
    with django_assert_max_num_queries(5):
        assert Figures(bounds).numbers(span).confirmations == 0


@pytest.mark.parametrize("by", [By.PARTNER, By.LINK, By.TRIGGER])
def test_nobody_has_no_numbers(by: By) -> None:
    """dashboard-3 Before the first hit there is no leader, and who may see no partner sees nothing of anybody's."""
    span = span_of(Range.MONTH, now=NOW, zone=timezone.get_default_timezone())
    figures, nobody = Figures(log.bounds()), Whose(partners=frozenset())
    assert figures.leaders(span, by=by, count=5) == []
    assert figures.divided(span, by=by, only=[]) == {}
    assert figures.leaders(span, by=by, count=5, whose=nobody) == []
    assert figures.numbers(span, whose=nobody).hits == 0

"""What a batch writes is what the plain way writes, column by column."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from livereferrals import ids
from livereferrals.events.models import Event
from livereferrals.exceptions import LiveReferralsError
from livereferrals.tracking import hit_columns, hit_rows, kept
from livereferrals.tracking.drafts import HitDraft
from livereferrals.tracking.entries import hit_entry
from livereferrals.tracking.links import KnownLink
from livereferrals.tracking.models import ReferralHit, ReferralLink, Visitor
from livereferrals.tracking.recording import record_hit
from livereferrals.tracking.writing import PlainWriter, _kind
from tests.factories import make_hit, make_link, make_partner, make_user, make_visitor
from tests.tracking.drafting import AGENT, all_stored, make_draft, stored

pytestmark = pytest.mark.django_db
NOW = timezone.now()
LINKS = ("abc123", "ann1", "house1")
VISITORS = {name: ids.new_uuid() for name in ("free", "free too", "anns", "erased", "gone")}

texts = st.text(st.characters(exclude_categories=()), max_size=12) | st.sampled_from(
    [
        "",
        "/x?a=1&token=2#f",
        "https://blog.example/p?key=1",
        "http://[x",
        'a"b\\c',
        "{,}",
        "NULL",
        "é" * 2100,
        AGENT,
        "a\x00b",
    ]
)
drafts = st.fixed_dictionaries(
    {"link": st.sampled_from(LINKS)},
    optional={
        "visitor": st.sampled_from([None, *VISITORS.values()]),
        "now": st.integers(0, 50 * 3600).map(lambda seconds: NOW + timedelta(seconds=seconds)),
        "entry_url": texts,
        "user_agent": texts,
        "referer": texts,
        "ip": st.sampled_from([None, "", "203.0.113.77", "2001:db8:1:2::3", "::ffff:192.0.2.1", "[::1]:8", "nonsense"]),
        "click_id": texts,
        "subs": st.lists(texts, max_size=7),
        "bot": st.booleans(),
        "flagged_by": st.sampled_from(["", "office", "an-odd_rule9"]),
        "consent": st.booleans(),
    },
)


@pytest.fixture
def links() -> dict[str, KnownLink]:
    """A partner's link, a user's and the house's, and the visitors that browsers may carry."""
    ann = make_user()
    make_link(identifier="abc123", partner=make_partner(user=ann))
    make_link(identifier="ann1", user=ann)
    make_link(identifier="house1", owner="house")
    for name in ("free", "free too"):
        make_visitor(id=VISITORS[name])
    make_visitor(id=VISITORS["anns"], user=ann)
    make_visitor(id=VISITORS["erased"], claimed_at=NOW)
    make_hit(
        link=ReferralLink.objects.get(identifier="ann1"),
        visitor=Visitor.objects.get(pk=VISITORS["free"]),
        created_at=NOW,
    )
    return {link.identifier: KnownLink.of(link) for link in ReferralLink.objects.select_related("partner", "user")}


def written(kind: Any, said: list[HitDraft]) -> Any:
    """Return all rows after a batch, which is rolled back, and whose each hit is."""
    with transaction.atomic():
        rows = kind(connection).write(said, hits=[ids.new_uuid() for _ in said])
        found = all_stored()
        owners = [row.visitor if row.visitor in VISITORS.values() else row.visitor is not None for row in rows]
        transaction.set_rollback(True)
    return found, owners


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(said=st.lists(drafts, min_size=1, max_size=6))
def test_batch_writes_the_rows_of_the_plain_way(links: dict[str, KnownLink], said: list[dict[str, Any]]) -> None:
    """L-09, L-39, V-04, V-12, V-14, L-35: the same in every column, whoever is carried and whatever is said"""
    made = [HitDraft(**{"now": NOW} | values | {"link": links[values["link"]]}) for values in said]
    assert _kind(connection) is not PlainWriter
    assert written(_kind(connection), made) == written(PlainWriter, made)


def test_every_column_has_a_place_in_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """L-09: one that a model gets anew is noticed here, and not left empty"""
    for model in hit_columns.PLACES:
        assert len(hit_columns.columns(model)) == len(model._meta.concrete_fields)
    left = {name: place for name, place in hit_columns.HIT.items() if name != "device"}
    monkeypatch.setitem(hit_columns.PLACES, ReferralHit, left)  # type: ignore[misc] # read-only for the code
    with pytest.raises(LiveReferralsError, match="device"):
        _kind(connection)(connection)


def test_follow_earlier_in_the_batch_makes_a_repeat(links: dict[str, KnownLink]) -> None:
    """L-39: as if each hit had been written before the next"""
    free = make_visitor()
    link = ReferralLink.objects.get(identifier="abc123")
    said = [make_draft(link, visitor=free.pk, now=NOW + timedelta(hours=hours)) for hours in (0, 23, 48)]
    _kind(connection)(connection).write(said, hits=[ids.new_uuid() for _ in said])
    assert list(ReferralHit.objects.filter(visitor=free).order_by("id").values_list("repeat", flat=True)) == [
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("consent", [True, False])
def test_event_of_a_batch_is_that_of_the_entry(consent: bool) -> None:
    """L-09: `data` is written out, and exactly what `hit_entry` says"""
    hit = record_hit(
        make_link(),
        entry_url='/caf\u00e9/"x"?a=1',
        referer="https://Blog.example:8080/p\u20ac",
        click_id='c"\\',
        subs=["", "a\n", "\u20ac"],
        consent=consent,
    )
    said = kept.Kept._make(getattr(hit, name) for name in kept.Kept._fields)
    text = hit_rows.event_data(said, hit=hit.pk, visitor=hit.visitor_id, repeat=False)
    assert text == json.dumps(hit_entry(hit).data)
    assert Event.objects.get().data == json.loads(text)


def test_text_is_stored_as_django_stores_it(links: dict[str, KnownLink]) -> None:
    """L-09: what compares on SQLite as text compares"""
    link = ReferralLink.objects.get(identifier="abc123")
    moment = NOW.replace(microsecond=0)
    record_hit(link, now=moment)
    _kind(connection)(connection).write([make_draft(link, now=moment)], hits=[ids.new_uuid()])
    first, second = stored(ReferralHit)[-2:]
    assert first["created_at"] == second["created_at"]
    assert ReferralHit.objects.filter(created_at=moment).count() == 2

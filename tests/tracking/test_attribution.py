"""The rule that chooses the credited hit."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.tracking.attribution import (
    FIRST_CLICK,
    LAST_CLICK,
    LISTED,
    REFUSALS,
    Candidate,
    Choice,
    choose,
    shortened,
    trace,
)
from livereferrals.tracking.reasons import Place, Reason

if TYPE_CHECKING:
    from collections.abc import Callable

AT = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
WINDOW = timedelta(days=90)


def candidate(number: int = 1, *, age_s: float = 60, **overrides: Any) -> Candidate:
    """A hit of partner P; `number` makes its id."""
    values: dict[str, Any] = {
        "hit": uuid.UUID(int=number),
        "link": f"link{number}",
        "created_at": AT - timedelta(seconds=age_s),
        "partner": "moox6esi",
    }
    return Candidate(**values | overrides)


def chosen(*candidates: Candidate, rule: str = LAST_CLICK, window: timedelta | None = WINDOW) -> Choice:
    return choose(candidates, rule=rule, window=window, at=AT)


def verdicts(choice: Choice) -> dict[int, str]:
    return {each.candidate.hit.int: str(each.verdict) for each in choice.considered}


@pytest.mark.parametrize(("rule", "credited"), [(LAST_CLICK, 3), (FIRST_CLICK, 1)])
def test_the_rule_takes_the_latest_or_the_earliest_hit(rule: str, credited: int) -> None:
    """A-01: last click by default, first click on demand; the order of the candidates does not matter."""
    hits = [candidate(2, age_s=20), candidate(3, age_s=10), candidate(1, age_s=30)]
    assert chosen(*hits, rule=rule).chosen == candidate(credited, age_s={1: 30, 3: 10}[credited])


@pytest.mark.parametrize("rule", [LAST_CLICK, FIRST_CLICK])
def test_of_equal_times_the_higher_id_is_credited(rule: str) -> None:
    """A-01: the answer is the same each time it is asked, and in any order."""
    hits = [candidate(7), candidate(9), candidate(8)]
    assert {chosen(*order, rule=rule).chosen for order in (hits, hits[::-1])} == {hits[1]}


def test_ineligible_hits_are_stepped_over_and_the_trace_says_why() -> None:
    """A-02, A-10: Q is not subscribed, so P's earlier hit is credited; each hit has one verdict."""
    q, p, ann = (
        candidate(3, age_s=60, partner="zk41pp0q", subscribed=False),
        candidate(2, age_s=3600),
        candidate(1, age_s=7200, partner=None, subscribed=False, partner_active=False),
    )
    choice = chosen(ann, q, p)
    assert choice.chosen == p
    assert choice.reason is Reason.CONFIRMED
    assert verdicts(choice) == {3: "not-subscribed", 2: "credited", 1: "older"}


def test_first_click_calls_the_hits_after_the_credited_one_newer() -> None:
    """A-10: the verdict for first click."""
    assert verdicts(chosen(candidate(1, age_s=30), candidate(2, age_s=20), rule=FIRST_CLICK)) == {
        1: "credited",
        2: "newer",
    }


@pytest.mark.parametrize(
    ("age", "reason"),
    [(WINDOW, Reason.CONFIRMED), (WINDOW + timedelta(microseconds=1), Reason.OUT_OF_WINDOW)],
    ids=["exactly the window", "more"],
)
def test_a_hit_counts_up_to_exactly_the_window(age: timedelta, reason: Reason) -> None:
    """A-03: a hit exactly `window` old still counts, more does not."""
    assert chosen(candidate(created_at=AT - age)).reason is reason


def test_without_a_window_no_hit_is_too_old() -> None:
    """A-03: `None` means no limit."""
    assert chosen(candidate(age_s=10**9), window=None).reason is Reason.CONFIRMED


def test_a_hit_of_the_future_counts_as_now() -> None:
    """A-04: a clock that was set back makes no hit negative, nor newer than one of this moment with a higher id."""
    choice = chosen(candidate(1, age_s=-3600), candidate(2, age_s=0))
    assert choice.chosen is not None
    assert choice.chosen.hit.int == 2
    assert {each.age for each in choice.considered} == {timedelta(0)}


KINDS: dict[Reason, dict[str, Any]] = {
    Reason.OUT_OF_WINDOW: {"age_s": 10**8},
    Reason.SELF_REFERRAL: {"self_referral": True},
    Reason.BOT: {"bot": True},
    Reason.FLAGGED: {"flagged": True},
    Reason.NO_CONSENT: {"no_consent": True},
    Reason.LINK_DISABLED: {"link_dropped": True},
    Reason.PARTNER_INACTIVE: {"partner_active": False},
    Reason.NOT_SUBSCRIBED: {"subscribed": False},
}


@pytest.mark.parametrize("reason", KINDS, ids=str)
def test_hits_that_are_all_of_one_kind_give_its_reason(reason: Reason) -> None:
    """S-31: reasons 9 to 13, for two hits of the kind."""
    choice = chosen(candidate(1, **KINDS[reason]), candidate(2, **KINDS[reason]))
    assert (choice.reason, choice.chosen) == (reason, None)
    assert set(verdicts(choice).values()) == {str(reason)}


def test_no_hits_at_all_is_a_reason_too() -> None:
    """S-31 no. 8: the subject has never followed a link."""
    assert chosen().reason is Reason.NO_HITS


@pytest.mark.parametrize("later", range(1, len(REFUSALS)))
def test_the_reason_is_the_check_that_took_away_the_last_hit(later: int) -> None:
    """S-31: one hit fails the first check, another a later one: "the hits left" are all of the later kind."""
    first, second = REFUSALS[0], REFUSALS[later]
    assert chosen(candidate(1, **KINDS[first]), candidate(2, **KINDS[second])).reason is second


@pytest.mark.parametrize("earlier", range(len(REFUSALS) - 1))
def test_a_hit_that_fails_several_checks_has_the_first_as_its_verdict(earlier: int) -> None:
    """A-10: exactly one verdict."""
    first = KINDS[REFUSALS[earlier]]
    assert verdicts(chosen(candidate(1, **first | KINDS[REFUSALS[earlier + 1]]))) == {1: str(REFUSALS[earlier])}


# --- against a model that is slow and obviously right ----------------------------------------------------------------------


def slow_model(candidates: list[Candidate], *, rule: str, window: timedelta | None, at: datetime) -> Any:
    """Take away, one kind after the other, what may not be credited; then look at each that is left."""
    left = list(candidates)
    if not left:
        return None, "no-hits"
    keeps: list[tuple[str, Callable[[Candidate], bool]]] = [
        ("out-of-window", lambda c: window is None or max(at - c.created_at, timedelta(0)) <= window),
        ("self-referral", lambda c: not c.self_referral),
        ("bot", lambda c: not c.bot),
        ("flagged", lambda c: not c.flagged),
        ("no-consent", lambda c: not c.no_consent),
        ("link-disabled", lambda c: not c.link_dropped),
        ("partner-inactive", lambda c: c.partner is None or c.partner_active),
        ("not-subscribed", lambda c: c.partner is None or c.subscribed),
    ]
    for code, keep in keeps:
        left = [each for each in left if keep(each)]
        if not left:
            return None, code
    best = left[0]
    for each in left[1:]:
        made, best_made = min(each.created_at, at), min(best.created_at, at)
        is_better = made > best_made if rule == LAST_CLICK else made < best_made
        if is_better or (made == best_made and each.hit > best.hit):
            best = each
    return best, "confirmed"


candidates_of_all_kinds = st.lists(
    st.builds(
        Candidate,
        hit=st.uuids(),
        link=st.just("abc123"),
        created_at=st.sampled_from([-60, 0, 1, 59, 60, 61, 3600]).map(lambda age_s: AT - timedelta(seconds=age_s)),
        partner=st.sampled_from([None, "moox6esi", "zk41pp0q"]),
        self_referral=st.integers(0, 4).map(lambda number: number == 0),
        bot=st.integers(0, 4).map(lambda number: number == 0),
        flagged=st.integers(0, 4).map(lambda number: number == 0),
        no_consent=st.integers(0, 4).map(lambda number: number == 0),
        link_dropped=st.integers(0, 4).map(lambda number: number == 0),
        partner_active=st.integers(0, 4).map(bool),
        subscribed=st.integers(0, 4).map(bool),
    ),
    max_size=8,
    unique_by=lambda each: each.hit,
)


@given(
    candidates=candidates_of_all_kinds,
    rule=st.sampled_from([LAST_CLICK, FIRST_CLICK]),
    window=st.sampled_from([None, timedelta(seconds=60), timedelta(seconds=1)]),
)
def test_the_choice_is_that_of_a_slow_and_obvious_model(
    candidates: list[Candidate], rule: str, window: timedelta | None
) -> None:
    """A-01, A-02, A-03, A-04, A-10, S-31: for any hits, hit and reason agree, and each hit has one verdict."""
    choice = choose(candidates, rule=rule, window=window, at=AT)
    assert (choice.chosen, str(choice.reason)) == slow_model(candidates, rule=rule, window=window, at=AT)
    assert sorted(each.candidate.hit for each in choice.considered) == sorted(each.hit for each in candidates)
    credited = [each for each in choice.considered if each.verdict is Place.CREDITED]
    assert [each.candidate for each in credited] == ([] if choice.chosen is None else [choice.chosen])


# --- the trace --------------------------------------------------------------------------------------------------------------


def test_the_trace_is_the_json_of_the_specification() -> None:
    """A-09: version, rule, window, time, subject, hits with age and verdict, outcome and the chosen one."""
    subject = {"user": "42", "visitors": ["0190"], "how": "request-user"}
    choice = chosen(
        candidate(1, age_s=7200, link="ann1", partner=None),
        candidate(3, age_s=60, link="qqq777", partner="zk41pp0q", subscribed=False),
        candidate(2, age_s=3600, link="abc123"),
    )
    ids = {number: str(uuid.UUID(int=number)) for number in (1, 2, 3)}
    assert trace(choice, subject=subject) == {
        "v": 1,
        "rule": "last_click",
        "window_s": 7776000,
        "at": "2026-01-02T03:04:05.678Z",
        "subject": subject,
        "hits": [
            {"hit": ids[3], "link": "qqq777", "partner": "zk41pp0q", "age_s": 60, "verdict": "not-subscribed"},
            {"hit": ids[2], "link": "abc123", "partner": "moox6esi", "age_s": 3600, "verdict": "credited"},
            {"hit": ids[1], "link": "ann1", "partner": None, "age_s": 7200, "verdict": "older"},
        ],
        "outcome": "confirmed",
        "chosen": ids[2],
    }


def test_the_trace_of_a_no_has_its_reason_and_no_chosen_hit() -> None:
    """A-09: a "no" is told like a "yes"."""
    found = trace(chosen(window=None), subject={})
    assert (found["outcome"], found["chosen"], found["hits"], found["window_s"]) == ("no-hits", None, [], None)


def test_a_long_trace_lists_fifty_hits_the_credited_one_among_them() -> None:
    """A-10: at most 50 are listed, the rest is counted in `omitted`."""
    refused = [candidate(number, age_s=number, subscribed=False) for number in range(2, 72)]
    choice = chosen(*refused, candidate(1, age_s=10_000))
    listed = trace(choice, subject={})
    assert (len(listed["hits"]), listed["omitted"]) == (LISTED, 21)
    assert listed["hits"][-1]["verdict"] == "credited"
    assert shortened(choice.considered[:3]) == choice.considered[:3]

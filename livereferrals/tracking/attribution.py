"""Attribution: which hit a confirmation is credited to, and why. Pure: values in, a choice with its trace out.

`history` reads the candidates from the database.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from livereferrals.tracking.reasons import Place, Reason

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable

TRACE_VERSION: Final = 1
LISTED: Final = 50
"""Hits that a trace lists at most (A-10)."""
LAST_CLICK: Final = "last_click"
FIRST_CLICK: Final = "first_click"
REFUSALS: Final = (
    Reason.OUT_OF_WINDOW,
    Reason.SELF_REFERRAL,
    Reason.BOT,
    Reason.FLAGGED,
    Reason.NO_CONSENT,
    Reason.LINK_DISABLED,
    Reason.PARTNER_INACTIVE,
    Reason.NOT_SUBSCRIBED,
)
"""Why a hit may not be credited; the first that applies is its verdict (S-31, 9 to 13)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One hit of the subject, with all that decides whether it may be credited."""

    hit: uuid.UUID
    """The hit's id."""
    link: str
    """The link's identifier."""
    created_at: datetime
    """When the link was followed."""
    partner: str | None = None
    """The partner's uid; `None` for a link of a user or of the house."""
    visitor: uuid.UUID | None = None
    """Who followed."""
    self_referral: bool = False
    """Whether the subject followed a link of its own."""
    bot: bool = False
    """Whether a program followed."""
    flagged: bool = False
    """Whether a rule of the host's has caught the hit."""
    no_consent: bool = False
    """Whether consent was refused when following."""
    link_dropped: bool = False
    """Whether the link was disabled together with its pending hits."""
    partner_active: bool = True
    """Whether the partner is active; without meaning where there is none."""
    subscribed: bool = True
    """Whether the partner is subscribed to the trigger; without meaning where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """A hit that was looked at, and what was found."""

    candidate: Candidate
    age: timedelta
    """Time from the hit to the conversion; never negative (A-04)."""
    verdict: Place | Reason
    """Its place among the eligible hits, or why it is none of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which hit is credited, if any."""

    rule: str
    """The rule that chose."""
    window: timedelta | None
    """How old a hit might be; `None`: no limit."""
    at: datetime
    """The time of the conversion."""
    reason: Reason
    """`confirmed`, or why no hit is credited."""
    chosen: Candidate | None = None
    """The credited hit."""
    considered: tuple[Considered, ...] = ()
    """The hits looked at, the preferred first."""
    omitted: int = 0
    """Hits looked at and not listed."""


Pick = Callable[[Sequence[Candidate]], Candidate | None]
"""A rule of the host's own: which of the eligible hits, given oldest first, is credited, if any."""


def choose(
    candidates: Iterable[Candidate], *, rule: str, window: timedelta | None, at: datetime, pick: Pick | None = None
) -> Choice:
    """Return the hit that the rule credits: the latest eligible one for last click, the earliest for first click.

    Hits that may not be credited are stepped over. Of equal times the higher hit id goes first (A-01).

    Args:
        candidates: all hits of the subject, in any order.
        rule: `last_click`, `first_click`, or the name of the host's own rule.
        window: how old a hit may be, to the second; `None` for no limit.
        at: the time of the conversion; a later hit counts as of this time (A-04).
        pick: the host's own rule (A-07).
    """
    ordered = in_order(candidates, rule=rule, at=at)
    refusals = [refusal(candidate, window=window, at=at) for candidate in ordered]
    eligible = [each for each, refused in zip(ordered, refusals, strict=True) if refused is None]
    chosen = next(iter(eligible), None) if pick is None or not eligible else pick(eligible[::-1])
    passed_over = _passed_over(rule, chosen)
    considered = tuple(
        Considered(
            candidate=candidate,
            age=age(candidate, at=at),
            verdict=refused or (Place.CREDITED if candidate is chosen else passed_over),
        )
        for candidate, refused in zip(ordered, refusals, strict=True)
    )
    return Choice(
        rule=rule,
        window=window,
        at=at,
        reason=_outcome(chosen, eligible, refusals),
        chosen=chosen,
        considered=considered,
    )


def _passed_over(rule: str, chosen: Candidate | None) -> Place | Reason:
    """Return the verdict of an eligible hit that is not credited."""
    if chosen is None:
        return Reason.CONDITION
    return {LAST_CLICK: Place.OLDER, FIRST_CLICK: Place.NEWER}.get(rule, Place.PRECEDENCE)


def _outcome(chosen: Candidate | None, eligible: Sequence[Candidate], refusals: Iterable[Reason | None]) -> Reason:
    if chosen is not None:
        return Reason.CONFIRMED
    return Reason.CONDITION if eligible else furthest(refused for refused in refusals if refused)


def in_order(candidates: Iterable[Candidate], *, rule: str, at: datetime) -> list[Candidate]:
    """Return the candidates as the rule prefers them."""
    by_id = sorted(candidates, key=lambda each: each.hit, reverse=True)
    # A stable sort, so that of equal times the higher id stays in front for both rules.
    return sorted(by_id, key=lambda each: age(each, at=at), reverse=rule == FIRST_CLICK)


def age(candidate: Candidate, *, at: datetime) -> timedelta:
    """Return how old the hit is at that time; a hit of the future counts as made now (A-04)."""
    return max(at - candidate.created_at, timedelta(0))


def refusal(candidate: Candidate, *, window: timedelta | None, at: datetime) -> Reason | None:
    """Return why the hit may not be credited, or `None`."""
    has_partner = candidate.partner is not None
    applies = {
        Reason.OUT_OF_WINDOW: window is not None and age(candidate, at=at) > window,
        Reason.SELF_REFERRAL: candidate.self_referral,
        Reason.BOT: candidate.bot,
        Reason.FLAGGED: candidate.flagged,
        Reason.NO_CONSENT: candidate.no_consent,
        Reason.LINK_DISABLED: candidate.link_dropped,
        Reason.PARTNER_INACTIVE: has_partner and not candidate.partner_active,
        Reason.NOT_SUBSCRIBED: has_partner and not candidate.subscribed,
    }
    return next((reason for reason in REFUSALS if applies[reason]), None)


def furthest(refusals: Iterable[Reason]) -> Reason:
    """Return the outcome of hits that were all refused: the check that took away the last of them (S-31)."""
    return max(refusals, key=REFUSALS.index, default=Reason.NO_HITS)


def shortened(considered: Sequence[Considered]) -> tuple[Considered, ...]:
    """Return at most `LISTED` of the hits: the preferred ones, and the credited one in any case (A-10)."""
    listed = tuple(considered[:LISTED])
    rest = [each for each in considered[LISTED:] if each.verdict is Place.CREDITED]
    return (*listed[: LISTED - len(rest)], *rest)


# --- the trace ------------------------------------------------------------------------------------------------------------


def trace(choice: Choice, *, subject: dict[str, Any]) -> dict[str, Any]:
    """Return the choice as JSON for people and for later questions (A-09)."""
    listed = shortened(choice.considered)
    omitted = choice.omitted + len(choice.considered) - len(listed)
    found = {
        "v": TRACE_VERSION,
        "rule": choice.rule,
        "window_s": None if choice.window is None else int(choice.window.total_seconds()),
        "at": _rfc3339(choice.at),
        "subject": subject,
        "hits": [_listed_hit(each) for each in listed],
        "outcome": str(choice.reason),
        "chosen": None if choice.chosen is None else str(choice.chosen.hit),
    }
    return found if not omitted else {**found, "omitted": omitted}


def _listed_hit(considered: Considered) -> dict[str, Any]:
    candidate = considered.candidate
    return {
        "hit": str(candidate.hit),
        "link": candidate.link,
        "partner": candidate.partner,
        "age_s": int(considered.age.total_seconds()),
        "verdict": str(considered.verdict),
    }


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""The hits of a person, read for attribution: one query for most people, three for those with a long history."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from django.db.models import (
    BigIntegerField,
    BooleanField,
    Case,
    CharField,
    Count,
    F,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Least

from livereferrals import conf
from livereferrals.tracking import attribution, judging, rules
from livereferrals.tracking.attribution import Candidate, Choice
from livereferrals.tracking.models import ReferralHit
from livereferrals.tracking.reasons import Reason

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime, timedelta

    from django.contrib.auth.base_user import AbstractBaseUser

    from livereferrals.tracking.models import Visitor

ELIGIBLE: Final = ""
"""The verdict, in SQL, of a hit that nothing speaks against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whose hits are looked at: a user's on all devices, and a visitor's."""

    user: AbstractBaseUser | None = None
    visitor: Visitor | None = None

    @property
    def user_pk(self) -> Any:
        """The user's primary key: a claimed visitor is its user, on all devices. No query."""
        if self.user is not None:
            return self.user.pk
        return None if self.visitor is None else self.visitor.user_id

    def hits(self) -> QuerySet[ReferralHit]:
        """Return the hits, unordered. No query yet."""
        whose = Q(pk__in=())
        if self.user_pk is not None:
            whose |= Q(user_id=self.user_pk)
        if self.visitor is not None:
            whose |= Q(visitor_id=self.visitor.pk)
        return ReferralHit.objects.filter(whose)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What attribution is asked: by which rule, for which time, of which partners."""

    at: datetime
    """The time of the conversion."""
    rule: str
    """`last_click`, `first_click`, or the dotted path of the host's own rule."""
    window: timedelta | None
    """How old a hit may be; `None`: no limit."""
    subscribed: QuerySet[Any, Any] | None = None
    """Ids of the partners that are subscribed to the trigger; `None`: not asked."""
    called: QuerySet[Any, Any] | None = None
    """Subquery for a hit's `partner`: the subscription that is called for the trigger; `None`: not asked."""
    until: datetime | None = None
    """Only hits made until then are looked at; `None`: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The choice, the credited row, and whose browsers were looked at."""

    choice: Choice
    hit: ReferralHit | None
    visitors: tuple[uuid.UUID, ...] = ()
    called: int | None = None
    """The subscription of the hit's partner that is called."""


def current_hit(person: Person, *, at: datetime) -> ReferralHit | None:
    """Return the hit that would be credited now, leaving triggers and subscriptions aside. 1 to 3 queries."""
    question = Question(at=at, rule=conf.settings.ATTRIBUTION, window=conf.settings.ATTRIBUTION_WINDOW)
    return attribute(person, question).hit


def attribute(person: Person, question: Question) -> Found:
    """Return the hit that is credited to the person, with the reasons.

    1 query up to 50 hits, else 2 if a hit is credited and 3 at most (A-16).
    """
    hits = _described(person, question)
    rows = list(_ordered(hits, question)[: attribution.LISTED + 1])
    is_long = len(rows) > attribution.LISTED
    if not rules.is_path(question.rule):
        return _found_in_long_history(hits, rows[:-1], question) if is_long else _found(rows, question)
    try:
        return _found_by_own_rule(hits, rows[:-1] if is_long else rows, question, is_long=is_long)
    except rules.RuleFailed:
        return attribute(person, replace(question, rule=attribution.LAST_CLICK))


def credit(hit: ReferralHit, *, person: Person, question: Question) -> Found:
    """Return whether this very hit may be credited (N-02). One query."""
    return _found(list(_described(person, question, only=hit)), question)


def _found(rows: Sequence[ReferralHit], question: Question, *, pick: attribution.Pick | None = None) -> Found:
    choice = attribution.choose(
        [_candidate(row) for row in rows], rule=question.rule, window=question.window, at=question.at, pick=pick
    )
    hit: Any = None if choice.chosen is None else next(row for row in rows if row.pk == choice.chosen.hit)
    return Found(
        choice=choice,
        hit=hit,
        called=None if hit is None else hit.called,
        visitors=tuple(dict.fromkeys(row.visitor_id for row in rows if row.visitor_id is not None)),
    )


def _found_in_long_history(hits: QuerySet[ReferralHit], rows: list[ReferralHit], question: Question) -> Found:
    """Let the database find the eligible hit, and count what is not listed. One query, or two."""
    judged = hits.annotate(verdict=_verdict(question))
    best = _ordered(judged.filter(verdict=ELIGIBLE), question).annotate(total=_total(hits)).first()
    if best is None:
        return _refused(judged, rows, question)
    found = _found(rows if best in rows else [*rows, best], question)
    omitted: int = best.total - len(found.choice.considered)
    return replace(found, choice=replace(found.choice, omitted=omitted))


def _total(hits: QuerySet[ReferralHit]) -> Subquery:
    """Return a subquery that counts the hits."""
    return Subquery(
        hits.order_by().annotate(every=Value(1)).values("every").annotate(total=Count("pk")).values("total")
    )


def _refused(judged: QuerySet[Any], rows: list[ReferralHit], question: Question) -> Found:
    """Return the reason of all hits, those included that are not listed. One query."""
    counts = dict(judged.order_by().values_list("verdict").annotate(Count("pk")))
    found = _found(rows, question)
    reason = attribution.furthest(Reason(verdict) for verdict in counts)
    return replace(found, choice=replace(found.choice, reason=reason, omitted=sum(counts.values()) - len(rows)))


def _found_by_own_rule(
    hits: QuerySet[ReferralHit], listed: list[ReferralHit], question: Question, *, is_long: bool
) -> Found:
    """Let the host's own rule choose among the newest eligible hits (A-07). No query, or two for a long history.

    Raises:
        RuleFailed: it has no usable answer.
    """
    rows = {row.pk: row for row in listed}
    judged = hits.annotate(verdict=_verdict(question))
    every = len(rows)
    if is_long:
        newest: list[Any] = list(
            _ordered(judged.filter(verdict=ELIGIBLE).annotate(total=_total(hits)), question)[: rules.MOST]
        )
        rows |= {row.pk: row for row in newest}
        every = newest[0].total if newest else every

    def pick(eligible: Sequence[Candidate]) -> Candidate | None:
        named = rules.ask(question.rule, [rows[each.hit] for each in eligible[-rules.MOST :]])
        return None if named is None else next(each for each in eligible if each.hit == named.pk)

    found = _found(list(rows.values()), question, pick=pick)
    if is_long and found.choice.reason not in (Reason.CONFIRMED, Reason.CONDITION):
        return _refused(judged, listed, question)
    return replace(found, choice=replace(found.choice, omitted=every - len(rows)))


def _described(person: Person, question: Question, *, only: ReferralHit | None = None) -> QuerySet[ReferralHit]:
    """Return the hits with their link, partner and visitor, and what a row alone does not tell."""
    hits = person.hits() if only is None else ReferralHit.objects.filter(pk=only.pk)
    if question.until is not None:
        hits = hits.filter(created_at__lte=question.until)
    return hits.select_related("link", "partner", "visitor").annotate(
        own_link=_boolean(_own_link(person)),
        subscribed=_boolean(_subscribed(question)),
        called=Value(None, output_field=BigIntegerField()) if question.called is None else Subquery(question.called),
    )


def _own_link(person: Person) -> Q:
    """Whether the person followed a link of its own, also where the row cannot know it yet (L-37, L-38)."""
    if conf.settings.SELF_REFERRALS == "allow":
        return Q(pk__in=())
    flagged = Q(self_referral=True)
    if person.user_pk is None or "self_referral" in judging.rules().changed:
        return flagged  # only the rule knows; it was asked when the hit was made, and at the login
    return flagged | Q(link__user_id=person.user_pk) | Q(partner__user_id=person.user_pk)


def _subscribed(question: Question) -> Q:
    if question.subscribed is None:
        return Q(pk__isnull=False)
    return Q(partner_id__in=question.subscribed)


def _boolean(condition: Q) -> Case:
    return Case(When(condition, then=Value(value=True)), default=Value(value=False), output_field=BooleanField())


def _ordered(hits: QuerySet[ReferralHit], question: Question) -> QuerySet[ReferralHit]:
    """Order the hits as the rule prefers them, in the order of `attribution.in_order`."""
    made = Least(F("created_at"), Value(question.at))
    return hits.order_by(made.asc() if question.rule == attribution.FIRST_CLICK else made.desc(), "-id")


def _verdict(question: Question) -> Case:
    """Say in SQL what `attribution.refusal` says in Python; a test holds the two together."""
    has_partner = Q(partner_id__isnull=False)
    applies = {
        Reason.SELF_REFERRAL: Q(own_link=True),
        Reason.BOT: Q(bot=True),
        Reason.FLAGGED: ~Q(flagged_by=""),
        Reason.NO_CONSENT: Q(no_consent=True),
        Reason.LINK_DISABLED: Q(link__disabled=True, link__drop_pending=True),
        Reason.PARTNER_INACTIVE: has_partner & Q(partner__active=False),
        Reason.NOT_SUBSCRIBED: has_partner & Q(subscribed=False),
    }
    if question.window is not None:
        applies[Reason.OUT_OF_WINDOW] = Q(created_at__lt=question.at - question.window)
    cases = [When(applies[reason], then=Value(str(reason))) for reason in attribution.REFUSALS if reason in applies]
    return Case(*cases, default=Value(ELIGIBLE), output_field=CharField())


def _candidate(row: Any) -> Candidate:
    """Return the row as the pure rule reads it; `row` has the annotations of `_described`."""
    return Candidate(
        hit=row.pk,
        link=row.link.identifier,
        created_at=row.created_at,
        partner=None if row.partner is None else row.partner.uid,
        visitor=row.visitor_id,
        self_referral=row.own_link,
        bot=row.bot,
        flagged=bool(row.flagged_by),
        no_consent=row.no_consent,
        link_dropped=row.link.disabled and row.link.drop_pending,
        partner_active=row.partner is None or row.partner.active,
        subscribed=row.subscribed,
    )

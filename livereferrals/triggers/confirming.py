"""Confirming: the checks in their order, then the confirmation, its event and its deliveries in one transaction."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from django.db import IntegrityError, router, transaction
from django.db.models import F, Q

from livereferrals import conf, signals
from livereferrals.callbacks import outbox
from livereferrals.callbacks.models import Subscription
from livereferrals.events import log
from livereferrals.tracking import attribution, history
from livereferrals.tracking.amounts import Money
from livereferrals.tracking.attribution import FIRST_CLICK, LAST_CLICK
from livereferrals.tracking.entries import confirmation_entry
from livereferrals.tracking.history import Found, Question
from livereferrals.tracking.models import Confirmation, ReferralHit
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers.declaration import UNSET, Unset

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from livereferrals.triggers.conversions import Conversion
    from livereferrals.triggers.declaration import Trigger
    from livereferrals.triggers.subjects import Subject

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a conversion; true when a confirmation stands (S-30)."""

    reason: Reason
    """`confirmed`, or why not (S-31)."""
    confirmation: Confirmation | None = None
    """The confirmation, also one that was there before."""
    created: bool = False
    """Whether this call made it."""
    hit: ReferralHit | None = None
    """The hit that is or would be credited."""
    trace: dict[str, Any] = field(default_factory=dict)
    """How it was decided (A-09)."""

    def __bool__(self) -> bool:
        return self.confirmation is not None and self.confirmation.reversed_at is None


def question(
    trigger: Trigger, *, at: datetime, rule: str | None = None, window: timedelta | Unset | None = UNSET
) -> Question:
    """Return what attribution is asked for a trigger; its own rule and window, and those given, go before the settings'."""
    chosen_window = trigger.window if window is UNSET else window
    return Question(
        at=at,
        rule=_known_rule(rule or trigger.attribution) or conf.settings.ATTRIBUTION,
        window=conf.settings.ATTRIBUTION_WINDOW if chosen_window is UNSET else chosen_window,
        subscribed=Subscription.objects.filter(trigger=trigger.name, archived_at__isnull=True).values("partner_id"),
    )


def _known_rule(rule: str | None) -> str | None:
    return rule if rule in (LAST_CLICK, FIRST_CLICK) else None


def examine(conversion: Conversion, subject: Subject | None, *, asked: Question | None = None) -> Result:
    """Return what would become of the conversion, without a write (A-12): the checks of S-31 in their order.

    At most 2 queries before attribution.
    """
    refused = refused_by(conversion.trigger, at=conversion.occurred_at)
    if refused is not None:
        return refused
    asked = question(conversion.trigger, at=conversion.occurred_at) if asked is None else asked
    earlier = _earlier_reference(conversion) or _earlier_once(conversion, subject)
    if earlier is not None:
        return _refused(earlier.reason, asked, subject=subject, confirmation=earlier.confirmation)
    if subject is None:
        return _refused(Reason.NO_SUBJECT, asked, subject=None)
    found = _attribute(subject, asked)
    trace = attribution.trace(found.choice, subject=subject.described(found.visitors))
    return Result(reason=found.choice.reason, hit=found.hit, trace=trace)


def confirm(conversion: Conversion, subject: Subject | None) -> Result:
    """Confirm in the host's transaction, or in one of its own: confirmation, event and deliveries, or nothing.

    Of several calls at once with one reference, or for one person, one confirms and the others are told so (S-45). The
    host's transaction stays usable whatever happens. Two savepoints inside of a transaction, one transaction outside.
    """
    with _savepoint():
        result = examine(conversion, subject)
    if result.reason is not Reason.CONFIRMED or subject is None or result.hit is None:
        return result
    try:
        with transaction.atomic(using=_alias()):
            return _write(conversion, subject, hit=result.hit, trace=result.trace)
    except IntegrityError:
        earlier = _earlier_reference(conversion) or _earlier_once(conversion, subject, hit=result.hit)
        if earlier is None:
            raise
        trace = {**result.trace, "outcome": str(earlier.reason), "chosen": None}
        return Result(reason=earlier.reason, confirmation=earlier.confirmation, trace=trace)


def refused_by(trigger: Trigger, *, at: datetime) -> Result | None:
    """Return the "no" of a trigger that is not declared or switched off (S-31, 1 and 2); no query."""
    if trigger.signal is None:
        return refuse(trigger, Reason.UNKNOWN_TRIGGER, at=at)
    return None if trigger.enabled else refuse(trigger, Reason.TRIGGER_DISABLED, at=at)


def refuse(trigger: Trigger, reason: Reason, *, at: datetime, subject: Subject | None = None) -> Result:
    """Return a "no" that needs no look at the database."""
    return _refused(reason, question(trigger, at=at), subject=subject)


def _refused(
    reason: Reason, asked: Question, *, subject: Subject | None, confirmation: Confirmation | None = None
) -> Result:
    choice = attribution.Choice(rule=asked.rule, window=asked.window, at=asked.at, reason=reason)
    described = {"user": None, "visitors": [], "how": "none"} if subject is None else subject.described()
    return Result(reason=reason, confirmation=confirmation, trace=attribution.trace(choice, subject=described))


# --- what was confirmed before ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A confirmation that stands in the way."""

    reason: Reason
    confirmation: Confirmation


def _earlier_reference(conversion: Conversion) -> Earlier | None:
    """Return what has confirmed this reference (S-31, 4 and 5). At most one query."""
    if conversion.reference is None:
        return None
    found = Confirmation.objects.filter(trigger=conversion.trigger.name, reference=conversion.reference).first()
    if found is None:
        return None
    _tell_other_amount(conversion, found)
    reason = Reason.DUPLICATE_REFERENCE if found.reversed_at is None else Reason.ALREADY_REVERSED
    return Earlier(reason=reason, confirmation=found)


def _earlier_once(conversion: Conversion, subject: Subject | None, *, hit: ReferralHit | None = None) -> Earlier | None:
    """Return what has confirmed this person, for a trigger that confirms once (S-31, 7). At most one query.

    What was reversed lets another reference through, and nothing without one (N-11).
    """
    if not conversion.once or subject is None:
        return None
    found = (
        Confirmation.objects.filter(_same_person(subject, hit=hit), trigger=conversion.trigger.name)
        .order_by(F("reversed_at").asc(nulls_first=True), "id")
        .first()
    )
    if found is None or (found.reversed_at is not None and conversion.reference is not None):
        return None
    return Earlier(reason=Reason.ALREADY_CONFIRMED, confirmation=found)


def _same_person(subject: Subject, *, hit: ReferralHit | None) -> Q:
    """Match the confirmations of the user, of all browsers of the user, and of this browser (S-44)."""
    person = subject.person
    visitors = {visitor.pk for visitor in (person.visitor, hit.visitor if hit else None) if visitor is not None}
    same = Q(visitor_id__in=visitors)
    if person.user_pk is not None:
        same |= Q(user_id=person.user_pk) | Q(visitor__user_id=person.user_pk)
    return same


def _tell_other_amount(conversion: Conversion, earlier: Confirmation) -> None:
    """Log that a repeat names another amount; the first one stays (N-04)."""
    before = Money(micros=earlier.amount_micros, currency=earlier.currency)
    if conversion.money.micros is None or conversion.money == before:
        return
    logger.warning(
        "Confirmation %s stays at %s; a repeat of its reference says %s.",
        earlier.pk,
        before,
        conversion.money,
        extra={"action": "confirmation.other-amount", "confirmation": str(earlier.pk)},
    )


# --- the rows -------------------------------------------------------------------------------------------------------------------


def _attribute(subject: Subject, asked: Question) -> Found:
    if subject.hit is None:
        return history.attribute(subject.person, asked)
    return history.credit(subject.hit, person=subject.person, question=replace(asked, window=None))


def _write(conversion: Conversion, subject: Subject, *, hit: ReferralHit, trace: dict[str, Any]) -> Result:
    """Write the confirmation, its event and what is owed; five statements at most."""
    confirmation = Confirmation(
        trigger=conversion.trigger.name,
        hit=hit,
        partner=hit.partner,
        visitor=hit.visitor or subject.person.visitor,
        user_id=subject.person.user_pk,
        once=conversion.once,
        reference=conversion.reference,
        amount_micros=conversion.money.micros,
        currency=conversion.money.currency,
        occurred_at=conversion.occurred_at,
        problem=conversion.problem,
        rule=trace["rule"],
        trace=trace,
        extra=conversion.extra,
        origin=conversion.origin,
    )
    confirmation.save(force_insert=True)
    if hit.confirmed_at is None:
        ReferralHit.objects.filter(pk=hit.pk, confirmed_at__isnull=True).update(confirmed_at=conversion.occurred_at)
        hit.confirmed_at = conversion.occurred_at
    event = log.append(confirmation_entry(confirmation))
    outbox.owe(confirmation, event)
    _tell_after_commit(confirmation)
    return Result(reason=Reason.CONFIRMED, confirmation=confirmation, created=True, hit=hit, trace=trace)


def _tell_after_commit(confirmation: Confirmation) -> None:
    # A function with a name: Django logs the `__qualname__` of a hook that fails.
    def tell_host() -> None:
        signals.referral_confirmed.send_robust(
            Confirmation,
            confirmation=confirmation,
            hit=confirmation.hit,
            visitor=confirmation.visitor,
            user=confirmation.user,
            trigger=confirmation.trigger,
        )

    transaction.on_commit(tell_host, using=_alias(), robust=True)


def _alias() -> str:
    return router.db_for_write(Confirmation)


def _savepoint() -> contextlib.AbstractContextManager[Any]:
    """Return a savepoint in the host's transaction; without one there is nothing that a failed query could harm."""
    in_transaction = transaction.get_connection(_alias()).in_atomic_block
    return transaction.atomic(using=_alias()) if in_transaction else contextlib.nullcontext()

"""Confirming: the checks in their order, then the confirmation, its event and its deliveries in one transaction."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from django.contrib.auth import get_user_model
from django.db import IntegrityError, router, transaction
from django.db.models import Exists, Value
from django.db.models.functions import Coalesce, Least

from livereferrals import conf, signals
from livereferrals.callbacks import outbox
from livereferrals.events import log
from livereferrals.tracking import attribution, history, rules
from livereferrals.tracking.entries import confirmation_entry
from livereferrals.tracking.history import Found, Question
from livereferrals.tracking.models import Confirmation, ReferralHit
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import earlier, subjects
from livereferrals.triggers.declaration import UNSET, Unset

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from livereferrals.triggers.conversions import Conversion
    from livereferrals.triggers.declaration import Trigger
    from livereferrals.triggers.subjects import Subject

LOOKS: Final = 3
"""How often a conversion is looked at, when what was found has gone each time that it was to be written."""


class Changed(Exception):  # noqa: N818 - says what happened
    """What was looked at is not there any more."""


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
    subscription: int | None = None
    """The subscription of the hit's partner that is or would be called."""
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
        subscribed=outbox.subscriptions_to(trigger.name).values("partner_id"),
        called=outbox.called_for(trigger.name),
    )


def _known_rule(rule: str | None) -> str | None:
    return rule if rule in rules.BUILT_IN or rules.is_path(rule) else None


def examine(conversion: Conversion, subject: Subject | None, *, asked: Question | None = None) -> Result:
    """Return what would become of the conversion, without a write (A-12): the checks of S-31 in their order.

    At most 2 queries before attribution.
    """
    refused = refused_by(conversion.trigger, at=conversion.occurred_at)
    if refused is not None:
        return refused
    asked = question(conversion.trigger, at=conversion.occurred_at) if asked is None else asked
    found_before = earlier.find(conversion, subject)
    if found_before is not None:
        return _refused(found_before.reason, asked, subject=subject, confirmation=found_before.confirmation)
    if subject is None:
        return _refused(Reason.NO_SUBJECT, asked, subject=None)
    found = _attribute(subject, asked)
    trace = attribution.trace(found.choice, subject=subject.described(found.visitors))
    return Result(reason=found.choice.reason, hit=found.hit, subscription=found.called, trace=trace)


def confirm(conversion: Conversion, subject: Subject | None) -> Result:
    """Confirm in the host's transaction, or in one of its own: confirmation, event and deliveries, or nothing.

    Of several calls at once with one reference, or for one person, one confirms and the others are told so (S-45). What
    is deleted or claimed between the look and the write is looked at anew. The host's transaction stays usable whatever
    happens. Two savepoints inside of a transaction, one transaction outside.
    """
    for _ in range(LOOKS):
        with _savepoint():
            result = examine(conversion, subject)
        if subject is None or result.hit is None:
            return result
        try:
            with transaction.atomic(using=_alias()):
                return _write(conversion, subject, look=result, hit=result.hit)
        except Changed:
            subject = subjects.renewed(subject)
        except IntegrityError:
            found_before = earlier.find(conversion, subject, hit=result.hit)
            if found_before is None:
                raise
            trace = {**result.trace, "outcome": str(found_before.reason), "chosen": None}
            return Result(reason=found_before.reason, confirmation=found_before.confirmation, trace=trace)
    return refuse(conversion.trigger, Reason.NO_HITS, at=conversion.occurred_at, subject=subject)


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


# --- the rows -------------------------------------------------------------------------------------------------------------------


def _attribute(subject: Subject, asked: Question) -> Found:
    if subject.hit is None:
        return history.attribute(subject.person, asked)
    return history.credit(subject.hit, person=subject.person, question=replace(asked, window=None))


def _write(conversion: Conversion, subject: Subject, *, look: Result, hit: ReferralHit) -> Result:
    """Write the confirmation, its event and what is owed; five statements at most.

    Raises:
        Changed: the hit, its browser or the user is not what it was when it was looked at.
    """
    _hold(hit, user_pk=subject.person.user_pk, at=conversion.occurred_at)
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
        rule=look.trace["rule"],
        trace=look.trace,
        extra=conversion.extra,
        origin=conversion.origin,
    )
    confirmation.save(force_insert=True)
    event = log.append(confirmation_entry(confirmation))
    outbox.owe(confirmation, event, subscription=look.subscription)
    _tell_after_commit(confirmation)
    return replace(look, confirmation=confirmation, created=True)


def _hold(hit: ReferralHit, *, user_pk: Any, at: datetime) -> None:
    """Date the hit by its first confirmation (N-13), which locks it: whoever deletes or claims it has to wait.

    A foreign key alone would not do: PostgreSQL looks at it when the host commits, and the host would get the error.

    Raises:
        Changed: it has gone or belongs to somebody else, or the user has gone.
    """
    rows = ReferralHit.objects.filter(pk=hit.pk, visitor=hit.visitor_id, user=hit.user_id)
    if user_pk is not None:
        rows = rows.filter(Exists(get_user_model()._default_manager.filter(pk=user_pk)))
    if not rows.update(confirmed_at=Coalesce(Least("confirmed_at", Value(at)), Value(at))):
        raise Changed
    hit.confirmed_at = at if hit.confirmed_at is None else min(at, hit.confirmed_at)


def _tell_after_commit(confirmation: Confirmation) -> None:
    # A function with a name: Django logs the `__qualname__` of a hook that fails.
    def tell_host() -> None:
        # The user is read for those who listen alone.
        if not signals.referral_confirmed.has_listeners(Confirmation):
            return
        if confirmation.user_id is not None:
            # One who has been deleted since is nobody, as in the row.
            users = get_user_model()._base_manager.using(_alias())
            confirmation.user = users.filter(pk=confirmation.user_id).first()
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

"""A trace in plain words: how it was decided which hit gets a confirmation; amounts too. Pure but for the language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from django.utils.formats import number_format
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from livereferrals.tracking.amounts import Money, currency_digits, from_micros
from livereferrals.tracking.attribution import FIRST_CLICK, LAST_CLICK
from livereferrals.tracking.reasons import Place, Reason

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from decimal import Decimal

DAY_S: Final = 86_400
MINUS: Final = "\N{MINUS SIGN}"
SOME_MOMENT: Final = datetime(2001, 1, 1, tzinfo=UTC)
"""Where ages are measured from; any moment does."""
RULES: Final = {
    LAST_CLICK: gettext_lazy("The last link that was followed gets the credit."),
    FIRST_CLICK: gettext_lazy("The first link that was followed gets the credit."),
}
KNOWN_BY: Final = {
    "user": gettext_lazy("The site named the user who did it"),
    "mapping": gettext_lazy("The record of the sale names the user who did it"),
    "instance": gettext_lazy("The new user is the person"),
    "request-user": gettext_lazy("The person was logged in"),
    "visitor": gettext_lazy("The site named the browser"),
    "request-visitor": gettext_lazy("The person was not logged in and was known by the browser"),
    "hit": gettext_lazy("The hit itself was named, so no other was looked at"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """A hit that was looked at."""

    hit: str
    """Its id."""
    link: str
    partner: str
    """The partner's name; empty for a link of a user or of the house."""
    age: str
    verdict: str
    credited: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a trace says."""

    outcome: str
    rule: str
    subject: str
    hits: tuple[Looked, ...]
    omitted: str
    """How many more there were; empty for none."""


def money(amount: Decimal, currency: str) -> str:
    """Return an amount with the digits of its currency and its code: `1,234.50 EUR`."""
    text = number_format(amount, decimal_pos=currency_digits(currency), use_l10n=True, force_grouping=True)
    return f"{text.replace('-', MINUS)}\N{NO-BREAK SPACE}{currency}"


def money_of(value: Money) -> str:
    """Return the amount as people read it; empty for none."""
    return "" if value.micros is None else money(from_micros(value.micros), value.currency)


def told(trace: Mapping[str, Any], *, names: Mapping[str, str]) -> Story:
    """Return the trace in words; `names` are the partners' names by uid.

    A trace is stored for years: what is missing in it, or new, is left out or shown as it is.
    """
    window = trace.get("window_s")
    omitted = trace.get("omitted") or 0
    return Story(
        outcome=_outcome(trace),
        rule=_rule(trace),
        subject=_subject(trace.get("subject") or {}),
        hits=tuple(_looked(hit, names=names, window=window) for hit in _hits_of(trace)),
        omitted=(
            ngettext("%(count)s more hit was looked at.", "%(count)s more hits were looked at.", omitted)
            % {"count": omitted}
            if omitted
            else ""
        ),
    )


def partners_in(trace: Mapping[str, Any]) -> set[str]:
    """Return the uids of the partners that the trace names."""
    return {hit["partner"] for hit in _hits_of(trace) if hit.get("partner")}


def of_partners(trace: Mapping[str, Any], uids: Collection[str]) -> dict[str, Any]:
    """Return what these partners may see of a trace: their own hits alone, and the rule (A-11).

    How many others there were, and how many browsers a person has, is left out with them.
    """
    subject = trace.get("subject") or {}
    kept = {name: value for name, value in trace.items() if name not in {"hits", "omitted", "subject"}}
    return {
        **kept,
        "subject": {"how": subject.get("how")},
        "hits": [hit for hit in _hits_of(trace) if hit.get("partner") in uids],
    }


def _hits_of(trace: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [hit for hit in trace.get("hits") or () if isinstance(hit, dict)]


def _outcome(trace: Mapping[str, Any]) -> str:
    outcome = trace.get("outcome")
    if outcome == Reason.CONFIRMED:
        return _("A hit was credited.")
    if outcome in Reason.values:
        return _("No hit was credited: %(reason)s.") % {"reason": Reason(outcome).label}
    return str(outcome or "")


def _rule(trace: Mapping[str, Any]) -> str:
    rule = trace.get("rule")
    sentence = str(RULES.get(str(rule), rule or ""))
    window = trace.get("window_s")
    if not isinstance(window, int):
        return sentence
    return f"{sentence} " + _("It may be at most %(age)s old.") % {"age": _span(window)}


def _subject(subject: Mapping[str, Any]) -> str:
    how = KNOWN_BY.get(str(subject.get("how")))
    if how is None:
        return _("Nobody knew who it was.") if subject.get("how") == "none" else ""
    browsers = len(subject.get("visitors") or ())
    if subject.get("how") == "hit" or not browsers:
        return f"{how}."
    looked = ngettext("%(count)s browser was looked at", "%(count)s browsers were looked at", browsers)
    return f"{how}; {looked % {'count': browsers}}."


def _looked(hit: Mapping[str, Any], *, names: Mapping[str, str], window: object) -> Looked:
    verdict = str(hit.get("verdict") or "")
    uid = hit.get("partner") or ""
    age = hit.get("age_s")
    return Looked(
        hit=str(hit.get("hit") or ""),
        link=str(hit.get("link") or ""),
        partner=names.get(uid, uid),
        age=_("%(age)s before") % {"age": _span(age)} if isinstance(age, int) else "",
        verdict=_verdict(verdict, window=window),
        credited=verdict == Place.CREDITED,
    )


def _verdict(code: str, *, window: object) -> str:
    if code == Reason.OUT_OF_WINDOW:
        # The label is of an outcome: "every hit is too old".
        return _("outside the window of %(age)s") % {"age": _span(window)} if isinstance(window, int) else _("too old")
    if code in Place.values:
        return str(Place(code).label)
    return str(Reason(code).label) if code in Reason.values else code


def _span(seconds: int) -> str:
    """Return the time in words, from a day on in whole days: nobody counts a window in months and weeks."""
    days = seconds // DAY_S
    if days >= 1:
        return ngettext("%(days)s day", "%(days)s days", days) % {"days": days}
    if seconds < 60:
        return _("less than a minute")
    return timesince(SOME_MOMENT, SOME_MOMENT + timedelta(seconds=seconds))

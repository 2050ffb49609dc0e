"""Events and numbers in words, in the active language. Pure but for the language: no query, no clock."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext, gettext_lazy, ngettext, pgettext_lazy

from livereferrals.dashboard import charts, people
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.ranges import Range
from livereferrals.dashboard.rows import Counter, EventRow
from livereferrals.events.models import EventType
from livereferrals.tracking import amounts, sentences
from livereferrals.tracking.models import ReversalReason

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.activity import Line
    from livereferrals.dashboard.ranges import Dates
    from livereferrals.dashboard.rows import Tone
    from livereferrals.dashboard.statistics import Numbers, Step

NONE = "\N{EN DASH}"
"""What stands where there is no number."""

RANGES = {
    Range.TODAY: gettext_lazy("Today"),
    Range.DAY: gettext_lazy("24 hours"),
    Range.WEEK: gettext_lazy("7 days"),
    Range.MONTH: gettext_lazy("30 days"),
}
HITS = gettext_lazy("Hits")
VISITORS = gettext_lazy("Visitors")
CLAIMS = gettext_lazy("Claims")
CONFIRMATIONS = gettext_lazy("Confirmations")
STAGES = {"hits": HITS, "visitors": VISITORS, "claims": CLAIMS, "confirmations": CONFIRMATIONS}
TYPES = {
    EventType.HIT: gettext_lazy("Hit"),
    EventType.CLAIM: gettext_lazy("Claim"),
    EventType.CONFIRMATION: gettext_lazy("Confirmation"),
    EventType.REVERSAL: gettext_lazy("Reversal"),
    EventType.DELIVERY: gettext_lazy("Delivery"),
}
OUTCOMES = {
    "delivered": pgettext_lazy("delivery", "Delivered"),
    "failing": pgettext_lazy("delivery", "Failing, will be tried again"),
    "dead": pgettext_lazy("delivery", "Given up"),
    "cancelled": pgettext_lazy("delivery", "Cancelled"),
    "active": pgettext_lazy("endpoint", "Endpoint active"),
    "paused": pgettext_lazy("endpoint", "Endpoint paused"),
    "disabled": pgettext_lazy("endpoint", "Endpoint disabled"),
}
TONES: dict[str, Tone] = {
    "confirmation": "good",
    "reversal": "warn",
    "delivered": "good",
    "failing": "warn",
    "dead": "bad",
    "active": "good",
    "paused": "warn",
    "disabled": "bad",
}


def counters(
    numbers: Numbers, *, rights: Rights, before: Numbers | None = None, steps: Sequence[Step] = ()
) -> tuple[Counter, ...]:
    """Return the numbers of a page, with their change and their course where these are given.

    Amounts only to those who may see them.
    """
    found = [_whole(name, str(label), numbers, before, steps) for name, label in STAGES.items()]
    if rights.amounts:
        found += _amounts(numbers, before)
    return (*found, _rate(numbers.rate, before.rate if before else None))


def event_row(event: Line, *, partner_name: str, rights: Rights) -> EventRow:
    """Return the event as a row of the live list; `partner_name` is empty where there is no such partner any more."""
    # Beside a newer version, as during a deploy, there may be events of types that are not known here.
    kind = EventType(event.type) if event.type in EventType.values else None
    return EventRow(
        seq=event.seq,
        type=event.type,
        label=event.type if kind is None else str(TYPES[kind]),
        time=event.occurred_at,
        partner=partner_name or event.partner,
        partner_uid=event.partner,
        link=event.link_identifier,
        text="" if kind is None else SENTENCES[kind](event.data),
        amount=_event_amount(event.data) if rights.amounts else "",
        tone=TONES.get(event.data.get("outcome") or event.type, "neutral"),
        partner_url=address("partner", event.partner) if partner_name else "",
        link_url=address("link", event.link) if event.link is not None else "",
        url=_leads_to(event, rights),
    )


def _leads_to(event: Line, rights: Rights) -> str:
    """Return the page of what happened, where there is one that the viewer may see."""
    if event.type == EventType.DELIVERY:
        key = event.data.get("delivery")
        return address("delivery", key) if key and rights.may("view_delivery") else ""
    if event.type in {EventType.CONFIRMATION, EventType.REVERSAL}:
        key = event.data.get("confirmation")
        return address("confirmation", key) if key else ""
    return people.visitor_cell(event.visitor, rights).url


def picked_days(dates: Dates) -> str:
    """Return the name of a picked range: one day, or the first and the last."""
    first, last = (date_format(day, "SHORT_DATE_FORMAT") for day in (dates.first, dates.last))
    return first if first == last else f"{first} \N{EN DASH} {last}"


def money(amount: Decimal, currency: str) -> str:
    """Return an amount with the digits of its currency and its code: `1,234.50 EUR`."""
    return sentences.money(amount, currency)


def all_money(found: Mapping[str, Decimal]) -> str:
    """Return amounts of several currencies, never added up: `80.00 EUR, 12 JPY`; a dash where there are none."""
    return ", ".join(money(amount, currency) for currency, amount in found.items()) or NONE


def _number(value: int | Decimal, digits: int = 0) -> str:
    text = number_format(value, decimal_pos=digits, use_l10n=True, force_grouping=True)
    return text.replace("-", "\N{MINUS SIGN}")


def _whole(name: str, label: str, numbers: Numbers, before: Numbers | None, steps: Sequence[Step]) -> Counter:
    value: int = getattr(numbers, name)
    return Counter(
        key=name,
        label=label,
        raw=str(value),
        text=_number(value),
        change=_change(Decimal(value), Decimal(getattr(before, name))) if before else "",
        spark=charts.spark([getattr(step.numbers, name) for step in steps]),
    )


def _amounts(numbers: Numbers, before: Numbers | None) -> list[Counter]:
    label = gettext("Amount")
    if not numbers.amounts:
        return [Counter(key="amount", label=label, raw="", text=NONE)]
    return [
        Counter(
            key=f"amount-{currency}",
            label=label,
            raw=format(round(amount, amounts.currency_digits(currency)), "f"),
            text=money(amount, currency),
            change=_change(amount, before.amounts.get(currency, Decimal(0))) if before else "",
        )
        for currency, amount in numbers.amounts.items()
    ]


def _change(now: Decimal, before: Decimal) -> str:
    """Return by how many per cent a number has changed; nothing where it was nothing."""
    if before <= 0:
        return ""
    per_cent = ((now - before) * 100 / before).quantize(Decimal(1))
    return _signed(per_cent, 0, unit="%")


def _signed(value: Decimal, digits: int, *, unit: str) -> str:
    sign = "+" if value > 0 else ""
    return f"{sign}{_number(value, digits)}\N{NARROW NO-BREAK SPACE}{unit}"


TENTH = Decimal("0.1")
"""Two of three are 66.7 %: Django's `number_format` cuts digits off and does not round."""


def _rate(rate: Decimal | None, before: Decimal | None) -> Counter:
    label = gettext("Conversion rate")
    if rate is None:
        return Counter(key="rate", label=label, raw="", text=NONE)
    # Translators: percentage points, the difference of two rates.
    change = _signed(((rate - before) * 100).quantize(TENTH), 1, unit=gettext("pp")) if before is not None else ""
    return Counter(key="rate", label=label, raw=format(rate, "f"), text=per_cent(rate), change=change)


def per_cent(rate: Decimal | None) -> str:
    """Return a rate as per cent with one digit: `66.7%`."""
    if rate is None:
        return NONE
    # Translators: a number of per cent.
    return gettext("%(number)s%%") % {"number": _number((rate * 100).quantize(TENTH), 1)}


def whole_number(value: int) -> str:
    """Return a whole number with its thousands grouped."""
    return _number(value)


def _event_amount(data: Mapping[str, Any]) -> str:
    amount, currency = data.get("amount"), data.get("currency")
    return "" if amount is None or not currency else money(Decimal(amount), currency)


def _hit(data: Mapping[str, Any]) -> str:
    landing = data.get("landing") or "/"
    if data.get("repeat"):
        return gettext("Again to %(path)s") % {"path": landing}
    return gettext("To %(path)s") % {"path": landing}


def _claim(data: Mapping[str, Any]) -> str:
    count = data.get("hits") or 0
    return ngettext("%(count)s hit tied to a user", "%(count)s hits tied to a user", count) % {"count": _number(count)}


def _confirmation(data: Mapping[str, Any]) -> str:
    return _listed(data.get("trigger"), data.get("reference"))


def _reversal(data: Mapping[str, Any]) -> str:
    reason = data.get("reason")
    label = ReversalReason(reason).label if reason in ReversalReason.values else reason
    part = gettext("in part") if data.get("partial") else None
    return _listed(data.get("trigger"), data.get("reference"), label, part)


def _delivery(data: Mapping[str, Any]) -> str:
    outcome, status = data.get("outcome"), data.get("status")
    # Translators: an HTTP status code.
    answer = gettext("answer %(status)s") % {"status": status} if status is not None else None
    return _listed(OUTCOMES.get(outcome or "", outcome), data.get("trigger"), answer)


def _listed(*facts: object) -> str:
    return " · ".join(str(fact) for fact in facts if fact)


SENTENCES: dict[EventType, Callable[[Mapping[str, Any]], str]] = {
    EventType.HIT: _hit,
    EventType.CLAIM: _claim,
    EventType.CONFIRMATION: _confirmation,
    EventType.REVERSAL: _reversal,
    EventType.DELIVERY: _delivery,
}

"""From where somebody looks: filters, rights, language, zone. All who share one share their frames."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from django.utils import timezone, translation

from livereferrals.dashboard import beats
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.ranges import span_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.beats import Period
    from livereferrals.dashboard.pages import Page
    from livereferrals.dashboard.ranges import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """What makes two viewers' screens differ, and nothing that names one of them."""

    view: str = "overview"
    """The page's name."""
    subject: str = ""
    """What the page is about, as in its address: a partner's uid, a link's id; empty for a page without one."""
    filters: Filters
    rights: Rights
    language: str
    zone: str
    """The viewer's zone, for single moments; hours and days are the project's."""
    failed: Mapping[str, str] = field(default_factory=dict, compare=False)
    """The regions that have failed in this reading; of no matter for who shares frames."""

    def span(self, *, now: datetime) -> Span:
        """Return the span of time that the chosen range means now, in the project's zone."""
        return span_of(self.filters.range, now=now, zone=timezone.get_default_timezone())

    def period(self, *, now: datetime) -> Period:
        """Return how long what is read now stays right, if nothing is logged."""
        return beats.period_of(self.view, self.span(now=now), now=now)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Work in this language and zone."""
        with ExitStack() as stack:
            stack.enter_context(translation.override(self.language))
            stack.enter_context(timezone.override(ZoneInfo(self.zone)))
            yield


def viewpoint_of(query: str, *, page: Page, rights: Rights) -> Viewpoint:
    """Return what the query of a live socket's address means on this page."""
    values = dict(parse_qsl(query))
    return Viewpoint(
        view=page.name,
        subject=values.get("subject", ""),
        filters=Filters.parse(query, page.fields)[0],
        rights=rights,
        language=language_of(values.get("language", "")),
        zone=zone_of(values.get("zone", "")),
    )


def language_of(asked: str) -> str:
    """Return the asked language where the project has it, else the active one."""
    try:
        return translation.get_supported_language_variant(asked)
    except LookupError:
        return translation.get_language() or "en"


def zone_of(asked: str) -> str:
    """Return the asked zone where there is such a one, else the project's."""
    try:
        return ZoneInfo(asked).key
    except (KeyError, ValueError, OSError):  # a directory of the zone database raises OSError
        return timezone.get_default_timezone_name()

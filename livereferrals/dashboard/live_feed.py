"""The live feed: the newest events of whichever kind, as they come; above ten a second a sample of them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.db.models import Q
from django.utils.translation import gettext, gettext_lazy, ngettext

from livereferrals.dashboard import activity, event_search, pages, wording
from livereferrals.dashboard.event_search import NEWEST, WINDOW, Wanted
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.narrowing import LINK, MOST, PARTNER
from livereferrals.dashboard.pages import Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.events.models import Event
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.event_search import Found
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.rows import EventRow
    from livereferrals.dashboard.viewpoints import Viewpoint

TEXT: Final = Field(name="q", label=gettext_lazy("Text"))
NO_LINK: Final = uuid.UUID(int=0)
"""The id of a link that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFeedState(State):
    """What the live feed shows."""

    rows: tuple[EventRow, ...]
    """Newest first, at most 50."""
    filtered: bool
    """Whether a filter narrows the list; an empty list then means "nothing of this kind"."""
    notes: tuple[str, ...]
    """What is not shown: that it is a sample, or that only the newest part of the log was looked through."""


def read_state(viewpoint: Viewpoint) -> LiveFeedState:
    """Return the newest events that the filters mean, all at one cursor."""
    with pages.one_moment(viewpoint) as moment:
        # What is not shown is said of the very rows that are: one reading, two regions.
        rows, notes = moment.part("events", lambda: _found(viewpoint, moment), ((), ()))
    return LiveFeedState(
        **moment.header,
        rows=rows,
        filtered=bool(viewpoint.filters.types or viewpoint.filters.others),
        notes=notes,
    )


def _found(viewpoint: Viewpoint, moment: Moment) -> tuple[tuple[EventRow, ...], tuple[str, ...]]:
    wanted = wanted_by(viewpoint, moment)
    found = event_search.find(wanted, now=moment.now)
    events = Event.objects.filter(seq__in=found.seqs)
    return activity.newest(events, rights=viewpoint.rights, count=NEWEST), tuple(_notes(wanted, found))


def wanted_by(viewpoint: Viewpoint, moment: Moment) -> Wanted:
    """Return which events the filters mean. At most two queries."""
    filters, rights = viewpoint.filters, viewpoint.rights
    partner, link, text = (filters.value(field) for field in (PARTNER, LINK, TEXT))
    return Wanted(
        upto=moment.bounds.head,
        rights=rights,
        types=filters.types,
        partners=_uids(partner, rights) if partner else None,
        link=_link(link, rights) if link else None,
        texts=(text,) if text else (),
    )


def _uids(text: str, rights: Rights) -> tuple[str, ...]:
    """Return the partner of this uid or name, else the first whose names begin so."""
    partners = visible(Partner.objects.all(), rights=rights).order_by("name", "pk")
    exact = partners.filter(Q(uid=text) | Q(name=text)).values_list("uid", flat=True)
    begun = partners.filter(name__istartswith=text).values_list("uid", flat=True)
    return tuple(exact[:MOST]) or tuple(begun[:MOST])


def _link(identifier: str, rights: Rights) -> uuid.UUID:
    """Return the link of this identifier, else one that has no events."""
    found = visible(ReferralLink.objects.filter(identifier=identifier), rights=rights)
    return found.values_list("pk", flat=True).first() or NO_LINK


def _notes(wanted: Wanted, found: Found) -> list[str]:
    notes = []
    if found.unseen:
        count = wording.whole_number(found.unseen)
        # Translators: above the newest events, of which only some are shown.
        words = ngettext(
            "A sample: +%(count)s more in the last second", "A sample: +%(count)s more in the last second", found.unseen
        )
        notes.append(words % {"count": f"{count}+" if found.is_much else count})
    if wanted.is_bounded and wanted.upto > WINDOW:
        notes.append(gettext("Of the newest %(count)s events only") % {"count": wording.whole_number(WINDOW)})
    return notes


PAGE = Page(
    name="live_feed",
    template="live_feed.html",
    regions=("feed_notes", "events", "cursor"),
    read=read_state,
    title=lambda _: gettext("Live feed"),
    tab=gettext_lazy("Live feed"),
    fields=(PARTNER, LINK, TEXT),
    typed=True,
)

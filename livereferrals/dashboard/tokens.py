"""Feed tokens and who is connected with them, and how far behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext, gettext_lazy

from livereferrals.dashboard import pages, wording
from livereferrals.dashboard.access import VIEW_TOKENS
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.columns import Column
from livereferrals.dashboard.filters import Field
from livereferrals.dashboard.listing import Listing, no_rows
from livereferrals.dashboard.narrowing import PARTNER, of_partner
from livereferrals.dashboard.pages import NoSuchSubjectError, Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell, Empty
from livereferrals.streaming import token_use
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.token_use import Use
from livereferrals.streaming.tokens import refusal_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.pages import Moment
    from livereferrals.dashboard.tables import Table
    from livereferrals.dashboard.viewpoints import Viewpoint

MANAGE: Final = "manage_tokens"
IN_USE, ENDED = "in_use", "ended"
STATE = Field(
    name="state",
    label=gettext_lazy("State"),
    choices=(IN_USE, ENDED),
    labels={"": gettext_lazy("All tokens"), IN_USE: gettext_lazy("In use"), ENDED: gettext_lazy("Ended")},
)
SEARCH = Field(name="q", label=gettext_lazy("Name or beginning"))


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensState(State):
    """What the page of tokens shows."""

    table: Table
    new_url: str
    """Where a token is made; empty: the viewer may not."""


def may_see(rights: Rights) -> bool:
    """Whether the viewer may see tokens: a partner's login its own, staff with either permission all of them."""
    return rights.may(VIEW_TOKENS) or rights.may(MANAGE)


def find(subject: str, rights: Rights) -> FeedToken:
    """Return a token that the viewer may see. One query.

    Raises:
        NoSuchSubjectError: there is none.
    """
    row = visible(FeedToken.objects.select_related("partner"), rights=rights).filter(pk=subject).first()
    if row is None:
        raise NoSuchSubjectError(subject)
    return row


def may_rotate(row: FeedToken) -> bool:
    """Whether it can still be rotated: nobody has ended it yet."""
    return row.revoked_at is None


def may_revoke(row: FeedToken) -> bool:
    """Whether there is something to revoke: a rotated one works until its last day."""
    return row.revoked_at is None or row.revoked_at > timezone.now()


def _rows(viewpoint: Viewpoint, _moment: Moment) -> QuerySet[FeedToken]:
    filters, now = viewpoint.filters, timezone.now()
    rows = visible(FeedToken.objects.select_related("partner"), rights=viewpoint.rights)
    ended = Q(revoked_at__lte=now) | Q(expires_at__lte=now)
    if state := filters.value(STATE):
        rows = rows.filter(ended) if state == ENDED else rows.exclude(pk__in=FeedToken.objects.filter(ended))
    if partner := filters.value(PARTNER):
        rows = rows.filter(of_partner(partner, viewpoint.rights))
    if text := filters.value(SEARCH):
        rows = rows.filter(Q(name__icontains=text) | Q(pk=text.removeprefix("lrf_").rstrip("_")))
    return rows


def _complete(rows: Sequence[FeedToken], _viewpoint: Viewpoint, _moment: Moment) -> None:
    used = token_use.by_token(now=timezone.now())
    found: Any
    for found in rows:
        found.lr_use = used.get(found.pk, Use())


def _use(row: Any) -> Use:
    found: Use = row.lr_use
    return found


def _state_cell(row: FeedToken, _viewpoint: Viewpoint) -> Cell:
    now = timezone.now()
    works = refusal_of(row, now=now) is None
    return Cell(text=token_use.state_in_words(row, now=now), tone="good" if works else "neutral")


def _open_cell(row: FeedToken, _viewpoint: Viewpoint) -> Cell:
    count = _use(row).open
    return Cell(text=wording.whole_number(count), raw=str(count), metric=f"open-{row.pk}")


def _behind_cell(row: FeedToken, _viewpoint: Viewpoint) -> Cell:
    use = _use(row)
    if not use.open:
        return Cell()
    return Cell(
        text=wording.whole_number(use.behind) if use.behind else gettext("up to date"),
        raw=str(use.behind),
        tone="warn" if use.behind else "neutral",
    )


def _scopes(row: FeedToken, _viewpoint: Viewpoint) -> Cell:
    words = ", ".join(row.scopes)
    return Cell(text=gettext("%(scopes)s of some links") % {"scopes": words} if row.links is not None else words)


def _last_used(row: FeedToken, _viewpoint: Viewpoint) -> Cell:
    return Cell(time=row.last_used_at) if row.last_used_at is not None else Cell(text=gettext("never"))


def _act(row: FeedToken, name: str, label: str) -> Cell:
    possible = {"rotate": may_rotate, "revoke": may_revoke}[name](row)
    return Cell(text=label, url=address(f"token_{name}", row.pk)) if possible else Cell()


def _empty(viewpoint: Viewpoint) -> Empty:
    if viewpoint.filters.others:
        return no_rows(gettext("No such token"))
    text = gettext("A token lets a partner's program read the feed: every event as it happens.")
    if not viewpoint.rights.may(MANAGE):
        return Empty(title=gettext("No tokens yet"), text=text)
    return Empty(
        title=gettext("No tokens yet"), text=text, url=address("token_new"), link=gettext("Make the first token")
    )


LISTING: Listing[FeedToken] = Listing(
    name="tokens",
    caption=gettext_lazy("Feed tokens"),
    columns=(
        Column(key="name", label=gettext_lazy("Name"), cell=lambda row, _: Cell(text=row.name), order=("name", "id")),
        Column(
            key="reads",
            label=gettext_lazy("Whose events"),
            cell=lambda row, _: Cell(text=row.partner.name if row.partner else gettext("Everything (the house)")),
        ),
        Column(key="scopes", label=gettext_lazy("Scopes"), cell=_scopes, minor=True),
        Column(
            key="begins",
            label=gettext_lazy("Begins with"),
            cell=lambda row, _: Cell(text=f"lrf_{row.pk}_"),
            minor=True,
        ),
        Column(key="state", label=gettext_lazy("State"), cell=_state_cell),
        Column(key="used", label=gettext_lazy("Last used"), cell=_last_used),
        Column(key="open", label=gettext_lazy("Open now"), cell=_open_cell, numeric=True),
        Column(key="behind", label=gettext_lazy("Behind"), cell=_behind_cell, numeric=True),
        Column(
            key="created",
            label=gettext_lazy("Created"),
            cell=lambda row, _: Cell(time=row.created_at),
            order=("-created_at", "-id"),
            minor=True,
        ),
        Column(
            key="rotate",
            label=gettext_lazy("Rotate"),
            cell=lambda row, _: _act(row, "rotate", gettext("Rotate")),
            needs=MANAGE,
        ),
        Column(
            key="revoke",
            label=gettext_lazy("Revoke"),
            cell=lambda row, _: _act(row, "revoke", gettext("Revoke")),
            needs=MANAGE,
        ),
    ),
    rows=_rows,
    order="created",
    empty=_empty,
    complete=_complete,
)
FIELDS = (*LISTING.fields, STATE, PARTNER, SEARCH)


def read_state(viewpoint: Viewpoint) -> TokensState:
    """Return what the page shows now."""
    with pages.one_moment(viewpoint) as moment:
        table = LISTING.table(viewpoint, moment, fields=FIELDS)
    return TokensState(
        **moment.header,
        table=table,
        new_url=address("token_new") if viewpoint.rights.may(MANAGE) else "",
    )


PAGE = Page(
    name="tokens",
    template="tokens.html",
    regions=("list", "cursor"),
    read=read_state,
    title=lambda _: gettext("Feed tokens"),
    tab=gettext_lazy("Tokens"),
    may_see=may_see,
    fields=FIELDS,
)

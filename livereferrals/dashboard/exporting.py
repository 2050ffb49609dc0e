"""Lists as CSV: the same rows, columns and filters as on the screen, sent while they are read."""

from __future__ import annotations

from functools import partial, update_wrapper
from typing import TYPE_CHECKING

from django.core.handlers.asgi import ASGIRequest
from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils import timezone, translation
from django.views.decorators.http import require_safe

from livereferrals.dashboard import access, pages, views
from livereferrals.dashboard.filters import Filters
from livereferrals.dashboard.policy import dashboard_headers
from livereferrals.dashboard.viewpoints import Viewpoint
from livereferrals.spreadsheets import BOM, line, on_the_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.http import HttpRequest, HttpResponse

    from livereferrals.dashboard.listing import Listing
    from livereferrals.dashboard.pages import Moment, Page

EXPORT = "export_referrals"
LINES = 200
"""Lines in one piece of the answer."""


def export_view(page: Page, listing: Listing) -> Callable[..., HttpResponse]:  # type: ignore[type-arg] # whatever its rows are
    """Return the view that exports the page's list."""
    return update_wrapper(partial(_export, page=page, listing=listing), _export)


@transaction.non_atomic_requests
@require_safe
@dashboard_headers
def _export(request: HttpRequest, *, page: Page, listing: Listing) -> HttpResponse:  # type: ignore[type-arg] # as above
    """Send the list that the address means as CSV: UTF-8 (`?bom=1`: with a byte order mark), ISO times, raw numbers.

    The file's name says the place in the log that it was made at.
    """
    refusal = views.refuse_strangers(request)
    if refusal is not None:
        return refusal
    rights = access.rights_of(request.user)
    if rights is None or not page.may_see(rights) or not rights.may(EXPORT):
        return views.forbid(request)
    viewpoint = Viewpoint(
        view=page.name,
        filters=Filters.parse(request.META.get("QUERY_STRING", ""), page.fields)[0],
        rights=rights,
        language=translation.get_language() or "en",
        zone=timezone.get_default_timezone_name(),
    )
    with pages.one_moment(viewpoint) as moment:
        pass
    lines = _lines(listing, viewpoint, moment, bom=request.GET.get("bom") == "1")
    # A server that speaks ASGI would collect a plain iterator to its end before the first byte goes out.
    content = on_the_loop(lines) if isinstance(request, ASGIRequest) else lines
    name = f"{listing.name}-{moment.header['cursor']}.csv"
    return StreamingHttpResponse(  # type: ignore[return-value] # an answer all the same
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"', "Content-Encoding": "identity"},
    )


def _lines(listing: Listing, viewpoint: Viewpoint, moment: Moment, *, bom: bool) -> Iterator[str]:  # type: ignore[type-arg]
    """Give the file in pieces."""
    yield (BOM if bom else "") + line(column.key for column in listing.columns_for(viewpoint))
    piece: list[str] = []
    for values in listing.lines(viewpoint, moment):
        piece.append(line(values))
        if len(piece) == LINES:
            yield "".join(piece)
            piece.clear()
    yield "".join(piece)

"""The pages of the dashboard, in the order of their tabs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from livereferrals.dashboard import (
    confirmation,
    confirmations,
    deliveries,
    delivery,
    endpoints,
    hits,
    inspector,
    link,
    links,
    live_feed,
    overview,
    partner,
    partners,
    status,
    tokens,
    visitor,
)

if TYPE_CHECKING:
    from livereferrals.dashboard.pages import Page

PAGES: Final[tuple[Page, ...]] = (
    overview.PAGE,
    live_feed.PAGE,
    partners.PAGE,
    partner.PAGE,
    links.PAGE,
    link.PAGE,
    hits.PAGE,
    visitor.PAGE,
    confirmations.PAGE,
    confirmation.PAGE,
    deliveries.PAGE,
    delivery.PAGE,
    endpoints.PAGE,
    tokens.PAGE,
    inspector.PAGE,
    status.PAGE,
)

BY_NAME: Final = {page.name: page for page in PAGES}

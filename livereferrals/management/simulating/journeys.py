"""What simulated visitors do on a site, beside following links; hosts whose pages are others replace it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livereferrals.management.simulating.browser import TurnedAway

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from livereferrals.management.simulating.browser import Page
    from livereferrals.management.simulating.forms import Form
    from livereferrals.management.simulating.visits import Visit


class Journey:
    """A way through a site with forms as Django makes them. Sub-class it, and name the class with `--journey`.

    Each method may raise `TurnedAway`; whatever else it raises ends the simulation.
    """

    pages: Sequence[str] = ("/",)
    """Pages that visitors look at."""
    sign_up_page: str | None = None
    """The page with the form that makes an account; none: nobody signs up."""
    order_page: str | None = None
    """The page with the form that places an order, and pays it; none: nobody orders."""
    sign_up_trigger: str | None = None
    """The trigger that a sign-up confirms."""
    order_trigger: str | None = None
    """The trigger that each order confirms."""
    needs_account: bool = True
    """Whether only those who have signed up can order."""

    logs_in: bool = True
    """Whether who signs up is logged in with that, so that its visitor is claimed."""

    def __init__(self, **given: Any) -> None:
        for name, value in given.items():
            if value is not None:
                setattr(self, name, value)

    async def browse(self, visit: Visit) -> None:
        """Look at a page."""
        await visit.open(visit.chance.choice(self.pages))

    async def sign_up(self, visit: Visit) -> None:
        """Make an account by the first form with a password."""
        if self.sign_up_page is not None:
            await self.fill_in(visit, self.sign_up_page, kind="password")
            visit.signed_up(trigger=self.sign_up_trigger)

    async def order(self, visit: Visit) -> None:
        """Place an order by the page's first form that is sent with POST, as it is filled in."""
        if self.order_page is not None:
            await self.fill_in(visit, self.order_page)
            visit.ordered(trigger=self.order_trigger)

    async def fill_in(self, visit: Visit, path: str, *, kind: str | None = None) -> Page:
        """Open a page, fill in what its form leaves empty, send it, and return what comes after.

        Args:
            visit: whose.
            path: where the page is.
            kind: what kind of field the form must have, if there are several forms.

        Raises:
            TurnedAway: there is no such form, or it was not accepted.
        """
        page = await visit.open(path)
        form = _chosen(page, kind=kind)
        return await visit.send(page, form, visit.typed(form.empty()))

    def forget(self, users: Iterable[Any]) -> None:
        """Remove what the host keeps of these simulated users and would not let them be deleted for."""


def _chosen(page: Page, *, kind: str | None) -> Form:
    """Return the form; one that is sent to the page's own address goes first, as others are for searching or logging out."""
    found = [form for form in page.forms() if form.is_post and (kind is None or form.has(kind))]
    if not found:
        raise TurnedAway(f"GET {page.url.path}: no form on it is the one that was looked for")
    return next((form for form in found if form.action in ("", page.url.path)), found[0])

"""One simulated browser: cookies, redirects and forms, and never a request to another site."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

import aiohttp
from yarl import URL

from livereferrals.exceptions import LiveReferralsError
from livereferrals.management.simulating.forms import forms_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from livereferrals.management.simulating.forms import Form

TIMEOUT_S: Final = 30
MAX_REDIRECTS: Final = 10
REDIRECTS: Final = (301, 302, 303, 307, 308)


class TurnedAway(LiveReferralsError, RuntimeError):  # noqa: N818 - says what happened
    """The site did not do what the visitor came for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What stands at the end of all redirects."""

    url: URL
    status: int
    text: str
    redirects: int
    """How many redirects led here."""

    def forms(self) -> list[Form]:
        """Return the forms of the page."""
        return forms_of(self.text)


class Browser:
    """A browser with cookies of its own."""

    def __init__(self, base: URL, *, headers: Mapping[str, str]) -> None:
        self._base = base
        self._session = aiohttp.ClientSession(
            headers=dict(headers),
            # Browsers keep cookies of addresses too; aiohttp only when asked.
            cookie_jar=aiohttp.CookieJar(unsafe=True),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def open(self, address: str | URL) -> Page:
        """Return the page at a path or address of the site.

        Raises:
            TurnedAway: the site cannot be reached, or answers with an error.
        """
        return await self._go("GET", self._base.join(URL(address)))

    async def send(self, page: Page, form: Form, typed: Mapping[str, str]) -> Page:
        """Send a form of a page, and return what comes after.

        Raises:
            TurnedAway: the site cannot be reached, answers with an error, or shows the form again.
        """
        url = page.url.join(URL(form.action)) if form.action else page.url
        values = form.values(typed)
        if not form.is_post:
            return await self._go("GET", url.with_query(values))
        # Django's protection against forged requests wants to see where a form of https comes from.
        found = await self._go("POST", url, data=values, headers={"Referer": str(page.url)})
        if found.redirects == 0 and any(form.names <= other.names for other in found.forms()):
            raise TurnedAway(f"the form at {url.path} was shown again, so something in it was not accepted")
        return found

    async def _go(self, method: str, url: URL, **request: Any) -> Page:
        try:
            return await self._follow(method, url, **request)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise TurnedAway(f"{method} {url.path}: {str(error) or type(error).__name__}") from error

    async def _follow(self, method: str, url: URL, **request: Any) -> Page:
        for count in range(MAX_REDIRECTS + 1):
            async with self._session.request(method, url, allow_redirects=False, **request) as answer:
                place = answer.headers.get("Location")
                if answer.status not in REDIRECTS or place is None:
                    text = await answer.text(errors="replace")
                    _check(method, url, status=answer.status)
                    return Page(url=url, status=answer.status, text=text, redirects=count)
                onwards = url.join(URL(place))
                if onwards.origin() != self._base.origin():
                    # Other sites have not asked for simulated visitors.
                    return Page(url=url, status=answer.status, text="", redirects=count + 1)
                if answer.status < HTTPStatus.TEMPORARY_REDIRECT:
                    method, request = "GET", {}
                url = onwards
        raise TurnedAway(f"{method} {url.path}: more than {MAX_REDIRECTS} redirects")


def _check(method: str, url: URL, *, status: int) -> None:
    if status >= HTTPStatus.BAD_REQUEST:
        raise TurnedAway(f"{method} {url.path}: {status}")

"""A visitor's browser without a screen: real HTTP, a cookie jar, forms with their CSRF token."""

from __future__ import annotations

import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from email.message import Message

TIMEOUT_S = 60
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a request was answered with."""

    url: str
    status: int
    headers: Message
    text: str

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.text)


class _Still(urllib.request.HTTPRedirectHandler):
    """Shows redirects instead of following them."""

    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


class Browser:
    """One visitor: `base` is scheme, host and port; cookies are kept from page to page."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.jar = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(_Still, urllib.request.HTTPCookieProcessor(self.jar))

    def cookies(self) -> dict[str, str]:
        """Return the cookies that have been kept."""
        return {cookie.name: cookie.value or "" for cookie in self.jar}

    def cookie_header(self) -> str:
        """Return the cookies as one header, for a WebSocket of the same visitor."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies().items())

    def request(self, target: str, *, data: dict[str, str] | None = None) -> Page:
        """Make one request, a POST where there is `data`; redirects and errors are answers like others."""
        url = urllib.parse.urljoin(self.base, target)
        body = None if data is None else urllib.parse.urlencode(data).encode()
        request = urllib.request.Request(url, data=body, headers={"User-Agent": USER_AGENT, "Referer": url})  # noqa: S310 - http only
        try:
            answer = self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            text = answer.read().decode(errors="replace")
            return Page(url=url, status=answer.status, headers=answer.headers, text=text)

    def visit(self, target: str) -> Page:
        """Open an address and follow its redirects."""
        page = self.request(target)
        for _ in range(10):
            if page.status not in REDIRECTS:
                return page
            page = self.request(urllib.parse.urljoin(page.url, page.headers["Location"]))
        raise AssertionError(f"{target} redirects without end")

    def submit(self, target: str, **fields: str) -> Page:
        """Open a page with a form, fill it in, send it to the same address, and show the answer."""
        form = self.visit(target)
        found = TOKEN.search(form.text)
        assert found is not None, f"{form.url} has no form: {form.status} {form.text[:500]}"
        return self.request(form.url, data={"csrfmiddlewaretoken": found[1], **fields})

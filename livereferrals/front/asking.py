"""What is read of a request: of an ASGI scope straight, and only what the answer to a link depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, parse_cookie
from django.utils.datastructures import CaseInsensitiveMapping

from livereferrals import conf
from livereferrals.front import hosting
from livereferrals.front.cookies import Seal
from livereferrals.tracking import privacy
from livereferrals.tracking.screening import Follow

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping
    from datetime import datetime

    Scope = dict[str, Any]

UNJUDGED: Final = frozenset({b"authorization", b"content-length", b"transfer-encoding", b"upgrade"})
"""Headers of requests that are Django's: somebody logged in by a token, a body, another protocol."""
MOST_KEPT: Final = 1024
LONGEST_KEPT: Final = 512


class Asked(NamedTuple):
    """A request of a browser that is not logged in."""

    headers: Mapping[bytes, bytes]
    host: str
    """The host that Django would name, and allows."""
    secure: bool
    """Whether it came over TLS, as Django judges."""
    visitor: uuid.UUID | None
    """The visitor that the browser proves to be, if it carries one."""
    ip: str

    def text(self, name: bytes) -> str:
        """Return a header as Django decodes it; empty where there is none."""
        value = self.headers.get(name)
        return "" if value is None else value.decode("latin-1")

    def follow(self, link: str, *, now: datetime) -> Follow:
        """Return what a host's own rule of screening is asked about, as Django tells it."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.headers.items()}
        return Follow(link=link, method="GET", headers=CaseInsensitiveMapping(headers), ip=self.ip, now=now)


class Reading:
    """How requests are read as long as the settings stay as they are."""

    def __init__(self) -> None:
        self._unjudged = UNJUDGED | ({b"sec-gpc"} if conf.settings.RESPECT_GPC else set())
        self._seal = Seal()
        self._own_cookie = conf.settings.COOKIE_NAME
        self._foreign_cookies = {conf.host("SESSION_COOKIE_NAME"), conf.old_cookie_name()} - {self._own_cookie}
        self._cookies = tuple(name.encode("latin-1") for name in (self._own_cookie, *self._foreign_cookies))
        self._by_forwarded_host = bool(conf.host("USE_X_FORWARDED_HOST"))
        header = conf.proxy_tls_header()
        self._tls_header = None if header is None else _name_in_scope(header[0])
        self._tls_value = None if header is None else header[1]
        self._only_secure = hosting.redirects_to_tls()
        self._trusted_proxies = conf.settings.TRUSTED_PROXIES
        self._hosts: dict[bytes, str | None] = {}

    def asked(self, scope: Scope) -> Asked | None:
        """Return what the request says, or nothing where Django has to judge it."""
        raw = scope["headers"]
        headers: dict[bytes, bytes] = dict(raw)
        # One header several times is joined by Django; proxies and frameworks differ in that.
        if len(headers) != len(raw) or not self._unjudged.isdisjoint(headers):
            return None
        host = self._host(headers)
        secure = self._is_secure(scope, headers)
        if host is None or (self._only_secure and not secure):
            return None
        visitor = None
        if cookies := headers.get(b"cookie"):
            own = self._carried(cookies)
            if own is None:
                return None
            visitor = self._seal.opened(own) if own else None
        return Asked(headers, host, secure, visitor, self._ip(scope, headers))

    def _host(self, headers: Mapping[bytes, bytes]) -> str | None:
        """Return the request's host if Django allows it; otherwise the answer is Django's own 400 (L-53)."""
        forwarded = headers.get(b"x-forwarded-host") if self._by_forwarded_host else None
        raw = headers.get(b"host") if forwarded is None else forwarded
        if raw is None:
            return None
        if raw in self._hosts:
            return self._hosts[raw]
        allowed = _allowed(raw.decode("latin-1"))
        if len(raw) <= LONGEST_KEPT:
            if len(self._hosts) >= MOST_KEPT:
                self._hosts.clear()
            self._hosts[raw] = allowed
        return allowed

    def _is_secure(self, scope: Scope, headers: Mapping[bytes, bytes]) -> bool:
        """Judge as `HttpRequest.scheme` does."""
        said = headers.get(self._tls_header) if self._tls_header is not None else None
        if said is None:
            return bool(scope.get("scheme") == "https")
        return said.decode("latin-1").split(",", 1)[0].strip() == self._tls_value

    def _carried(self, raw: bytes) -> str | None:
        """Return the value of the visitor's cookie, empty if there is none; nothing for cookies that are Django's."""
        if not any(name in raw for name in self._cookies):
            return ""
        cookies = parse_cookie(raw.decode("latin-1"))
        if not self._foreign_cookies.isdisjoint(cookies):
            return None
        value: str = cookies.get(self._own_cookie, "")
        return value

    def _ip(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        client = scope.get("client")
        remote: str = (client[0] or "") if client else ""
        if not self._trusted_proxies:
            return remote
        forwarded = headers.get(b"x-forwarded-for", b"").decode("latin-1")
        return privacy.client_address(remote, forwarded=forwarded, trusted_proxies=self._trusted_proxies)


def _allowed(host: str) -> str | None:
    request = HttpRequest()
    request.META["HTTP_HOST"] = host
    try:
        return request.get_host()
    except DisallowedHost:
        return None


def _name_in_scope(name: str) -> bytes:
    """Return the name in an ASGI scope of a header that Django calls `HTTP_X_NAME`."""
    return name.removeprefix("HTTP_").replace("_", "-").lower().encode("latin-1")

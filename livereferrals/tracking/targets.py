"""Where a redirect may go, and what a query looks like without our parameters. Pure text rules.

Nothing here raises for text from outside: what cannot be followed counts as absent.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, unquote_plus, urlencode, urlsplit

from django.utils.encoding import iri_to_uri
from django.utils.http import MAX_URL_LENGTH, is_same_domain, url_has_allowed_host_and_scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from urllib.parse import SplitResult

DEFAULT_PORTS: Final = {"http": 80, "https": 443}
HOST: Final = re.compile(r"(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]+)?", re.IGNORECASE | re.ASCII)
"""A host with a port, or without: no user name before an `@`, no backslash, nothing that browsers rewrite."""
UNSENDABLE: Final = frozenset({"Cc", "Cs"})
"""Unicode categories that no target may have: control characters (header injection), halves of surrogate pairs."""
PATH_SAFE: Final = "/%:@!$&'()*+,;=~-._"
QUERY_SAFE: Final = "/%:@!$&'()*+,;=~-._?[]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The site that redirects, as the request and the settings say."""

    host: str
    """Host and port of the request; empty where there is no request."""
    secure: bool
    """Whether the request came over https."""
    allowed_hosts: tuple[str, ...] = ()
    """Further hosts; `.example.org` means its sub-domains too."""
    max_length: int = 8192
    """A longer target counts as absent."""


def settled(candidates: Iterable[str], *, default: str, site: Site) -> str:
    """Return the first candidate that may be redirected to, as it stands in `Location`, else the default."""
    return next((iri_to_uri(each) for each in candidates if may_redirect_to(each, site=site)), iri_to_uri(default))


def may_redirect_to(target: str, *, site: Site) -> bool:
    """Whether a redirect to the target stays on the site, or goes to a host that is allowed (L-40 to L-49).

    Django's own check is needed and not enough: it lets `foo`, `?a`, `#t`, a leading newline and an inner CR LF
    through, and refuses whatever is longer than 2,048 characters.
    """
    if not target or len(target) > site.max_length or not _is_sendable(target):
        return False
    if len(iri_to_uri(target)) > site.max_length:
        return False
    if target.startswith("/"):
        return not target.startswith(("//", "/\\"))
    return _leads_to_allowed_host(target, site=site)


def _is_sendable(target: str) -> bool:
    return not any(unicodedata.category(character) in UNSENDABLE for character in target)


def _leads_to_allowed_host(target: str, *, site: Site) -> bool:
    try:
        parts = urlsplit(target)
        port = parts.port
    except ValueError:  # a bracket that is not closed, a port that is no number
        return False
    host = parts.hostname
    if host is None or not HOST.fullmatch(parts.netloc) or not target.isprintable():
        return False
    # Its beginning is what Django judges: scheme and host, which the expression above keeps in front.
    if not url_has_allowed_host_and_scheme(target[:MAX_URL_LENGTH], {parts.netloc}):
        return False
    if any(_is_listed(parts, each) for each in site.allowed_hosts):
        return True
    return _is_own(host, port, parts.scheme, site=site)


def _is_listed(parts: SplitResult, listed: str) -> bool:
    """Whether the target's host is this one of the settings, which may name a port; http or https, as given (L-46)."""
    return is_same_domain(parts.netloc if ":" in listed else str(parts.hostname), listed.lower())


def _is_own(host: str, port: int | None, scheme: str, *, site: Site) -> bool:
    """Whether it is the request's host, not less secure, and the port the request's or the scheme's own (L-45)."""
    if site.secure and scheme != "https":
        return False
    own_host, own_port = _host_and_port(site)
    default = DEFAULT_PORTS[scheme]
    return host == own_host and (port or default) in {own_port, default}


def _host_and_port(site: Site) -> tuple[str | None, int | None]:
    try:
        own = urlsplit(f"//{site.host}")
        return own.hostname, own.port or DEFAULT_PORTS["https" if site.secure else "http"]
    except ValueError:
        return None, None


def host_of(target: str) -> str:
    """Return the host, with port, that an accepted target names; empty for a path."""
    return urlsplit(target).netloc


def paths_of(target: str) -> set[str]:
    """Return the decoded paths that a server may be asked for when a browser follows an accepted target.

    Browsers take `.` and `..` out, escaped ones too (WHATWG URL, "path state"); some proxies do it again after
    decoding, and some take several slashes for one.
    """
    path = urlsplit(target).path
    walked = _walked(path)
    return {unquote(path), unquote(walked), _walked(unquote(path)), re.sub("/+", "/", _walked(unquote(path)))}


def _walked(path: str) -> str:
    kept: list[str] = []
    *folders, last = path.split("/")[1:] or [""]
    for segment in folders:
        _step(kept, segment)
    dots = _step(kept, last)
    return "/" + "/".join([*kept, ""] if dots else kept)


def _step(kept: list[str], segment: str) -> bool:
    """Walk one segment of a path; say whether it was one of dots."""
    plain = segment.lower().replace("%2e", ".")
    if plain == "..":
        del kept[-1:]
    elif plain != ".":
        kept.append(segment)
        return False
    return True


# --- parameters on any URL ------------------------------------------------------------------------------------------------


def parameters(query: bytes) -> dict[str, str]:
    """Return the decoded parameters of a raw query; of several with one name the last (P-23, P-24)."""
    return dict(_decoded(piece) for piece in query.split(b"&"))


def without(query: bytes, names: Collection[str]) -> bytes:
    """Return the raw query without the named parameters, all else byte for byte (P-21)."""
    return b"&".join(piece for piece in query.split(b"&") if _decoded(piece)[0] not in names)


def stripped(url: str, names: Collection[str]) -> str:
    """Return an accepted target without the named parameters, all else as it was (L-50)."""
    return _with_filtered_query(url, lambda name: name in names)


def redacted(url: str, names: Collection[str]) -> str:
    """Return a URL without the named parameters, whatever their case (Y-09)."""
    if "?" not in url:
        return url
    lowered = {name.lower() for name in names}
    return _with_filtered_query(url, lambda name: name.lower() in lowered)


def _with_filtered_query(url: str, is_dropped: Callable[[str], bool]) -> str:
    head, hash_, fragment = url.partition("#")
    path, mark, query = head.partition("?")
    if not mark:
        return url
    pieces = query.split("&")
    kept = [piece for piece in pieces if not is_dropped(_unquoted(piece.partition("=")[0].encode("utf-8", "replace")))]
    if len(kept) == len(pieces):
        return url
    left = "&".join(kept)
    return f"{path}{mark if left else ''}{left}{hash_}{fragment}"


def _decoded(piece: bytes) -> tuple[str, str]:
    name, _, value = piece.partition(b"=")
    return _unquoted(name), _unquoted(value)


def _unquoted(raw: bytes) -> str:
    # Latin-1 would read UTF-8 that came unescaped as two letters.
    return unquote_plus(raw.decode("utf-8", "replace"), errors="replace")


def own_url(path: str, query: bytes) -> str:
    """Return a URL of this site from an escaped path and a raw query, safe to stand in `Location`.

    A path that begins with two slashes, or a backslash after the first, would lead to another host (P-26).
    """
    escaped = quote(path, safe=PATH_SAFE)
    if not escaped.startswith("/"):
        escaped = f"/{escaped}"  # a request without a path; an empty `Location` would be this URL again
    if escaped.startswith("//"):
        escaped = f"/%2F{escaped[2:]}"
    return f"{escaped}?{quote(query, safe=QUERY_SAFE)}" if query else escaped


def with_query(url: str, values: Mapping[str, str]) -> str:
    """Return the URL with these parameters, wholly escaped, after those that it has."""
    head, hash_, fragment = url.partition("#")
    return f"{head}{'&' if '?' in head else '?'}{urlencode(values)}{hash_}{fragment}"

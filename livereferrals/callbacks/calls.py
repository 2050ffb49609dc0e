"""From a started delivery to the request that goes out: rendered, signed, and checked once more."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from yarl import URL

import livereferrals
from livereferrals import conf
from livereferrals.callbacks import checking, headers, masking, payload, signing
from livereferrals.callbacks.models import Method
from livereferrals.events import wire
from livereferrals.exceptions import Unrenderable

if TYPE_CHECKING:
    import uuid
    from datetime import datetime

    from livereferrals.callbacks.guard import Origin
    from livereferrals.callbacks.headers import Header
    from livereferrals.callbacks.openings import Rules
    from livereferrals.callbacks.payload import Facts

WIRE_URL = re.compile(r"https?://[A-Za-z0-9.\[\]:-]+/[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*\Z", re.ASCII)
"""RFC 3986. yarl with `encoded=True`, which keeps the URL as it was signed, does not stop a raw CR or LF."""
EXCERPT: Final = 4096
METHODS: Final = frozenset(Method.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A started delivery with everything that its attempt needs, read when the attempt started."""

    delivery: uuid.UUID
    endpoint: int
    token: uuid.UUID
    """The lease under which it was started."""
    number: int
    """Of this attempt."""
    lost: int
    """How often a worker has died in an attempt at it."""
    payload: dict[str, Any] | None
    """The event object; `None` after an erasure."""
    confirmation: uuid.UUID | None = None
    facts: Facts
    method: str
    url: str
    plain_http: bool
    headers: object
    """As stored; trusted no more than a form."""
    secrets: tuple[str, ...] = field(repr=False)
    """Newest first."""
    timeout_s: int
    config_version: int
    waited_s: float = 0.0
    """For how long it was due when it started."""
    problem: str = ""
    """Why nothing can be made of its rows; then nothing else here is meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, exactly as it goes on the wire."""

    method: str
    url: URL
    origin: Origin
    headers: dict[str, str]
    body: bytes | None
    timeout_s: int
    secrets: tuple[str, ...] = field(repr=False)
    """What must not show in a log: secrets and the values of secret headers."""
    secret_headers: tuple[str, ...]

    def shown_url(self) -> str:
        """Return the URL for people."""
        return masking.url(str(self.url))

    def shown_headers(self) -> dict[str, str]:
        """Return the headers for people."""
        return masking.headers(self.headers, secret=self.secret_headers)

    def shown_body(self) -> str:
        """Return the beginning of the body for people."""
        return masking.storable(self.body or b"", limit=EXCERPT)


def prepare(job: Job, *, rules: Rules, at: datetime) -> Call:
    """Return the request of an attempt at this time.

    Raises:
        Unrenderable: no valid request can be made from these values and settings.
        InvalidCallBackURL: the address may not be called (any more).
    """
    if job.payload is None:
        raise Unrenderable("The data of this delivery have been erased.")
    if job.method not in METHODS:
        raise Unrenderable("The method is neither POST nor GET.")
    target = checking.target(job.url, plain_http=job.plain_http, rules=rules)
    values = payload.values(job.payload, job.facts, names=target.template.names)
    text = target.template.render(values, authority=target.origin.authority)
    if not WIRE_URL.match(text):
        raise Unrenderable("The rendered address holds characters that no URL has.")
    url = URL(text, encoded=True)
    try:
        custom = headers.read(job.headers)
    except ValueError as error:
        raise Unrenderable(str(error)) from error
    body = _body(job.payload, test=job.facts.test) if job.method == Method.POST else None
    content = body if body is not None else f"GET {url.raw_path_qs}".encode()
    return Call(
        method=job.method,
        url=url,
        origin=target.origin,
        headers=_headers(job, custom=custom, content=content, at=at),
        body=body,
        timeout_s=job.timeout_s,
        secrets=(*job.secrets, *(header.value for header in custom if header.secret)),
        secret_headers=tuple(header.name for header in custom if header.secret),
    )


def _body(event: dict[str, Any], *, test: bool) -> bytes:
    """Return the event object in canonical form: the same bytes in every attempt of a delivery."""
    try:
        return wire.canonical({**event, "test": True} if test else event)
    except UnicodeEncodeError as error:
        raise Unrenderable("The event holds text that is not valid Unicode.") from error


def _headers(job: Job, *, custom: tuple[Header, ...], content: bytes, at: datetime) -> dict[str, str]:
    made = {
        "User-Agent": f"livereferrals/{livereferrals.__version__} (+{conf.callbacks.DOCS_URL})",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
    }
    if job.method == Method.POST:
        made["Content-Type"] = "application/json; charset=utf-8"
    made |= signing.signature_headers(job.delivery, at=at, content=content, secrets=job.secrets)
    given = {header.name.lower() for header in custom}
    kept = {name: value for name, value in made.items() if name.lower() not in given}
    return kept | {header.name: header.value for header in custom}

"""References to hits of people who have not been asked yet: signed text in the address that a follow leads to (V-19)."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from django.core.signing import BadSignature, TimestampSigner
from django.utils.http import is_same_domain

from livereferrals import conf
from livereferrals.tracking import targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

PARAMETER: Final = "lr_reference"
"""Its name in the address, and in the form of a banner."""
AGE: Final = timedelta(hours=1)
"""How long somebody may think about the answer."""
SALT: Final = "livereferrals.hit.reference"
MAX_LENGTH: Final = 200
"""Longer text is not ours; it is not worth a signature check."""


def added(target: str, hit: uuid.UUID, *, host: str) -> str:
    """Return a settled target with the reference to the hit in its query, in place of an older one.

    A target on somebody else's host stays as it is: nobody there could use the reference, and it is not theirs to see.
    """
    its_host = targets.host_of(target).lower()
    if its_host and not is_same_domain(its_host, host.lower()) and not conf.is_served(its_host):
        return target
    return targets.with_query(targets.stripped(target, {PARAMETER}), {PARAMETER: _signer().sign(hit.hex)})


def read(text: str) -> uuid.UUID | None:
    """Return the hit that a reference stands for; nothing where it is too old, or none of ours."""
    if not text or len(text) > MAX_LENGTH:
        return None
    try:
        return uuid.UUID(hex=_signer().unsign(text, max_age=AGE))
    except (BadSignature, ValueError):
        return None


def carried(request: HttpRequest) -> str:
    """Return the reference that a request brings, or nothing: in a form, in its address, or in that of the page before.

    A banner's form needs no field for it: browsers name the page that it stands on, within one site with its query.
    """
    return next((text for text in _texts(request) if read(text) is not None), "")


def _texts(request: HttpRequest) -> Iterator[str]:
    if request.method == "POST":
        yield request.POST.get(PARAMETER, "")
    yield request.GET.get(PARAMETER, "")
    try:
        before = urlsplit(request.headers.get("Referer", ""))
    except ValueError:  # text from outside
        return
    yield targets.parameters(before.query.encode("utf-8", "replace")).get(PARAMETER, "")


def _signer() -> Any:
    # With a separator that needs no escape in a query.
    return TimestampSigner(salt=SALT, sep=".")

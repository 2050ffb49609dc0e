"""What is kept of what a request says: texts cut, redacted and made storable, the same on every way to a hit."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

from livereferrals import conf
from livereferrals.tracking import privacy, references, screening, targets

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_URL: Final = 2000
MAX_HEADER: Final = 1000
MAX_OWN_ID: Final = 200
SUBS: Final = 5
NO_SUBS: Final = ("",) * SUBS


class Kept(NamedTuple):
    """The columns of a hit that hold what its request said."""

    entry_url: str
    user_agent: str
    referer: str
    click_id: str
    sub1: str
    sub2: str
    sub3: str
    sub4: str
    sub5: str
    ip: str | None
    device: str


def kept(
    *, entry_url: str, user_agent: str, referer: str, ip: str | None, click_id: str, subs: Sequence[str], consent: bool
) -> Kept:
    """Return what is kept of a request; without consent nothing of the browser, its address and where it was (V-14)."""
    if not consent:
        user_agent = referer = ""
        ip = None
    redacted = (*conf.settings.REDACT_PARAMETERS, references.PARAMETER)
    own = (*(storable(sub, MAX_OWN_ID) for sub in subs[:SUBS]), *NO_SUBS)[:SUBS] if any(subs) else NO_SUBS
    return Kept._make(
        (
            storable(targets.redacted(entry_url, redacted), MAX_URL),
            storable(user_agent, MAX_HEADER),
            storable(targets.redacted(referer, redacted), MAX_HEADER) if referer else "",
            storable(click_id, MAX_OWN_ID),
            *own,
            None if ip is None else privacy.kept_address(ip, mode=conf.settings.IP),
            device(user_agent),
        )
    )


def storable(text: str, limit: int) -> str:
    """Return what both databases can hold of the text: PostgreSQL refuses NUL and lone surrogates."""
    if "\x00" in text:
        text = text.replace("\x00", "")
    if text.isascii():
        return text[:limit]
    return text[:limit].encode("utf-8", "replace").decode()


def device(user_agent: str) -> str:
    """Return what kind of device the agent is: those of browsers are few and come again and again."""
    return _known_device(user_agent) if len(user_agent) <= MAX_HEADER else screening.device(user_agent)


_known_device = lru_cache(maxsize=1024)(screening.device)

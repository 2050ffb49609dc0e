"""A hit that is still to be recorded: what a request says of it, as plain values."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import uuid
    from collections.abc import Sequence
    from datetime import datetime

    from livereferrals.tracking.links import KnownLink


# A frozen dataclass of so many fields takes three times as long to be made (measured: 3.7 us against 1.4).
class HitDraft(NamedTuple):
    """What `recording.record_hit` is told, of somebody who is not logged in; made on the event loop without I/O.

    Texts are as they came: what is kept of them is cut, redacted and judged when the hit is written.
    """

    link: KnownLink
    """The link; whether it may be followed has been asked before."""
    now: datetime
    """When it was followed."""
    visitor: uuid.UUID | None = None
    """The visitor that the browser proves to be, if it carries one; its row may be gone or claimed (V-04, V-12)."""
    entry_url: str = ""
    """The page that it leads to."""
    user_agent: str = ""
    referer: str = ""
    ip: str | None = None
    """Address of the client; the setting `IP` says what is kept of it."""
    click_id: str = ""
    subs: Sequence[str] = ()
    """Up to five ids of the partner's own."""
    bot: bool = False
    """Whether a crawler followed: such a hit has no event (L-35)."""
    flagged_by: str = ""
    """The host's rule that has caught it, if any: such a hit has no event either."""
    consent: bool = True
    """Whether the visitor may be known again; if not, nothing personal is kept (V-14)."""


class Recorded(NamedTuple):
    """What has become of a draft: a hit that is committed."""

    hit_id: uuid.UUID
    visitor_id: uuid.UUID | None
    """Whom the browser is to carry, a visitor of nobody; `None` without consent."""

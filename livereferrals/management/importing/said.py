"""What the old tables hold of a request, cut and made storable like what is recorded here, with a note where it was (I-13)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from livereferrals import conf
from livereferrals.tracking import kept as keeping
from livereferrals.tracking import privacy

if TYPE_CHECKING:
    from livereferrals.management.importing.reporting import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Texts of an old row."""

    entry_url: str | None
    user_agent: str | None = ""
    referer: str | None = ""
    ip: str | None = None


def kept(said: Said, *, key: object, tally: Tally, keep_ips: bool) -> dict[str, Any]:
    """Return the columns of a hit that hold it; `key` names the row in notes."""
    address = None if said.ip is None else privacy.parse_address(said.ip)
    if said.ip and address is None:
        tally.note(key, "its address cannot be read and is left out")
    columns = keeping.kept(
        entry_url=said.entry_url or "",
        user_agent=said.user_agent or "",
        referer=said.referer or "",
        ip=None,
        click_id="",
        subs=(),
        consent=True,
    )._asdict()
    limits = {"entry_url": keeping.MAX_URL, "user_agent": keeping.MAX_HEADER, "referer": keeping.MAX_HEADER}
    for name, limit in limits.items():
        if len(getattr(said, name) or "") > limit:
            tally.note(key, f"its {name} was longer than {limit} characters and is cut")
    mode = "full" if keep_ips else conf.settings.IP
    return columns | {"ip": privacy.kept_address(said.ip, mode=mode)}

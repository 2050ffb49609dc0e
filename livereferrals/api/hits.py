"""Recording a hit without HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async

from livereferrals.tracking import recording
from livereferrals.tracking.models import Origin
from livereferrals.triggers.conversions import read_time

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.contrib.auth.base_user import AbstractBaseUser

    from livereferrals.tracking.models import ReferralHit, ReferralLink, Visitor


def record_hit(
    link: ReferralLink,
    *,
    visitor: Visitor | None = None,
    user: AbstractBaseUser | None = None,
    occurred_at: datetime | None = None,
    entry_url: str = "",
    user_agent: str = "",
    referer: str = "",
    ip: str | None = None,
    click_id: str = "",
    subs: Sequence[str] = (),
) -> ReferralHit:
    """Record a hit without HTTP, for a link that was followed elsewhere. One transaction.

    Args:
        link: the link that was followed.
        visitor: who followed; `None` makes a new visitor.
        user: the logged-in user who followed.
        occurred_at: when; default: now.
        entry_url: the page that it led to.
        user_agent: the browser's name.
        referer: the page that it came from.
        ip: the address, kept as the setting `IP` says.
        click_id: the partner's own id of the click.
        subs: up to five sub-ids.
    """
    return recording.record_hit(
        link,
        visitor=visitor,
        user=user,
        now=read_time(occurred_at),
        entry_url=entry_url,
        user_agent=user_agent,
        referer=referer,
        ip=ip,
        click_id=click_id,
        subs=subs,
        origin=Origin.API,
    )


async def arecord_hit(
    link: ReferralLink,
    *,
    visitor: Visitor | None = None,
    user: AbstractBaseUser | None = None,
    occurred_at: datetime | None = None,
    entry_url: str = "",
    user_agent: str = "",
    referer: str = "",
    ip: str | None = None,
    click_id: str = "",
    subs: Sequence[str] = (),
) -> ReferralHit:
    """Async form of `record_hit`."""
    return await sync_to_async(record_hit)(
        link,
        visitor=visitor,
        user=user,
        occurred_at=occurred_at,
        entry_url=entry_url,
        user_agent=user_agent,
        referer=referer,
        ip=ip,
        click_id=click_id,
        subs=subs,
    )

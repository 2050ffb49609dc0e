"""Leading on: the hit, if there is to be one, and the redirect after its commit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from livereferrals.exceptions import HitNotRecordedError
from livereferrals.tracking import following
from livereferrals.tracking.drafts import HitDraft
from livereferrals.tracking.group_commit import get_group
from livereferrals.tracking.losses import HitLoss

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from datetime import datetime

    from livereferrals.front.asking import Asked
    from livereferrals.front.terms import Terms
    from livereferrals.tracking.links import KnownLink

    Send = Callable[[Any], Awaitable[None]]


class Follow(NamedTuple):
    """A request that follows a link, known or not, with where it leads."""

    asked: Asked
    link: KnownLink | None
    target: str
    """As it stands in `Location`."""
    values: Mapping[str, str]
    """The parameters of its query."""
    now: datetime


def is_counted(terms: Terms, follow: Follow) -> bool:
    """Whether the follow makes a hit."""
    link = follow.link
    if link is None or link.refusal(follow.now) is not None:
        return False
    return terms.screen.is_person(follow.asked, link.identifier)


async def lead_on(terms: Terms, follow: Follow, send: Send) -> None:
    """Redirect to the target, which is settled: no hit is followed by an error, and no answer by a lost hit (L-10, L-49).

    A hit that cannot be written has been logged; its visitor is led on without a cookie (L-27), or where the host wants
    that asked to come again when there is room.
    """
    answers, location = terms.answers[follow.asked.secure], follow.target.encode("ascii")
    if follow.link is None or not is_counted(terms, follow):
        await answers.redirect(send, location)
        return
    try:
        recorded = await get_group().record(_draft(terms, follow, follow.link))
    except HitNotRecordedError as error:
        if error.reason == HitLoss.OVERLOAD and terms.refuses_when_full:
            await answers.come_again(send)
            return
        await answers.followed(send, location, None)
        return
    await answers.followed(send, location, recorded.visitor_id)


def _draft(terms: Terms, follow: Follow, link: KnownLink) -> HitDraft:
    asked, values = follow.asked, follow.values
    bot, flagged_by = terms.screen.marks(asked, link.identifier)
    return HitDraft(
        link=link,
        now=follow.now,
        visitor=asked.visitor,
        entry_url=follow.target,
        user_agent=asked.text(b"user-agent"),
        referer=asked.text(b"referer"),
        ip=asked.ip,
        click_id=values.get("click_id", "") if values else "",
        subs=[values.get(name, "") for name in following.SUBS] if values else (),
        bot=bot,
        flagged_by=flagged_by,
    )

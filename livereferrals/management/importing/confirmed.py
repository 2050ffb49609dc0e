"""Confirmations of imported hits: rows like those of the site, made by no rule of ours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from livereferrals.management.importing.lasting_ids import lasting_uuid
from livereferrals.tracking import attribution
from livereferrals.tracking.attribution import Candidate, Choice, Considered
from livereferrals.tracking.models import Confirmation, Origin
from livereferrals.tracking.reasons import Place, Reason

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.tracking.models import ReferralHit

RULE: Final = "import"


def confirmation(
    hit: ReferralHit, *, trigger: str, at: datetime, now: datetime, identifier: str, uid: str | None
) -> Confirmation:
    """Return the confirmation that an old package had noted at its hit; `identifier` and `uid` are of link and partner.

    It has no mark of `once`: the older packages confirmed a person as often as it came, and for later confirmations of a
    trigger of the same name it counts as an earlier one all the same.
    """
    candidate = Candidate(hit=hit.pk, link=identifier, created_at=hit.created_at, partner=uid, visitor=hit.visitor_id)
    considered = Considered(candidate=candidate, age=max(at - hit.created_at, timedelta(0)), verdict=Place.CREDITED)
    choice = Choice(rule=RULE, window=None, at=at, reason=Reason.CONFIRMED, chosen=candidate, considered=(considered,))
    user = None if hit.user_id is None else str(hit.user_id)
    visitors = [] if hit.visitor_id is None else [str(hit.visitor_id)]
    return Confirmation(
        id=lasting_uuid(at, "confirmation", hit.pk),
        trigger=trigger,
        hit_id=hit.pk,
        partner_id=hit.partner_id,
        visitor_id=hit.visitor_id,
        user_id=hit.user_id,
        occurred_at=at,
        created_at=now,
        rule=RULE,
        trace=attribution.trace(choice, subject={"user": user, "visitors": visitors, "how": "hit"}),
        origin=Origin.IMPORT,
    )

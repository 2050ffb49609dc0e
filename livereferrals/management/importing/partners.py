"""django-affiliate-tracking's partners."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from livereferrals.management.importing.source import Reading, Table
from livereferrals.tracking import kept
from livereferrals.tracking.links import WELL_FORMED
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.running import Job

TABLE: Final = "affiliations_partner"
COLUMNS: Final = ("id", "uid", "name", "active")
READING: Final = Reading(select=f"SELECT {', '.join(COLUMNS)} FROM {TABLE}", key="id", since="")  # noqa: S608 - names of our own
MAX_NAME: Final = 200
NOT_YET: Final = uuid.UUID(int=0)
"""The home link of a partner that a dry run does not make."""


class OldPartner(NamedTuple):
    """A row of the old table."""

    id: int
    uid: str
    name: str
    active: Any


OLD: Final = Table(name=TABLE, columns=COLUMNS, reading=READING, row=OldPartner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What hits and subscriptions need to know of a partner."""

    uid: str
    id: int
    user_id: Any
    link: uuid.UUID
    """Its home link."""
    identifier: str
    """The home link's."""


class Partners:
    """The stage of partners, and the place where their rows find them."""

    old = OLD

    def __init__(self, job: Job) -> None:
        self._job = job
        self.tally = job.report.tally(TABLE, becomes="partners, each with its home link")

    def take(self, rows: Sequence[OldPartner], state: RollupState | None) -> None:
        """Import some partners. Two queries, and some for each new one: partners are few, and each comes with its link."""
        uids = [row.uid for row in rows]
        there = set(Partner.objects.using(self._job.using).filter(uid__in=uids).values_list("uid", flat=True))
        taken = self._taken(uids)
        for row in rows:
            if row.uid in there:
                self.tally.there += 1
            elif (reason := _refusal(row.uid, taken=taken)) is not None:
                self.tally.skip(row.id, reason)
            else:
                partner = Partner(uid=row.uid, name=self._name(row), active=bool(row.active))
                if state is not None:
                    partner.save(using=self._job.using)
                self.tally.imported += 1

    def find(self, uids: Iterable[str]) -> dict[str, Known]:
        """Return the imported partners by uid; of a dry run those that would be. One query, of a dry run two."""
        wanted = set(uids)
        homes = ReferralLink.objects.using(self._job.using).filter(home=True, partner__uid__in=wanted)
        rows = homes.values_list("partner__uid", "partner_id", "partner__user_id", "pk", "identifier")
        found = {
            uid: Known(uid=uid, id=partner, user_id=user, link=link, identifier=identifier)
            for uid, partner, user, link, identifier in rows
        }
        if self._job.dry_run:
            absent = wanted - found.keys()
            taken = self._taken(absent)
            for uid in absent:
                if _refusal(uid, taken=taken) is None:
                    found[uid] = Known(uid=uid, id=0, user_id=None, link=NOT_YET, identifier=uid)
        return found

    def _taken(self, uids: Collection[str]) -> set[str]:
        links = ReferralLink.objects.using(self._job.using).filter(identifier__in=uids)
        return set(links.values_list("identifier", flat=True))

    def _name(self, row: OldPartner) -> str:
        name = kept.storable(row.name, MAX_NAME)
        if len(row.name) > MAX_NAME:
            self.tally.note(row.id, f"its name was longer than {MAX_NAME} characters and is cut")
        if not name.strip():
            self.tally.note(row.id, "it had no name and is named by its uid")
        return name if name.strip() else row.uid


def _refusal(uid: str, *, taken: Collection[str]) -> str | None:
    """Return why a new partner cannot have this uid."""
    if not WELL_FORMED.match(uid):
        return f"its uid {uid!r} cannot stand in a URL"
    return f"its uid {uid!r} is the identifier of another link" if uid in taken else None

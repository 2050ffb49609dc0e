"""django-hype's links."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from livereferrals import ids
from livereferrals.management.importing import people, writing
from livereferrals.management.importing.lasting_ids import lasting_uuid
from livereferrals.management.importing.source import Reading, Table
from livereferrals.tracking.links import WELL_FORMED
from livereferrals.tracking.models import LinkOwner, Partner, ReferralLink

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.running import Job

TABLE: Final = "hype_referrallink"
COLUMNS: Final = ("id", "identifier", "user_id", "disabled", "created", "updated")
READING: Final = Reading(
    select=f"SELECT id, identifier, user_id, disabled, @created, @updated FROM {TABLE}",  # noqa: S608 - names of our own
    key="id",
    since="",
)
OTHER_PARTNERS: Final = "affiliations_partner"


class OldLink(NamedTuple):
    """A row of the old table."""

    id: int
    identifier: str
    user_id: Any
    disabled: Any
    created: Any
    updated: Any


OLD: Final = Table(name=TABLE, columns=COLUMNS, reading=READING, row=OldLink)


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a hit needs to know of its link."""

    id: uuid.UUID
    identifier: str
    user_id: Any


class Links:
    """The stage of links, and the place where hits find theirs."""

    old = OLD

    def __init__(self, job: Job) -> None:
        self._job = job
        self._beside_partners = job.source.has(OTHER_PARTNERS)
        self.tally = job.report.tally(TABLE, becomes="links")

    def take(self, rows: Sequence[OldLink], state: RollupState | None) -> None:
        """Import some links. Five queries at most, one of them a write."""
        made = self._new(rows)
        users = people.known((row.user_id for row in rows), using=self._job.using)
        links = [self._link(row, created, users=users) for row, created in made]
        written = len(links) if state is None else writing.insert(links, using=self._job.using)
        self.tally.imported += written

    def find(self, rows: Iterable[OldLink]) -> dict[int, Known]:
        """Return the imported links of these rows, by their old numbers; of a dry run those that would be. One query."""
        by_id = {lasting: row for row in rows if (lasting := self._lasting(row)) is not None}
        there = ReferralLink.objects.using(self._job.using).filter(pk__in=by_id)
        found = {
            by_id[pk].id: Known(id=pk, identifier=identifier, user_id=user)
            for pk, identifier, user in there.values_list("pk", "identifier", "user_id")
        }
        if self._job.dry_run:
            absent = {pk: row for pk, row in by_id.items() if row.id not in found}
            taken = self._taken(absent.values())
            for pk, row in absent.items():
                if row.identifier not in taken:
                    found[row.id] = Known(id=pk, identifier=row.identifier, user_id=row.user_id)
        return found

    def _new(self, rows: Sequence[OldLink]) -> list[tuple[OldLink, datetime]]:
        """Return the rows that are to be imported, and when they were made; count the others."""
        lasting = {row.id: self._lasting(row) for row in rows}
        there = set(
            ReferralLink.objects.using(self._job.using)
            .filter(pk__in=[each for each in lasting.values() if each is not None])
            .values_list("pk", flat=True)
        )
        taken = self._taken(row for row in rows if lasting[row.id] not in there)
        made = []
        for row in rows:
            created = self._job.moments.read(row.created)
            if created is None:
                self.tally.skip(row.id, "its time cannot be read")
            elif lasting[row.id] in there:
                self.tally.there += 1
            elif row.identifier in taken:
                self.tally.skip(row.id, f"its identifier {row.identifier!r} is that of another link or partner")
            else:
                made.append((row, created))
        return made

    def _link(self, row: OldLink, created: datetime, *, users: dict[object, Any]) -> ReferralLink:
        user = users.get(row.user_id)
        if row.user_id is not None and user is None:
            self.tally.note(row.id, "its user does not exist any more; the link counts nothing")
        return ReferralLink(
            id=lasting_uuid(created, TABLE, row.id),
            identifier=self._identifier(row),
            owner=LinkOwner.HOUSE if row.user_id is None else LinkOwner.USER,
            user_id=user,
            disabled=bool(row.disabled),
            created_at=created,
            updated_at=self._job.moments.read(row.updated) or created,
        )

    def _identifier(self, row: OldLink) -> str:
        if WELL_FORMED.match(row.identifier):
            return row.identifier
        why = "its identifier cannot stand in a URL" if row.identifier else "it had no identifier"
        drawn = ids.random_identifier()
        self.tally.note(row.id, f"{why}; it got a random one")
        return drawn

    def _lasting(self, row: OldLink) -> uuid.UUID | None:
        created = self._job.moments.read(row.created)
        return None if created is None else lasting_uuid(created, TABLE, row.id)

    def _taken(self, rows: Iterable[OldLink]) -> set[str]:
        """Return the identifiers that others have.

        A uid of the other old package counts too, whichever is imported first (I-14). Three queries at most.
        """
        wanted = {row.identifier for row in rows if WELL_FORMED.match(row.identifier)}
        if not wanted:
            return set()
        links = ReferralLink.objects.using(self._job.using).filter(identifier__in=wanted)
        partners = Partner.objects.using(self._job.using).filter(uid__in=wanted)
        taken = {*links.values_list("identifier", flat=True), *partners.values_list("uid", flat=True)}
        if self._beside_partners:
            statement = f"SELECT uid FROM {OTHER_PARTNERS} WHERE uid IN (%s)"  # noqa: S608 - names of our own
            taken |= {uid for (uid,) in self._job.source.look_up(statement, wanted)}
        return taken

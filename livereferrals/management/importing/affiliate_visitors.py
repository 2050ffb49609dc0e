"""django-affiliate-tracking's visitors: each becomes a visitor with one hit, and a confirmation if it was successful."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from livereferrals.management.importing import partners, people, said, subscriptions
from livereferrals.management.importing.batch import Batch, Confirmations, Place
from livereferrals.management.importing.lasting_ids import lasting_uuid
from livereferrals.management.importing.source import Reading, Table
from livereferrals.tracking import judging
from livereferrals.tracking.models import Origin, ReferralHit, Visitor

if TYPE_CHECKING:
    import uuid
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.partners import Known, Partners
    from livereferrals.management.importing.running import Job

TABLE: Final = "affiliations_visitor"
COLUMNS: Final = ("id", "referred_on", "entry_point", "successful_on", "partner_id", "user_id")
READING: Final = Reading(
    select=f"""
        SELECT v.id, @v.referred_on, v.entry_point, @v.successful_on, v.partner_id, v.user_id, p.uid
        FROM {TABLE} v LEFT JOIN {partners.TABLE} p ON p.id = v.partner_id""",  # noqa: S608 - names of our own
    key="v.id",
    since="v.referred_on",
)
SUBSCRIBED: Final = (
    f'SELECT partner_id, MIN("trigger"), MAX("trigger") FROM {subscriptions.TABLE} '  # noqa: S608 - names of our own
    "WHERE partner_id IN (%s) AND \"trigger\" <> '' GROUP BY partner_id"
)


class OldVisitor(NamedTuple):
    """A row of the old table, with its partner's uid."""

    id: int
    referred_on: Any
    entry_point: str
    successful_on: Any
    partner_id: int
    user_id: Any
    uid: str | None


OLD: Final = Table(name=TABLE, columns=COLUMNS, reading=READING, row=OldVisitor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What was looked up for a batch."""

    partners: Mapping[str, Known]
    users: Mapping[object, Any]
    triggers: Mapping[int, str]
    """The trigger of a partner's only subscription, by the partner's old number."""
    visitors: set[int]
    """Old numbers of visitors that are there."""
    hits: Mapping[uuid.UUID, ReferralHit]
    confirmed: set[uuid.UUID]
    """Hits whose confirmation is there."""


class Visitors:
    """The stage of visitors."""

    old = OLD

    def __init__(self, job: Job, *, partners: Partners) -> None:
        self._job = job
        self._partners = partners
        self.tally = job.report.tally(TABLE, becomes="visitors, each with its hit")
        self._confirmations = Confirmations(job, job.report.tally(f"{TABLE}.successful_on", becomes="confirmations"))

    def take(self, rows: Sequence[OldVisitor], state: RollupState | None) -> None:
        """Import some visitors. The number of statements does not depend on the number of rows."""
        ids = {row.id: _hit_id(row, moment) for row in rows if (moment := self._job.moments.read(row.referred_on))}
        around = self._look_around(rows, ids)
        batch = Batch()
        for row in rows:
            self._take(row, hit_id=ids.get(row.id), around=around, batch=batch)
        batch.settle(state, job=self._job, hits=self.tally, confirmations=self._confirmations.tally)

    def _look_around(self, rows: Sequence[OldVisitor], ids: Mapping[int, uuid.UUID]) -> Around:
        using = self._job.using
        visitors = Visitor.objects.using(using).filter(legacy_id__in=[row.id for row in rows])
        subscribed = self._job.source.look_up(SUBSCRIBED, {row.partner_id for row in rows})
        successful = [ids[row.id] for row in rows if row.successful_on is not None and row.id in ids]
        return Around(
            partners=self._partners.find(row.uid for row in rows if row.uid is not None),
            users=people.known((row.user_id for row in rows), using=using),
            triggers={partner: first for partner, first, last in subscribed if first == last},
            visitors=set(visitors.values_list("legacy_id", flat=True)),  # type: ignore[arg-type] # those asked for have one
            hits=ReferralHit.objects.using(using).in_bulk(list(ids.values())),
            confirmed=self._confirmations.standing(successful),
        )

    def _take(self, row: OldVisitor, *, hit_id: uuid.UUID | None, around: Around, batch: Batch) -> None:
        partner = around.partners.get(row.uid or "")
        place = None if partner is None else Place(identifier=partner.identifier, uid=partner.uid)
        moment = self._job.moments.read(row.referred_on)
        hit = around.hits.get(hit_id) if hit_id is not None else None
        is_there = hit is not None or row.id in around.visitors
        if is_there:
            self.tally.there += 1
        elif partner is None or place is None:
            self.tally.skip(row.id, f"its partner {row.partner_id} is not imported, or has no home link")
        elif hit_id is None or moment is None:
            self.tally.skip(row.id, "its time cannot be read")
        else:
            hit = self._hit(row, hit_id=hit_id, partner=partner, created=moment, users=around.users)
            batch.add_hit(hit, _visitor(row, hit), place=place)
        if row.successful_on is not None:
            self._confirmations.take(
                row.id,
                row.successful_on,
                hit=hit,
                place=place,
                trigger=around.triggers.get(row.partner_id, self._job.trigger),
                standing=around.confirmed,
                is_there=is_there,
                batch=batch,
            )

    def _hit(
        self, row: OldVisitor, *, hit_id: uuid.UUID, partner: Known, created: datetime, users: Mapping[object, Any]
    ) -> ReferralHit:
        user = users.get(row.user_id)
        if row.user_id is not None and user is None:
            self.tally.note(row.id, "its user does not exist any more")
        told = said.Said(entry_url=row.entry_point)
        return ReferralHit(
            id=hit_id,
            link_id=partner.link,
            partner_id=partner.id,
            user_id=user,
            created_at=created,
            # The old package could not make a visitor of anybody who was not logged in.
            authenticated=row.user_id is not None,
            self_referral=judging.rules().self_referral(user, owners=[partner.user_id]),
            origin=Origin.IMPORT,
            **said.kept(told, key=row.id, tally=self.tally, keep_ips=self._job.keep_ips),
        )


def _hit_id(row: OldVisitor, moment: datetime) -> uuid.UUID:
    return lasting_uuid(moment, TABLE, "hit", row.id)


def _visitor(row: OldVisitor, hit: ReferralHit) -> Visitor:
    return Visitor(
        id=lasting_uuid(hit.created_at, TABLE, row.id),
        user_id=hit.user_id,
        claimed_at=None if hit.user_id is None else hit.created_at,
        legacy_id=row.id,
        created_at=hit.created_at,
    )

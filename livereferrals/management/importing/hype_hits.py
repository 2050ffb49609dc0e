"""django-hype's hits: visitors, hits, and the confirmations that stood at them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from livereferrals import conf
from livereferrals.management.importing import hype_links, people, said
from livereferrals.management.importing.batch import Batch, Confirmations, Place
from livereferrals.management.importing.hype_links import Known, OldLink
from livereferrals.management.importing.lasting_ids import lasting_uuid
from livereferrals.management.importing.source import Reading, Table
from livereferrals.tracking import judging
from livereferrals.tracking.models import Origin, ReferralHit, Visitor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.hype_links import Links
    from livereferrals.management.importing.running import Job

TABLE: Final = "hype_referralhit"
COLUMNS: Final = (
    "id", "referral_link_id", "hit_user_id", "authenticated", "ip", "user_agent", "http_referer", "next", "confirmed", "created",
)  # fmt: skip
# The last column is when the same user last followed the same link, for what is a repeat (L-39).
# With a `+`, or SQLite may look for it among all hits of the link, which may be a million for each.
READING: Final = Reading(
    select=f"""
        SELECT h.id, h.referral_link_id, h.hit_user_id, h.authenticated, h.ip, h.user_agent, h.http_referer, h.next,
            @h.confirmed, @h.created, l.identifier, l.user_id, l.disabled, @l.created, @l.updated,
            CASE WHEN h.hit_user_id IS NOT NULL THEN (
                SELECT MAX(e.created) FROM {TABLE} e
                WHERE e.hit_user_id = h.hit_user_id AND +e.referral_link_id = h.referral_link_id
                AND (e.created < h.created OR e.created = h.created AND e.id < h.id)
            ) END
        FROM {TABLE} h LEFT JOIN {hype_links.TABLE} l ON l.id = h.referral_link_id""",  # noqa: S608 - names of our own
    key="h.id",
    since="h.created",
    in_time=f"{TABLE} h",
)
FIRST_SEEN: Final = f"SELECT hit_user_id, MIN(created) FROM {TABLE} WHERE hit_user_id IN (%s) GROUP BY hit_user_id"  # noqa: S608 - as above


class OldHit(NamedTuple):
    """A row of the old table, with its link."""

    id: Any
    referral_link_id: int
    hit_user_id: Any
    authenticated: Any
    ip: str | None
    user_agent: str
    http_referer: str
    next: str
    confirmed: Any
    created: Any
    identifier: str | None
    link_user_id: Any
    link_disabled: Any
    link_created: Any
    link_updated: Any
    last_follow: Any

    @property
    def uuid(self) -> uuid.UUID:
        """The hit's id; on SQLite it is text."""
        return self.id if isinstance(self.id, uuid.UUID) else uuid.UUID(self.id)

    @property
    def link(self) -> OldLink | None:
        """The link's row, if there is one."""
        if self.identifier is None:
            return None
        return OldLink(
            self.referral_link_id,
            self.identifier,
            self.link_user_id,
            self.link_disabled,
            self.link_created,
            self.link_updated,
        )


OLD: Final = Table(name=TABLE, columns=COLUMNS, reading=READING, row=OldHit)


@dataclass(frozen=True, slots=True, kw_only=True)
class Around:
    """What was looked up for a batch."""

    links: Mapping[int, Known]
    users: Mapping[object, Any]
    first_seen: Mapping[object, datetime]
    """When each user was first there."""
    there: Mapping[uuid.UUID, ReferralHit]
    """Hits of an earlier run."""
    confirmed: set[uuid.UUID]
    """Hits whose confirmation is there."""


class Hits:
    """The stage of hits."""

    old = OLD

    def __init__(self, job: Job, *, links: Links) -> None:
        self._job = job
        self._links = links
        self.tally = job.report.tally(TABLE, becomes="hits")
        self._confirmations = Confirmations(
            job, job.report.tally(f"{TABLE}.confirmed", becomes=f"confirmations of {job.trigger!r}")
        )

    def take(self, rows: Sequence[OldHit], state: RollupState | None) -> None:
        """Import some hits. The number of statements does not depend on the number of rows."""
        around = self._look_around(rows)
        batch = Batch()
        for row in rows:
            self._take(row, around=around, batch=batch)
        batch.settle(state, job=self._job, hits=self.tally, confirmations=self._confirmations.tally)

    def _look_around(self, rows: Sequence[OldHit]) -> Around:
        job = self._job
        users = people.known((row.hit_user_id for row in rows), using=job.using)
        seen = ((user, job.moments.read(first)) for user, first in job.source.look_up(FIRST_SEEN, users))
        hits = ReferralHit.objects.using(job.using).in_bulk([row.uuid for row in rows])
        return Around(
            links=self._links.find({row.referral_link_id: link for row in rows if (link := row.link)}.values()),
            users=users,
            first_seen={user: first for user, first in seen if first is not None},
            there=hits,
            confirmed=self._confirmations.standing([row.uuid for row in rows if row.confirmed is not None]),
        )

    def _take(self, row: OldHit, *, around: Around, batch: Batch) -> None:
        link = around.links.get(row.referral_link_id)
        place = None if link is None else Place(identifier=link.identifier)
        created = self._job.moments.read(row.created)
        hit = around.there.get(row.uuid)
        is_there = hit is not None
        if hit is not None:
            self.tally.there += 1
            self._catch_up(hit, user=around.users.get(row.hit_user_id), link=link, batch=batch)
        elif link is None or place is None:
            self.tally.skip(row.uuid, f"its link {row.referral_link_id} is not imported")
        elif created is None:
            self.tally.skip(row.uuid, "its time cannot be read")
        else:
            hit = self._hit(row, link=link, created=created, around=around)
            visitor = _visitor(hit, first_seen=around.first_seen.get(row.hit_user_id))
            batch.add_hit(hit, visitor, place=place)
        if row.confirmed is not None:
            self._confirmations.take(
                row.uuid,
                row.confirmed,
                hit=hit,
                place=place,
                trigger=self._job.trigger,
                standing=around.confirmed,
                is_there=is_there,
                batch=batch,
            )

    def _catch_up(self, hit: ReferralHit, *, user: Any, link: Known | None, batch: Batch) -> None:
        """Note a claim of the old site since an earlier run; a hit without visitor was erased or forgotten here, and stays so."""
        if user is None or hit.user_id is not None or hit.visitor_id is None:
            return
        hit.user_id = user
        hit.self_referral = judging.rules().self_referral(user, owners=[link.user_id if link is not None else None])
        self.tally.note(hit.pk, "its visitor has logged in since it was imported")
        batch.claimed.append(hit)

    def _hit(self, row: OldHit, *, link: Known, created: datetime, around: Around) -> ReferralHit:
        user = around.users.get(row.hit_user_id)
        if row.hit_user_id is not None and user is None:
            self.tally.note(row.uuid, "its user does not exist any more")
        last = self._job.moments.read(row.last_follow)
        return ReferralHit(
            id=row.uuid,
            link_id=link.id,
            user_id=user,
            created_at=created,
            authenticated=bool(row.authenticated),
            repeat=judging.rules().repeat(last, now=created, window=conf.settings.REPEAT_WINDOW),
            self_referral=judging.rules().self_referral(user, owners=[link.user_id]),
            origin=Origin.IMPORT,
            **said.kept(
                said.Said(entry_url=row.next, user_agent=row.user_agent, referer=row.http_referer, ip=row.ip),
                key=row.uuid,
                tally=self.tally,
                keep_ips=self._job.keep_ips,
            ),
        )


def _visitor(hit: ReferralHit, *, first_seen: datetime | None) -> Visitor:
    """Return the visitor: of a user one for all hits, else one for each, since nothing tells them apart (I-08)."""
    if hit.user_id is None:
        return Visitor(id=lasting_uuid(hit.created_at, TABLE, hit.pk), created_at=hit.created_at)
    seen = first_seen or hit.created_at
    return Visitor(
        id=lasting_uuid(seen, TABLE, "user", hit.user_id), user_id=hit.user_id, claimed_at=seen, created_at=seen
    )

"""Taking an import back: the rows that it has made and what they added to the totals, as long as nothing refers to them.

The old tables say which rows these are, so that they must still be there. First all rows are looked at, and nothing is
written if anything refers to any of them. Then they go, batch by batch; what is referred to in that very moment stays.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from django.core.management.base import CommandError
from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone

from livereferrals.callbacks.models import Endpoint, EndpointAlert, SigningSecret
from livereferrals.dashboard import rollups
from livereferrals.management.importing import totals
from livereferrals.management.importing.moments import Moments
from livereferrals.management.importing.referring import referring
from livereferrals.management.importing.source import Source
from livereferrals.management.progress import Output
from livereferrals.tracking.models import Confirmation, Origin, ReferralHit, Visitor

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from django.core.management.base import OutputWrapper
    from django.db.models import Model, QuerySet

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.source import Table
    from livereferrals.management.importing.totals import Happened

IMPORTED: Final = Q(origin=Origin.IMPORT)
EVERYTHING: Final = ~Q(pk__in=[])
SHOWN: Final = 10
"""Rows that are named of those that something refers to."""
PARTS: Final[Mapping[type[Model], Q]] = {Endpoint: EVERYTHING, EndpointAlert: EVERYTHING, SigningSecret: EVERYTHING}
"""What is a part of the row that it refers to."""
GOES_ALONG: Final[Mapping[type[Model], Q]] = {**PARTS, ReferralHit: IMPORTED, Confirmation: IMPORTED}
"""What goes together with the rows that it refers to."""


@dataclass(slots=True, kw_only=True)
class Undoing:
    """What every stage needs to know, and what has become of the rows."""

    source: Source
    moments: Moments
    using: str
    removed: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    """Rows that something refers to, by what they are and what that is."""
    examples: list[str] = field(default_factory=list)

    def held_among(self, rows: QuerySet[Any], *, but: Mapping[type[Model], Q] = GOES_ALONG) -> set[Any]:
        """Return the primary keys of those of the rows that something refers to, and note them."""
        pks = list(rows.values_list("pk", flat=True))
        found = referring(rows.model, pks, but=but, using=self.using) if pks else {}
        options = rows.model._meta
        for pk, kinds in found.items():
            what = ", ".join(sorted(kinds))
            self.held[f"{options.verbose_name_plural} that {what} refer to"] += 1
            if len(self.examples) < SHOWN:
                self.examples.append(f"{options.verbose_name} {pk}: {what}")
        return set(found)

    def delete(self, rows: QuerySet[Any]) -> None:
        """Delete rows, and count them."""
        _total, by_model = rows.delete()
        label = rows.model._meta.label
        self.removed[str(rows.model._meta.verbose_name_plural)] += by_model.get(label, 0)


class Stage(Protocol):
    """One old table."""

    @property
    def old(self) -> Table[Any]:
        """Which one."""

    def look(self, rows: Sequence[Any]) -> None:
        """Note what refers to what was made of these rows."""

    def take_back(self, rows: Sequence[Any], state: RollupState) -> None:
        """Remove what was made of these rows, in the transaction that holds the lock of the totals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """The stage of hits, with their confirmations and visitors."""

    undoing: Undoing
    old: Table[Any]
    of_rows: Callable[[Sequence[Any]], Q]
    """Says which hits were made of some."""

    def look(self, rows: Sequence[Any]) -> None:
        """Note what refers to hits, confirmations and visitors."""
        self._held(self._hits(rows))

    def take_back(self, rows: Sequence[Any], state: RollupState) -> None:
        """Remove those hits that nothing refers to, with what belongs to them; visitors go with their last hit."""
        found = self._hits(rows)
        held = self._held(found)
        hits = {hit.pk: hit for hit in found if hit.pk not in held}
        confirmations = list(self._of(Confirmation, hit__in=list(hits)).filter(IMPORTED))
        rollups.take_back(_happened(hits, confirmations), using=self.undoing.using)
        self.undoing.delete(self._of(Confirmation, pk__in=[each.pk for each in confirmations]))
        self.undoing.delete(self._of(ReferralHit, pk__in=list(hits)))
        visitors = {hit.visitor_id for hit in hits.values() if hit.visitor_id is not None}
        idle = self._of(Visitor, pk__in=visitors, hits=None, confirmations=None)
        self.undoing.delete(self._of(Visitor, pk__in=list(idle.values_list("pk", flat=True))))

    def _held(self, hits: Sequence[ReferralHit]) -> set[Any]:
        """Return those of the hits that have to stay: something refers to them, to their visitor or their confirmation."""
        undoing = self.undoing
        pks = [hit.pk for hit in hits]
        visitors = {hit.visitor_id for hit in hits if hit.visitor_id is not None}
        visitors_held = undoing.held_among(self._of(Visitor, pk__in=visitors))
        confirmations = self._of(Confirmation, hit__in=pks).filter(IMPORTED)
        confirmations_held = undoing.held_among(confirmations)
        return {
            *undoing.held_among(self._of(ReferralHit, pk__in=pks)),
            *(hit.pk for hit in hits if hit.visitor_id in visitors_held),
            *confirmations.filter(pk__in=confirmations_held).values_list("hit", flat=True),
        }

    def _hits(self, rows: Sequence[Any]) -> list[Any]:
        return list(self._of(ReferralHit).filter(IMPORTED, self.of_rows(rows)).select_related("partner"))

    def _of(self, model: type[Model], **which: Any) -> QuerySet[Any]:
        return model._default_manager.using(self.undoing.using).filter(**which)


def _happened(hits: Mapping[Any, ReferralHit], confirmations: Sequence[Any]) -> list[Happened]:
    """Return what the import had added to the totals of these."""

    def uid(hit: ReferralHit) -> str:
        return "" if hit.partner is None else hit.partner.uid

    return [
        *(totals.of_hit(hit, partner=uid(hit)) for hit in hits.values()),
        *(
            totals.of_confirmation(each, link=hits[each.hit_id].link_id, partner=uid(hits[each.hit_id]))
            for each in confirmations
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The stage of a table that became rows of one model: links, subscriptions or partners."""

    undoing: Undoing
    old: Table[Any]
    of_rows: Callable[[Sequence[Any]], QuerySet[Any]]
    """Returns what was made of some."""
    but: Callable[[Sequence[Any]], Mapping[type[Model], Q]] = lambda _: {}
    """Returns what goes along with it, beside what always does."""

    def look(self, rows: Sequence[Any]) -> None:
        """Note what refers to them; imported hits will be gone."""
        self.undoing.held_among(self.of_rows(rows), but={**GOES_ALONG, **self.but(rows)})

    def take_back(self, rows: Sequence[Any], state: RollupState) -> None:
        """Remove those that nothing refers to any more."""
        found = self.of_rows(rows)
        held = self.undoing.held_among(found, but={**PARTS, **self.but(rows)})
        self.undoing.delete(found.exclude(pk__in=held))


def run(
    options: Mapping[str, Any],
    stdout: OutputWrapper,
    *,
    tables: Collection[Table[Any]],
    package: str,
    stages: Callable[[Undoing], Sequence[Stage]],
) -> None:
    """Take back what the command line says.

    Raises:
        CommandError: the tables are not there, or something refers to what was imported.
    """
    output = Output(stdout, quiet=options["quiet"])
    source = Source(alias=options["database"])
    source.require(tables, package=package)
    moments = Moments(zone=options["time_zone"] or source.zone(), now=timezone.now())
    undoing = Undoing(source=source, moments=moments, using=router.db_for_write(ReferralHit))
    chosen = stages(undoing)
    try:
        for stage in chosen:
            _each_batch(stage, stage.look, source=source, doing="Looking at", output=output)
        if not undoing.held and not options["dry_run"]:
            rollups.advance()
            for stage in chosen:
                take_back = partial(_take_back, stage, undoing, options["pause"])
                _each_batch(stage, take_back, source=source, doing="Taking back", output=output)
            _settle(undoing)
    finally:
        output.end()
    _report(undoing, output, is_dry=options["dry_run"])


def _each_batch(
    stage: Stage, act: Callable[[Sequence[Any]], None], *, source: Source, doing: str, output: Output
) -> None:
    output.begin(f"{doing} {stage.old.name}", total=source.count(stage.old))
    done = 0
    for rows in source.batches(stage.old):
        act(rows)
        done += len(rows)
        output.progress(done)
    output.end()


def _take_back(stage: Stage, undoing: Undoing, pause_s: float, rows: Sequence[Any]) -> None:
    with transaction.atomic(using=undoing.using):
        stage.take_back(rows, totals.take_lock(using=undoing.using))
    time.sleep(pause_s)  # on SQLite, where there is one writer, the site's hits go between two batches


def _settle(undoing: Undoing) -> None:
    """Let the log vouch for all totals again, once nothing is imported any more."""
    using = undoing.using
    with transaction.atomic(using=using):
        state = totals.take_lock(using=using)
        rollups.drop_noughts(using=using)
        is_left = any(
            model._default_manager.using(using).filter(IMPORTED).exists() for model in (ReferralHit, Confirmation)
        )
        if not is_left:
            state.imported_upto = None
            state.save(using=using, update_fields=["imported_upto"])


def _report(undoing: Undoing, output: Output, *, is_dry: bool) -> None:
    for what, number in undoing.removed.items():
        output.line(f"{number:>10}  {what} removed")
    for what, number in undoing.held.items():
        output.line(f"{number:>10}  {what}")
    for example in undoing.examples:
        output.line(f"    {example}")
    if undoing.held:
        taken = "these were kept" if undoing.removed else "nothing was taken back"
        raise CommandError(f"Something refers to rows that were imported; {taken}.")
    if is_dry:
        output.line("Nothing refers to what was imported. Nothing was written.")
    elif not undoing.removed.total():
        output.line("There was nothing to take back.")

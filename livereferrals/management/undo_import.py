"""`manage.py livereferrals undo-import`: take an import back, as long as nothing refers to what it has made (I-15)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.db.models import Q

from livereferrals.callbacks.models import Subscription
from livereferrals.management import import_affiliations, import_hype
from livereferrals.management.importing import (
    affiliate_visitors,
    arguments,
    hype_hits,
    hype_links,
    partners,
    subscriptions,
    undoing,
)
from livereferrals.management.importing.lasting_ids import lasting_uuid
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    import argparse
    from collections.abc import Collection, Mapping, Sequence

    from django.core.management.base import OutputWrapper
    from django.db.models import Model, QuerySet

    from livereferrals.management.importing.affiliate_visitors import OldVisitor
    from livereferrals.management.importing.hype_hits import OldHit
    from livereferrals.management.importing.hype_links import OldLink
    from livereferrals.management.importing.partners import OldPartner
    from livereferrals.management.importing.subscriptions import OldSubscription
    from livereferrals.management.importing.undoing import Stage, Undoing

HELP: Final = (
    "Take an import back while nothing refers to it; the old tables must still be there. May be stopped and run again. "
    "Example: manage.py livereferrals undo-import hype --dry-run"
)
PACKAGES: Final = {"hype": "django-hype 1.0", "affiliations": "django-affiliate-tracking 0.12"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    parser.add_argument("package", choices=PACKAGES, help="Which import.")
    parser.add_argument("--dry-run", action="store_true", help="Say whether it can be taken back, and write nothing.")
    arguments.add_source(parser)
    arguments.add_manner(parser)


def handle(options: dict[str, Any], stdout: OutputWrapper) -> None:
    """Take it back, and report.

    Raises:
        CommandError: the old tables are not there, or something refers to what was imported.
    """
    package = options["package"]
    tables, stages = {
        "hype": (import_hype.TABLES, _hype),
        "affiliations": (import_affiliations.TABLES, _affiliations),
    }[package]
    undoing.run(options, stdout, tables=tables, package=PACKAGES[package], stages=stages)


def _hype(found: Undoing) -> Sequence[Stage]:
    def made_of_hits(rows: Sequence[OldHit]) -> Q:
        return Q(pk__in=[row.uuid for row in rows])

    def made_of_links(rows: Sequence[OldLink]) -> QuerySet[Any]:
        created = ((row.id, found.moments.read(row.created)) for row in rows)
        pks = [lasting_uuid(moment, hype_links.TABLE, pk) for pk, moment in created if moment is not None]
        return ReferralLink.objects.using(found.using).filter(pk__in=pks)

    return [
        undoing.Hits(undoing=found, old=hype_hits.OLD, of_rows=made_of_hits),
        undoing.Others(undoing=found, old=hype_links.OLD, of_rows=made_of_links),
    ]


def _affiliations(found: Undoing) -> Sequence[Stage]:
    source, using = found.source, found.using

    def made_of_visitors(rows: Sequence[OldVisitor]) -> Q:
        return Q(visitor__legacy_id__in=[row.id for row in rows])

    def made_of_subscriptions(rows: Sequence[OldSubscription]) -> QuerySet[Any]:
        return _subscriptions({(row.uid, row.trigger) for row in rows}, using=using)

    def made_of_partners(rows: Sequence[OldPartner]) -> QuerySet[Any]:
        return Partner.objects.using(using).filter(uid__in=[row.uid for row in rows])

    def parts_of_partners(rows: Sequence[OldPartner]) -> Mapping[type[Model], Q]:
        """Return the home links, unless something of the host's refers to them, and the imported subscriptions."""
        homes = ReferralLink.objects.using(using).filter(home=True, partner__in=made_of_partners(rows))
        held = found.held_among(homes)
        uids = {row.id: row.uid for row in rows}
        statement = f'SELECT partner_id, "trigger" FROM {subscriptions.TABLE} WHERE partner_id IN (%s)'  # noqa: S608 - names of our own
        subscribed = _subscriptions({(uids[pk], name) for pk, name in source.look_up(statement, uids)}, using=using)
        return {ReferralLink: Q(home=True) & ~Q(pk__in=held), Subscription: Q(pk__in=subscribed)}

    return [
        undoing.Hits(undoing=found, old=affiliate_visitors.OLD, of_rows=made_of_visitors),
        undoing.Others(undoing=found, old=subscriptions.OLD, of_rows=made_of_subscriptions),
        undoing.Others(undoing=found, old=partners.OLD, of_rows=made_of_partners, but=parts_of_partners),
    ]


def _subscriptions(wanted: Collection[tuple[str | None, str]], *, using: str) -> QuerySet[Any]:
    """Return the subscriptions of these partners, by uid, to these triggers."""
    rows = Subscription.objects.using(using)
    near = rows.filter(partner__uid__in={uid for uid, _ in wanted}, trigger__in={trigger for _, trigger in wanted})
    found = near.values_list("pk", "partner__uid", "trigger")
    return rows.filter(pk__in=[pk for pk, uid, trigger in found if (uid, trigger) in wanted])

"""django-affiliate-tracking's subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from livereferrals.callbacks import checking
from livereferrals.callbacks.models import Endpoint, EndpointState, Method, SigningSecret, Subscription
from livereferrals.management.importing import partners
from livereferrals.management.importing.source import Reading, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livereferrals.dashboard.models import RollupState
    from livereferrals.management.importing.partners import Known, Partners
    from livereferrals.management.importing.running import Job

TABLE: Final = "affiliations_subscription"
COLUMNS: Final = ("id", "trigger", "callback_url", "partner_id")
# The last column is the subscription that the old package used of several of one partner to one trigger: the first.
READING: Final = Reading(
    select=f"""
        SELECT s.id, s."trigger", s.callback_url, s.partner_id, p.uid,
            (SELECT MIN(o.id) FROM {TABLE} o WHERE o.partner_id = s.partner_id AND o."trigger" = s."trigger")
        FROM {TABLE} s LEFT JOIN {partners.TABLE} p ON p.id = s.partner_id""",  # noqa: S608 - names of our own
    key="s.id",
    since="",
)
MAX_REASON: Final = 200


class OldSubscription(NamedTuple):
    """A row of the old table."""

    id: int
    trigger: str
    callback_url: str
    partner_id: int
    uid: str | None
    used: int


OLD: Final = Table(name=TABLE, columns=COLUMNS, reading=READING, row=OldSubscription)


class Subscriptions:
    """The stage of subscriptions."""

    old = OLD

    def __init__(self, job: Job, *, partners: Partners) -> None:
        self._job = job
        self._partners = partners
        self.tally = job.report.tally(TABLE, becomes="subscriptions")

    def take(self, rows: Sequence[OldSubscription], state: RollupState | None) -> None:
        """Import some subscriptions; an archived one is there, too. Five statements."""
        found = self._partners.find(row.uid for row in rows if row.uid is not None)
        of_partners = Subscription.objects.using(self._job.using).filter(partner__uid__in=found)
        there = set(of_partners.values_list("partner__uid", "trigger"))
        made: list[tuple[Subscription, str]] = []
        for row in rows:
            partner = found.get(row.uid or "")
            if partner is None:
                self.tally.skip(row.id, f"its partner {row.partner_id} is not imported")
            elif not row.trigger:
                self.tally.skip(row.id, "it names no trigger")
            elif row.used != row.id:
                self.tally.skip(row.id, f"joined with {row.used}, of the same partner and trigger")
            elif (partner.uid, row.trigger) in there:
                self.tally.there += 1
            else:
                made.append(self._subscription(row, partner=partner))
        self.tally.imported += len(made)
        if state is not None:
            self._write(made)

    def _subscription(self, row: OldSubscription, *, partner: Known) -> tuple[Subscription, str]:
        """Return the subscription, and why its address may not be called; empty: it may."""
        mistakes = checking.mistakes_in(row.callback_url, plain_http=False)
        mistake = str(mistakes[0].message)[:MAX_REASON] if mistakes else ""
        if mistake:
            self.tally.note(row.id, "its callback URL would be refused today; its endpoint is disabled")
            self.tally.say(f"{TABLE} {row.id}: its endpoint is disabled: {mistake}")
        subscription = Subscription(
            partner_id=partner.id, trigger=row.trigger, callback_url=row.callback_url, method=Method.GET
        )
        return subscription, mistake

    def _write(self, made: Sequence[tuple[Subscription, str]]) -> None:
        """Write them past `save`, which refuses a bad address, with all that it makes beside them."""
        using = self._job.using
        Subscription.objects.using(using).bulk_create([subscription for subscription, _ in made])
        # Without a time of change: the system has not switched it off, and nobody is mailed about it.
        Endpoint.objects.using(using).bulk_create(
            Endpoint(
                subscription=subscription,
                state=EndpointState.DISABLED if mistake else EndpointState.ACTIVE,
                state_reason=mistake,
            )
            for subscription, mistake in made
        )
        SigningSecret.objects.using(using).bulk_create(
            SigningSecret(subscription=subscription) for subscription, _ in made
        )

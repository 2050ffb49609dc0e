"""The page of one delivery: where it stands, each attempt, and what can be done with it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext

from livereferrals.callbacks import acting, stories
from livereferrals.callbacks.models import Delivery, DeliveryKind
from livereferrals.dashboard import pages, people
from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.endpoints import Act, may_see
from livereferrals.dashboard.pages import NoSuchSubjectError, Page, State
from livereferrals.dashboard.scoping import visible
from livereferrals.dashboard.tables import Cell

if TYPE_CHECKING:
    from livereferrals.callbacks.stories import Story
    from livereferrals.dashboard.access import Rights
    from livereferrals.dashboard.viewpoints import Viewpoint

RELATED: Final = ("subscription__partner", "subscription__endpoint__state_changed_by", "confirmation", "after")


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPageState(State):
    """What a delivery's page shows."""

    story: Story
    may_see_attempts: bool
    may_see_bodies: bool
    """Whether what was sent and answered is shown: it says amounts, and who visitors are; a test's is made up."""
    next: Cell | None
    """When the next attempt is made, or the hold ends."""
    acts: tuple[Act, ...]
    endpoint_url: str


def find(subject: str, rights: Rights) -> Delivery:
    """Return a delivery that the viewer may see. One query.

    Raises:
        NoSuchSubjectError: there is none.
    """
    try:
        key = uuid.UUID(subject)
    except ValueError as error:
        raise NoSuchSubjectError(subject) from error
    row = visible(Delivery.objects.select_related(*RELATED), rights=rights).filter(pk=key).first()
    if row is None:
        raise NoSuchSubjectError(subject)
    return row


def read_state(viewpoint: Viewpoint) -> DeliveryPageState:
    """Return what a delivery's page shows now; a partner's answers only to those who may see them.

    Raises:
        NoSuchSubjectError: there is no such delivery, or it is another partner's.
    """
    rights = viewpoint.rights
    may_see_attempts = rights.may("view_deliveryattempt")
    with pages.one_moment(viewpoint) as moment:
        row = find(viewpoint.subject, rights)
        story = stories.story_of(row, now=moment.now, with_attempts=may_see_attempts, for_staff=rights.is_staff)
    until = story.hold.until if story.hold is not None else row.due_at if story.counts_down else None
    return DeliveryPageState(
        **moment.header,
        story=story,
        may_see_attempts=may_see_attempts,
        may_see_bodies=row.kind == DeliveryKind.TEST or _may_see_bodies(rights),
        next=Cell(time=until, countdown=True) if until is not None else None,
        acts=_acts(row, rights),
        endpoint_url=address("endpoint", row.subscription.uid),
    )


def _may_see_bodies(rights: Rights) -> bool:
    """Whether the viewer may see what partners are told; a partner's own server was told it anyway."""
    return not rights.is_staff or (rights.amounts and people.may_see(rights))


def _acts(row: Delivery, rights: Rights) -> tuple[Act, ...]:
    if not rights.may("retry_delivery"):
        return ()
    offered = (
        ("retry", gettext("Retry now"), acting.obstacle_to_retry),
        ("resend", gettext("Resend"), acting.obstacle_to_resend),
        ("cancel", gettext("Cancel"), acting.obstacle_to_cancel),
    )
    return tuple(
        Act(label=label, url=f"{address('delivery', row.pk)}{name}/")
        for name, label, obstacle in offered
        if obstacle(row) is None
    )


PAGE = Page(
    name="delivery",
    template="delivery.html",
    regions=("delivery", "cursor"),
    read=read_state,
    title=lambda _: gettext("Delivery"),
    below="deliveries",
    may_see=may_see,
)

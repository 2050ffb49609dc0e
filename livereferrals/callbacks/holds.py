"""Why an endpoint's deliveries are not made just now, in words (callbacks, section 10)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from livereferrals.callbacks.health import RETRY_AFTER
from livereferrals.callbacks.models import EndpointState

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.callbacks.models import Endpoint


class HoldKind(StrEnum):
    """What holds deliveries."""

    ARCHIVED = "archived"
    NO_ADDRESS = "no_address"
    INACTIVE = "inactive"
    PAUSED = "paused"
    DISABLED = "disabled"
    GATE = "gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """Why nothing is sent, and until when if that is known."""

    kind: HoldKind
    text: str
    until: datetime | None = None
    """For a gate, which opens by itself."""


def hold_of(endpoint: Endpoint, *, now: datetime, for_staff: bool = True) -> Hold | None:
    """Return what holds an endpoint's deliveries, its subscription, partner and `state_changed_by` loaded.

    Who paused it and why is told to staff: the reason is written for colleagues.
    """
    subscription = endpoint.subscription
    if subscription.archived_at is not None:
        return Hold(kind=HoldKind.ARCHIVED, text=_("the subscription is archived"))
    if not subscription.callback_url:
        return Hold(kind=HoldKind.NO_ADDRESS, text=_("no address: the partner reads the feed"))
    if not subscription.partner.active:
        return Hold(kind=HoldKind.INACTIVE, text=_("the partner is inactive"))
    if endpoint.state != EndpointState.ACTIVE:
        return _switched_off(endpoint, for_staff=for_staff)
    if endpoint.gate_until is not None and endpoint.gate_until > now:
        asked = endpoint.gate_reason == RETRY_AFTER
        text = _("the partner's server asked for a pause") if asked else _("a pause after several failures")
        return Hold(kind=HoldKind.GATE, text=text, until=endpoint.gate_until)
    return None


def _switched_off(endpoint: Endpoint, *, for_staff: bool) -> Hold:
    is_paused = endpoint.state == EndpointState.PAUSED
    if is_paused:
        by = endpoint.state_changed_by if for_staff else None
        text = _("paused by %(name)s") % {"name": by} if by is not None else _("paused")
        kind = HoldKind.PAUSED
    else:
        text, kind = _("switched off by the system"), HoldKind.DISABLED
    # A reason of the system's own, such as an answer of the partner's server, is no secret of anybody.
    tells_why = endpoint.state_reason and (for_staff or not is_paused)
    return Hold(kind=kind, text=f"{text}: {endpoint.state_reason}" if tells_why else text)

"""People as a viewer may know them: browsers and users by name, or by the opaque names that partners get. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livereferrals.dashboard.addresses import address
from livereferrals.dashboard.tables import Cell
from livereferrals.events import wire

if TYPE_CHECKING:
    import uuid

    from livereferrals.dashboard.access import Rights
    from livereferrals.tracking.models import Confirmation, ReferralHit

SHOWN = 8
"""Digits of a visitor's id that are shown: the last ones, because ids of one moment begin alike."""


def may_see(rights: Rights) -> bool:
    """Whether the viewer may know who people are: never a partner's login."""
    return rights.is_staff and rights.may("view_visitor")


def short(visitor: uuid.UUID | None) -> str:
    """Return the short form of a visitor's id."""
    return "" if visitor is None else f"\N{HORIZONTAL ELLIPSIS}{visitor.hex[-SHOWN:]}"


def visitor_cell(visitor: uuid.UUID | None, rights: Rights) -> Cell:
    """Return a visitor: with the whole id and its page for those who may see it, else its short form alone."""
    if visitor is None or not may_see(rights):
        return Cell(text=short(visitor))
    return Cell(text=short(visitor), raw=str(visitor), url=address("visitor", visitor))


def user_cell(row: ReferralHit | Confirmation, rights: Rights) -> Cell:
    """Return the user of a hit or a confirmation, whose user and partner are loaded: the login name, or `u_...`.

    The opaque name is the one that the partner knows from feed and callbacks; users of the house have none.
    """
    if row.user_id is None:
        return Cell()
    if may_see(rights):
        return Cell(text=str(row.user))
    return Cell(text=wire.user_hash(str(row.user_id), key=row.partner.user_key) if row.partner is not None else "")

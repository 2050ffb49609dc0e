"""A user's right to be forgotten, and to see what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async

from livereferrals.callbacks import erasing, exporting

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from livereferrals.callbacks.erasing import Erased


def erase_user(user: AbstractBaseUser, *, by: AbstractBaseUser | None = None) -> Erased:
    """Have nothing lead to the user any more: for a request to be forgotten (Y-03).

    Its visitors are removed. Its hits, confirmations and events stay, without it; amounts, counts and cursors do not
    change. Deliveries to partners that wait are cancelled, and texts of ended ones cleared. Doing it again is harmless.
    In the caller's transaction, where there is one; the event log follows at its commit.

    Args:
        user: the user, who may be deleted afterwards.
        by: who does it; the project's log says so.
    """
    return erasing.erase_user(user, by=by)


async def aerase_user(user: AbstractBaseUser, *, by: AbstractBaseUser | None = None) -> Erased:
    """Async form of `erase_user`."""
    return await sync_to_async(erase_user)(user, by=by)


def export_user(user: AbstractBaseUser) -> dict[str, Any]:
    """Return all that is stored about the user, in words that it can follow: for a request to see it (Y-06).

    Nothing of anybody else, no secrets and no notes of staff. The values can be written as JSON. Eight queries.
    """
    return exporting.export_user(user)


async def aexport_user(user: AbstractBaseUser) -> dict[str, Any]:
    """Async form of `export_user`."""
    return await sync_to_async(export_user)(user)

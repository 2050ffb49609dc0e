"""Whose turn a chore is: one process at a time, by a row that names who is at it and until when.

No lock is held while a chore runs, and nothing needs a session, so that a transaction pooler may stand between.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from django.db import router
from django.db.models import Q

from livereferrals.events.models import Chore

if TYPE_CHECKING:
    from datetime import datetime

    from django.db.models import QuerySet

HOLD: Final = timedelta(minutes=5)
"""How long a process that says nothing keeps its turn; a chore's batches take much less."""
NONSENSE: Final = HOLD + timedelta(minutes=1)
"""A turn that ends later than this was taken by a clock that has jumped back."""


def take(name: str, *, every: timedelta, holder: str, now: datetime) -> bool:
    """Take the turn if the chore is due and nobody is at it; return whether. One query where it is not."""
    chore = _chores().filter(pk=name)
    if not chore.exists():
        _chores().get_or_create(pk=name)
    free = Q(held_until__isnull=True) | Q(held_until__lte=now) | Q(held_until__gt=now + NONSENSE)
    due = Q(done_at__isnull=True) | Q(done_at__lte=now - every) | Q(done_at__gt=now)
    wanted = chore.filter(free, due)
    return wanted.exists() and bool(wanted.update(holder=holder, held_until=now + HOLD))


def keep(name: str, *, holder: str, now: datetime) -> bool:
    """Go on with the turn; false where another process has taken it meanwhile."""
    return bool(_chores().filter(pk=name, holder=holder).update(held_until=now + HOLD))


def end(name: str, *, holder: str, now: datetime) -> None:
    """Give the turn back: the chore is done."""
    _chores().filter(pk=name, holder=holder).update(done_at=now, holder="", held_until=None)


def put_off(name: str, *, holder: str) -> None:
    """Give the turn back without having done it."""
    _chores().filter(pk=name, holder=holder).update(holder="", held_until=None)


def _chores() -> QuerySet[Chore]:
    return Chore.objects.using(router.db_for_write(Chore))

"""Tickets: short-lived stand-ins for a token that a browser may hold; each opens one connection (feed protocol, 3)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.db import router
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from livereferrals import conf, ids
from livereferrals.exceptions import FeedError
from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedTicket

if TYPE_CHECKING:
    from datetime import datetime

    from livereferrals.streaming.tokens import Grant

PREFIX = "lrt_"
SECRET_LENGTH = 40
"""Letters and digits: 238 random bits."""
KEPT = timedelta(hours=1)
"""How long the row of an expired ticket still says what became of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A new ticket, whose text cannot be had again."""

    text: str = field(repr=False)
    expires_at: datetime


@sensitive_variables("text")
def issue(token_id: str) -> Issued:
    """Make a ticket for a token that was just verified, and forget tickets of long ago. One insert, one delete."""
    now = timezone.now()
    _tickets().filter(expires_at__lt=now - KEPT).delete()
    text = PREFIX + ids.random_identifier(SECRET_LENGTH)
    row = FeedTicket(hash=_hash(text), token_id=token_id, expires_at=now + conf.settings.FEED_TICKET_AGE)
    row.save(force_insert=True, using=router.db_for_write(FeedTicket))
    return Issued(text=text, expires_at=row.expires_at)


@sensitive_variables("text")
def verify(text: str) -> Grant:
    """Return what the ticket's token allows; the ticket can still be used. One query.

    Raises:
        FeedError: it allows nothing.
    """
    row = _tickets().select_related("token__partner").filter(pk=_hash(text)).first()
    if row is None:
        raise FeedError("unauthorized", "This ticket is not valid.")
    if row.used_at is not None:
        raise _used()
    now = timezone.now()
    if row.expires_at <= now:
        raise FeedError("unauthorized", "This ticket has expired.")
    if (refusal := tokens.refusal_of(row.token, now=now)) is not None:
        raise refusal
    return tokens.grant_of(row.token)


@sensitive_variables("text")
def use(text: str) -> None:
    """Use a ticket up. One update, which succeeds for one of any number of callers.

    Raises:
        FeedError: `ticket_used`.
    """
    if not _tickets().filter(pk=_hash(text), used_at=None).update(used_at=timezone.now()):
        raise _used()


def _used() -> FeedError:
    return FeedError("ticket_used", "This ticket has been used; get another one.")


def _tickets() -> Any:
    return FeedTicket.objects.using(router.db_for_write(FeedTicket))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

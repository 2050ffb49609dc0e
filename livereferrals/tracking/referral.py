"""`request.referral`: who brought this browser here, read when it is asked."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Self

from asgiref.sync import sync_to_async
from django.utils import timezone

from livereferrals.tracking import granting, history, references, visitors
from livereferrals.tracking.models import Visitor

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from livereferrals.tracking.models import Partner, ReferralHit, ReferralLink


class Referral:
    """The referral behind a request; false when the browser is no known visitor.

    Nothing is read until it is used: then one query for the visitor, and those of attribution for the hit. In async
    views `await request.referral.aget()` reads all of it first.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self.renewed = False
        """Whether the answer has to renew what the browser carries."""
        self.settled = False
        """Whether a login or a hit has already seen to the claim in this request."""
        self.old_cookie_used = False
        """Whether the answer has to take the cookie of django-hype away."""

    def __bool__(self) -> bool:
        return self.visitor is not None

    @cached_property
    def visitor(self) -> Visitor | None:
        """The visitor that this browser is; one whose row is gone counts as none."""
        if self._carried is None:
            return None
        found = Visitor.objects.filter(pk=self._carried.id).first()
        if found is None:
            visitors.overlook(self._request)
        return found

    @cached_property
    def _carried(self) -> visitors.Carried | None:
        return visitors.carried(self._request)

    @cached_property
    def hit(self) -> ReferralHit | None:
        """The hit that a confirmation would be credited to now, its link and partner loaded."""
        visitor, user = self.visitor, visitors.request_person(self._request)
        if visitor is not None and visitor.claimed_at is not None and (user is None or visitor.user_id != user.pk):
            visitor = None  # somebody else's, on a shared computer (C-04)
        if visitor is None and user is None:
            return None
        return history.current_hit(history.Person(user=user, visitor=visitor), at=timezone.now())

    @property
    def link(self) -> ReferralLink | None:
        """The link of that hit."""
        return None if self.hit is None else self.hit.link

    @property
    def partner(self) -> Partner | None:
        """The partner of that hit."""
        return None if self.hit is None else self.hit.partner

    async def aget(self) -> Self:
        """Return itself with everything read, without blocking the event loop."""
        return await sync_to_async(self._read)()

    def token(self) -> str:
        """Return signed text that stands for the visitor, to keep on an order that is paid later; empty without one.

        It can be given as `visitor=` wherever that is taken. No query, but for the session's own.
        """
        return "" if self._carried is None else visitors.token(self._carried.id)

    def forget(self, response: HttpResponseBase) -> None:
        """Take from the browser what it is known by: for a withdrawn consent (Y-10).

        What was recorded stays, and belongs to a visitor whom no browser is any more. One query where visitors are kept
        in the session.

        Args:
            response: the answer to this request.
        """
        visitors.forget(self._request, response)
        self.__dict__.update(visitor=None, hit=None, _carried=None)
        self.renewed = False

    @property
    def reference(self) -> str:
        """The signed reference to a hit made before consent was asked, as this request's address or form brings it.

        Empty where there is none, or after an hour. No query. For a banner that shall work where browsers do not name
        the page before: `<input type="hidden" name="lr_reference" value="{{ request.referral.reference }}">`.
        """
        return references.carried(self._request)

    def grant(self, response: HttpResponseBase, *, reference: str | None = None) -> bool:
        """Tie the hit that led here to a visitor, whom this browser is from now on: for a consent that is given (V-19).

        It is the hit of the address that the link led to, where `CONSENT` had answered `None`. One transaction, at most
        six statements; none where the request brings no reference.

        Args:
            response: the answer to this request.
            reference: what `reference` was on the page of the banner; default: what this request brings.

        Returns:
            Whether there was a hit to tie: none after an hour, or where it was tied before.
        """
        hit_id = references.read(references.carried(self._request) if reference is None else reference)
        if hit_id is None:
            return False
        visitor = granting.grant(
            hit_id,
            visitor_id=None if self._carried is None else self._carried.id,
            user=visitors.request_person(self._request),
            now=timezone.now(),
        )
        if visitor is None:
            return False
        visitors.carry(self._request, response, visitor)
        self.__dict__.update(
            visitor=visitor, _carried=visitors.Carried(id=visitor.pk, claimed=visitor.claimed_at is not None)
        )
        self.choose_anew()
        self.settle()
        return True

    async def agrant(self, response: HttpResponseBase, *, reference: str | None = None) -> bool:
        """Async form of `grant`."""
        return await sync_to_async(self.grant)(response, reference=reference)

    def renew(self) -> None:
        """Have the answer to this request renew what the browser carries."""
        self.renewed = True

    def settle(self) -> None:
        """Leave nothing to claim on the way out of this request."""
        self.settled = True

    def use_up_old_cookie(self) -> None:
        """Have the answer to this request take the cookie of django-hype away (C-18)."""
        self.old_cookie_used = True

    def choose_anew(self) -> None:
        """Forget which hit would be credited: after a claim the user's other devices count too."""
        self.__dict__.pop("hit", None)

    def _read(self) -> Self:
        self.hit  # noqa: B018 - fills the cache, the visitor's too
        return self


def visitor_from_token(text: str) -> Visitor | None:
    """Return the visitor that `Referral.token()` stood for; none for other text, or when it is gone. One query."""
    visitor_id = visitors.read_token(text)
    return None if visitor_id is None else Visitor.objects.filter(pk=visitor_id).first()

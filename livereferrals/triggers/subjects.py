"""The subject of a conversion: whose hits are looked at, and how that was found (S-32 to S-36)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model

from livereferrals.tracking.current import current_request
from livereferrals.tracking.history import Person
from livereferrals.tracking.models import Visitor
from livereferrals.tracking.referral import visitor_from_token

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest

    from livereferrals.tracking.models import ReferralHit


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Who converted, as far as it is known."""

    person: Person
    how: str
    """How it was found: `user`, `mapping`, `instance`, `request-user`, `visitor`, `request-visitor` or `hit`."""
    hit: ReferralHit | None = None
    """The hit that is to be credited, where the caller has chosen it (N-02)."""

    def described(self, visitors: Iterable[Any] = ()) -> dict[str, Any]:
        """Return the subject as the trace shows it, with all visitors that were looked at."""
        own = self.person.visitor
        pks = dict.fromkeys([*visitors, *([] if own is None else [own.pk])])
        user_pk = self.person.user_pk
        return {
            "user": None if user_pk is None else str(user_pk),
            "visitors": [str(pk) for pk in pks],
            "how": self.how,
        }


def find(
    *,
    request: HttpRequest | None = None,
    user: object = None,
    mapped: object = None,
    created: object = None,
    visitor: Visitor | str | None = None,
) -> Subject | None:
    """Return the subject, the first that there is: a user that is given, mapped or created, a visitor, the request's.

    Args:
        request: where it happened; by default the request that is being answered, if any.
        user: the user that was given.
        mapped: the user that the trigger's `user` leads to.
        created: the instance of the signal, which may be a user itself.
        visitor: the visitor that was given, or its token (S-36).

    Raises:
        TypeError: the user or the visitor is something else.
    """
    request = current_request() if request is None else request
    given = visitor_from_token(visitor) if isinstance(visitor, str) else visitor
    if not isinstance(given, Visitor | None):
        raise TypeError(f"A visitor is a Visitor or its token, not {type(given).__name__}.")
    for how, who in (("user", user), ("mapping", mapped), ("instance", _as_user(created))):
        found = usable_user(who)
        if found is not None:
            return _of_user(found, how=how, visitor=_browser_of(found, request) if given is None else given)
    if given is not None:
        return Subject(person=Person(visitor=given), how="visitor")
    return None if request is None else _of_request(request)


def of_hit(hit: ReferralHit) -> Subject:
    """Return the subject of a chosen hit: who made it. At most two queries."""
    return Subject(person=Person(user=hit.user, visitor=hit.visitor), how="hit", hit=hit)


def renewed(subject: Subject) -> Subject:
    """Return the subject as it is now in the database: a user or a visitor that has gone is nobody. At most two queries."""
    user, visitor = subject.person.user, subject.person.visitor
    person = Person(
        user=None if user is None else get_user_model()._default_manager.filter(pk=user.pk).first(),
        visitor=None if visitor is None else Visitor.objects.filter(pk=visitor.pk).first(),
    )
    return replace(subject, person=person)


def usable_user(who: object) -> AbstractBaseUser | None:
    """Return the user, or `None` for nobody: anonymous, not saved, or deleted (S-37).

    Raises:
        TypeError: it is no user.
    """
    if who is None or getattr(who, "is_anonymous", False):
        return None
    if not isinstance(who, get_user_model()):
        raise TypeError(f"A user is a {get_user_model()._meta.label}, not {type(who).__name__}.")
    pk: object = who.pk
    return None if pk is None or who._state.adding else who


def _as_user(instance: object) -> object:
    """Return the instance of the signal if it is a user (S-32)."""
    return instance if isinstance(instance, get_user_model()) else None


def _of_user(user: AbstractBaseUser, *, how: str, visitor: Visitor | None) -> Subject:
    """Return the user with the browser, provided that the browser is nobody's or the user's own (S-33)."""
    is_theirs = visitor is not None and (visitor.claimed_at is None or visitor.user_id == user.pk)
    return Subject(person=Person(user=user, visitor=visitor if is_theirs else None), how=how)


def _browser_of(user: AbstractBaseUser, request: HttpRequest | None) -> Visitor | None:
    """Return the request's visitor, unless somebody else sits there logged in: staff who create users (S-33)."""
    visitor = None if request is None else _visitor(request)
    if visitor is None or request is None:
        return None
    logged_in = usable_user(getattr(request, "user", None))
    return visitor if logged_in is None or logged_in.pk == user.pk else None


def _of_request(request: HttpRequest) -> Subject | None:
    """Return the logged-in user, else the browser's visitor while it is nobody's (C-04)."""
    user = usable_user(getattr(request, "user", None))
    visitor = _visitor(request)
    if user is not None:
        return _of_user(user, how="request-user", visitor=visitor)
    if visitor is None or visitor.claimed_at is not None:
        return None
    return Subject(person=Person(visitor=visitor), how="request-visitor")


def _visitor(request: HttpRequest) -> Visitor | None:
    """Return who the browser is; nobody where the request has not come through our middleware."""
    referral = getattr(request, "referral", None)
    return None if referral is None else referral.visitor

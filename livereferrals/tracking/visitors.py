"""Who is it: the visitor's cookie, and the person who is logged in.

The cookie holds the visitor's id and whether it is claimed, signed: the id alone stands in feeds and callbacks and
must not be enough to pass as that visitor (V-03).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.signing import BadSignature, Signer

from livereferrals import conf

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

    from livereferrals.tracking.models import Visitor

COOKIE_SALT: Final = "livereferrals.visitor.cookie"
TOKEN_SALT: Final = "livereferrals.visitor.token"  # noqa: S105 - a name, no secret
MAX_SEALED_LENGTH: Final = 200
"""Longer text is not ours; it is not worth a signature check."""
CLAIMED: Final = "c"
UNCLAIMED: Final = "u"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a browser says, and can prove, of its visitor."""

    id: uuid.UUID
    """The visitor's id; its row may be gone."""
    claimed: bool
    """Whether the visitor was claimed when the cookie was set."""


def carried(request: HttpRequest) -> Carried | None:
    """Return the visitor that the request's cookie names; one that is broken or not ours counts as none. No query."""
    # `force_login` and API logins bring a request that has never seen a browser (C-10).
    return read_cookie(getattr(request, "COOKIES", {}).get(conf.settings.COOKIE_NAME, ""))


def read_cookie(text: str) -> Carried | None:
    """Return the visitor that a cookie's value names; what is not ours counts as none."""
    return _unsealed(text, salt=COOKIE_SALT)


def carry(response: HttpResponseBase, visitor: Visitor, *, secure: bool) -> None:
    """Set or renew the visitor's cookie; `secure` says whether the request came over https (V-01)."""
    wanted = conf.settings.COOKIE_SECURE
    response.set_cookie(
        conf.settings.COOKIE_NAME,
        _sealed(visitor.pk, claimed=visitor.claimed_at is not None, salt=COOKIE_SALT),
        max_age=conf.settings.COOKIE_MAX_AGE,
        domain=conf.settings.COOKIE_DOMAIN,
        path=conf.settings.COOKIE_PATH,
        secure=secure if wanted is None else wanted,
        httponly=conf.settings.COOKIE_HTTPONLY,
        samesite=conf.settings.COOKIE_SAMESITE,  # type: ignore[arg-type] # the setting's parser allows these words only
    )


def token(visitor_id: uuid.UUID) -> str:
    """Return signed text that stands for the visitor, for a host to keep (S-36)."""
    return _sealed(visitor_id, claimed=False, salt=TOKEN_SALT)


def read_token(text: str) -> uuid.UUID | None:
    """Return the visitor's id that a token stands for; what is no token of ours counts as none."""
    found = _unsealed(text, salt=TOKEN_SALT)
    return None if found is None else found.id


def person(user: Any) -> AbstractBaseUser | None:
    """Return the user if it is somebody: logged in and still in the database (S-37)."""
    if user is None or not user.is_authenticated or user.pk is None:
        return None
    found: AbstractBaseUser = user
    return found


def request_person(request: HttpRequest) -> AbstractBaseUser | None:
    """Return who is logged in; nobody where the host has no authentication (V-17). May read session and user."""
    return person(getattr(request, "user", None))


def _sealed(visitor_id: uuid.UUID, *, claimed: bool, salt: str) -> str:
    return Signer(salt=salt).sign(f"{visitor_id.hex}{CLAIMED if claimed else UNCLAIMED}")


def _unsealed(text: str, *, salt: str) -> Carried | None:
    if not text or len(text) > MAX_SEALED_LENGTH:
        return None
    try:
        value = Signer(salt=salt).unsign(text)
        return Carried(id=uuid.UUID(hex=value[:32]), claimed=value[32:] == CLAIMED)
    except (BadSignature, ValueError):
        return None

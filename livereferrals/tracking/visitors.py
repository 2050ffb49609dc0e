"""Who is it: the visitor that a browser carries, in a cookie or in the session, and the person who is logged in.

The cookie holds the visitor's id and whether it is claimed, signed: the id alone stands in feeds and callbacks and
must not be enough to pass as that visitor (V-03). The session is the server's own and holds the id as text.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from django.core.signing import BadSignature, Signer
from django.utils.functional import LazyObject

from livereferrals import conf
from livereferrals.tracking.models import Visitor

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

COOKIE_SALT: Final = "livereferrals.visitor.cookie"
TOKEN_SALT: Final = "livereferrals.visitor.token"  # noqa: S105 - a name, no secret
MAX_SEALED_LENGTH: Final = 200
"""Longer text is not ours; it is not worth a signature check."""
BARE_ID_LENGTH: Final = 36
CLAIMED: Final = "c"
UNCLAIMED: Final = "u"


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What a browser says, and can prove, of its visitor."""

    id: uuid.UUID
    """The visitor's id; its row may be gone."""
    claimed: bool
    """Whether the visitor was claimed when the browser was told to carry it."""


def carried(request: HttpRequest) -> Carried | None:
    """Return the visitor that the browser proves to be; what is broken or not ours counts as none.

    The configured carrier is asked first, then the other one, so that changing it loses nobody (V-09). No query, but for
    the session's own and for a number that an import has to explain. A browser without a session has none read.
    """
    readers = (_in_session, _in_cookie) if _by_session(request) else (_in_cookie, _in_session)
    return next((found for read in readers if (found := read(request)) is not None), None)


def read_cookie(text: str) -> Carried | None:
    """Return the visitor that a cookie's value names; what is not ours counts as none."""
    return _unsealed(text, salt=COOKIE_SALT)


def is_unclaimed(request: HttpRequest) -> bool:
    """Whether the browser carries a visitor that, as far as it knows, is nobody's. Reads nothing that is not read yet."""
    if not _by_session(request):
        found = _in_cookie(request)
        return found is not None and not found.claimed
    session: Any = request.session
    return session.accessed and session.get(conf.settings.SESSION_KEY) is not None and not _is_claimed(session)


def carry(request: HttpRequest, response: HttpResponseBase, visitor: Visitor) -> None:
    """Have the browser carry the visitor from now on, in the configured way alone (V-01, V-07, V-09)."""
    if _by_session(request):
        request.session[conf.settings.SESSION_KEY] = str(visitor.pk)
        request.session[_claimed_key()] = visitor.claimed_at is not None
        _delete_cookie(request, response)
        return
    wanted = conf.settings.COOKIE_SECURE
    response.set_cookie(
        conf.settings.COOKIE_NAME,
        _sealed(visitor.pk, claimed=visitor.claimed_at is not None, salt=COOKIE_SALT),
        max_age=conf.settings.COOKIE_MAX_AGE,
        domain=conf.settings.COOKIE_DOMAIN,
        path=conf.settings.COOKIE_PATH,
        secure=request.is_secure() if wanted is None else wanted,
        httponly=conf.settings.COOKIE_HTTPONLY,
        samesite=conf.settings.COOKIE_SAMESITE,  # type: ignore[arg-type] # the setting's parser allows these words only
    )
    _leave_session(request)


def forget(request: HttpRequest, response: HttpResponseBase) -> None:
    """Have the browser carry no visitor any more (V-14)."""
    _delete_cookie(request, response)
    _leave_session(request)


def overlook(request: HttpRequest) -> None:
    """Take a visitor that is of no use out of the session, which is not written for that alone (V-08)."""
    session: Any = getattr(request, "session", None)
    if session is None or session.is_empty():
        return
    modified = session.modified
    session.pop(conf.settings.SESSION_KEY, None)
    session.pop(_claimed_key(), None)
    session.modified = modified


def old_hit(request: HttpRequest) -> uuid.UUID | None:
    """Return the id of a hit that django-hype left in its cookie (C-18): the bare id, where ours are signed."""
    text = getattr(request, "COOKIES", {}).get(conf.old_cookie_name(), "")
    try:
        return uuid.UUID(text) if len(text) == BARE_ID_LENGTH else None
    except ValueError:
        return None


def delete_old_cookie(response: HttpResponseBase) -> None:
    """Delete the cookie of django-hype, unless it is ours by now."""
    if conf.old_cookie_name() not in response.cookies:
        response.delete_cookie(conf.old_cookie_name())


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


def seen_person(request: HttpRequest) -> AbstractBaseUser | None:
    """Return who is logged in if the host has looked at the user of this request; never looks itself (C-11, P-31).

    Django keeps what it has looked up on the request: `request.user` is lazy until then, `request.auser()` has its own
    place. A host that authenticates by itself puts a plain user there.
    """
    user = request.__dict__.get("user")
    if isinstance(user, LazyObject):
        user = request.__dict__.get("_cached_user")
    return person(user or request.__dict__.get("_acached_user"))


# --- the two carriers -----------------------------------------------------------------------------------------------------


def _by_session(request: HttpRequest) -> bool:
    """Whether the session carries; without sessions only the cookie can (V-17)."""
    return conf.settings.VISITOR_CARRIER == "session" and getattr(request, "session", None) is not None


def _in_cookie(request: HttpRequest) -> Carried | None:
    # `force_login` and API logins bring a request that has never seen a browser (C-10).
    return read_cookie(getattr(request, "COOKIES", {}).get(conf.settings.COOKIE_NAME, ""))


def _in_session(request: HttpRequest) -> Carried | None:
    session: Any = getattr(request, "session", None)
    if session is None or session.is_empty():
        return None
    value = session.get(conf.settings.SESSION_KEY)
    if value is None:
        return None
    visitor_id = _visitor_id(value)
    if visitor_id is None:
        overlook(request)
        return None
    return Carried(id=visitor_id, claimed=_is_claimed(session))


def _visitor_id(value: object) -> uuid.UUID | None:
    """Return the id that a session's value stands for: its text, or the number that an imported visitor once had."""
    if isinstance(value, int) and 0 < value < 2**63:
        return Visitor.objects.filter(legacy_id=value).values_list("pk", flat=True).first()
    try:
        return uuid.UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _is_claimed(session: Any) -> bool:
    return session.get(_claimed_key()) is True


def _claimed_key() -> str:
    return f"{conf.settings.SESSION_KEY}_claimed"


def _leave_session(request: HttpRequest) -> None:
    session: Any = getattr(request, "session", None)
    if session is not None and not session.is_empty():
        for key in (conf.settings.SESSION_KEY, _claimed_key()):
            if key in session:
                del session[key]


def _delete_cookie(request: HttpRequest, response: HttpResponseBase) -> None:
    if conf.settings.COOKIE_NAME in request.COOKIES:
        response.delete_cookie(
            conf.settings.COOKIE_NAME,
            path=conf.settings.COOKIE_PATH,
            domain=conf.settings.COOKIE_DOMAIN,
            samesite=conf.settings.COOKIE_SAMESITE,  # type: ignore[arg-type] # the setting's parser allows these words only
        )


# --- signed text ----------------------------------------------------------------------------------------------------------


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

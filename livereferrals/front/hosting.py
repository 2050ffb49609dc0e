"""What the host project has set up, as far as the front repeats it, and what keeps the front from answering at all."""

from __future__ import annotations

from typing import Final

from livereferrals import conf

COMMON: Final = "django.middleware.common.CommonMiddleware"
SECURITY: Final = "django.middleware.security.SecurityMiddleware"
SESSIONS: Final = "django.contrib.sessions.middleware.SessionMiddleware"
USERS: Final = "django.contrib.auth.middleware.AuthenticationMiddleware"
OURS: Final = frozenset(
    {"livereferrals.middleware.ReferralMiddleware", "livereferrals.tracking.middleware.ReferralMiddleware"}
)


def middleware() -> tuple[str, ...]:
    """Return the dotted names of the host's middleware."""
    return tuple(conf.host("MIDDLEWARE", ()))


def has_users() -> bool:
    """Whether Django's own sessions and authentication are installed."""
    return {SESSIONS, USERS} <= set(middleware())


def catches_parameters() -> bool:
    """Whether our middleware is installed; one that a host has derived from it may do something else."""
    return not OURS.isdisjoint(middleware())


def redirects_to_tls() -> bool:
    """Whether Django redirects plain requests to TLS."""
    return SECURITY in middleware() and bool(conf.host("SECURE_SSL_REDIRECT"))


def obstacle() -> str | None:
    """Return what only Django can judge, or nothing: then a request is handed over or answered for its own sake alone."""
    own = conf.settings
    if not own.FAST_LINKS:
        return "FAST_LINKS is off"
    if own.VISITOR_CARRIER == "session":
        return "VISITOR_CARRIER is the session"
    if own.CONSENT is not None or own.CLIENT_IP is not None:
        return "CONSENT and CLIENT_IP are asked about a request of Django's"
    if COMMON in middleware() and (conf.host("PREPEND_WWW") or conf.host("DISALLOWED_USER_AGENTS")):
        return "PREPEND_WWW and DISALLOWED_USER_AGENTS are CommonMiddleware's"
    header = conf.proxy_tls_header()
    if header is not None and not header[0].startswith("HTTP_"):
        return "SECURE_PROXY_SSL_HEADER names no header"
    return None

"""Settings of the demo as it would run in earnest: behind a proxy that speaks TLS, several processes, workers apart.

    DJANGO_SETTINGS_MODULE=project.production

    SECRET_KEY, ALLOWED_HOSTS, DATABASE_URL, REDIS_URL    have to be there
    STATIC_ROOT                                           where the proxy serves static files from
    HSTS_SECONDS                                          for how long browsers insist on TLS; an hour unless you say more

`manage.py check --deploy` finds nothing to say about them.
"""

from __future__ import annotations

import os

from django.core.exceptions import ImproperlyConfigured

from project import settings
from project.settings import *  # noqa: F403 - what is not said here is as in the demo

if missing := [
    name for name in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL") if not os.environ.get(name)
]:
    raise ImproperlyConfigured(
        f"Set {' and '.join(missing)} in the environment: production has no defaults for secrets."
    )

DEBUG = False

# TLS ends at the proxy, which sets this header itself and lets nobody else set it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = int(os.environ.get("HSTS_SECONDS", "3600"))
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

# Names with the hash of their content: the proxy may tell browsers to keep them for good.
STATIC_ROOT = os.environ.get("STATIC_ROOT", "/srv/static")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"},
}

LIVEREFERRALS = {
    "TRIGGERS": settings.LIVEREFERRALS["TRIGGERS"],
    "TRUSTED_PROXIES": 1,
    "FEED_REQUIRE_TLS": True,
    "CALLBACKS": {"WORKER": os.environ.get("CALLBACK_WORKER", "external")},
}

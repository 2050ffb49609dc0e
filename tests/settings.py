"""Settings of the tests: SQLite as a file by default, PostgreSQL where `TEST_DATABASE_URL` says so.

The servers that tests start read the same file; `tests.servers` tells them by environment variables what is theirs:
`TEST_SCRATCH` (files), `TEST_DATABASE_NAME` (the live test database), `TEST_REDIS_URL` (a channel layer) and
`TEST_SETTINGS` (JSON that overrides settings; `LIVEREFERRALS` is merged).
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

import dj_database_url

SECRET_KEY = "tests-only-0123456789-0123456789-0123456789-0123456789"
DEBUG = False
ALLOWED_HOSTS = ["*"]
USE_TZ = True
TIME_ZONE = "Europe/Berlin"
LANGUAGE_CODE = "en-gb"
INSTALLED_APPS = [
    "daphne",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "django_htmx",
    "livereferrals",
    "tests.shop",
]
if "TEST_FORKED" in os.environ:
    # It imports Twisted's reactor, with an event loop that must not be forked (`tests.forking`); servers do without.
    INSTALLED_APPS.remove("daphne")
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "livereferrals.middleware.ReferralMiddleware",
]
ROOT_URLCONF = "tests.urls"
ASGI_APPLICATION = "tests.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Daphne and uvicorn show what went wrong; pytest captures records by itself.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"] if "TEST_SERVER" in os.environ else [], "level": "INFO"},
}


def _memory() -> str | None:
    """Return a place for files in memory, where there is one with room: every commit of SQLite waits for its disk."""
    place = Path("/dev/shm")  # noqa: S108 - the directory in it has a name that nobody guesses
    return str(place) if os.access(place, os.W_OK) and shutil.disk_usage(place).free > 512 * 2**20 else None


def _scratch() -> Path:
    """Return this process's own directory; `conftest.py` makes it and takes it away."""
    name = f"livereferrals-{os.getpid()}-{secrets.token_hex(4)}"
    return Path(os.environ.get("TEST_SCRATCH") or Path(_memory() or tempfile.gettempdir()) / name)


SCRATCH = _scratch()
DATABASES: dict[str, dict[str, Any]] = {
    "default": dict(dj_database_url.parse(os.environ.get("TEST_DATABASE_URL", f"sqlite:///{SCRATCH}/db.sqlite3"))),
}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    # A file, not memory: servers and threads of the tests have connections of their own.
    DATABASES["default"]["TEST"] = {"NAME": str(SCRATCH / "test.sqlite3")}
if "TEST_DATABASE_NAME" in os.environ:
    DATABASES["default"]["NAME"] = os.environ["TEST_DATABASE_NAME"]

if "TEST_REDIS_URL" in os.environ:
    CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [os.environ["TEST_REDIS_URL"]]},
        }
    }

# Many tests connect with one token, and quickly; those of the limits set their own.
FEED_LIMITS = dict.fromkeys(
    ("connections_token", "connections_partner", "connects_minute", "connects_burst", "failures_minute", "polls_s"),
    10_000,
)
# In pytest's own process nothing is declared and nothing runs by itself: a test says what it needs.
LIVEREFERRALS: dict[str, Any] = {
    "TRIGGERS": [],
    "CALLBACKS": {"WORKER": "off"},
    "FEED_LIMITS": FEED_LIMITS,
}
if "TEST_SERVER" in os.environ:
    from tests.shop.triggers import TRIGGERS

    LIVEREFERRALS = {
        "TRIGGERS": TRIGGERS,
        "FEED_LIMITS": FEED_LIMITS,
        # The partner's sink listens on a loopback port that is free just now.
        "CALLBACKS": {"ALLOW": ["127.0.0.0/8:*"], "RETRY_SCHEDULE": [1] * 30},
    }


def _override(wanted: dict[str, Any]) -> None:
    own = dict(wanted.pop("LIVEREFERRALS", {}))
    LIVEREFERRALS.setdefault("CALLBACKS", {}).update(own.pop("CALLBACKS", {}))
    LIVEREFERRALS.update(own)
    globals().update(wanted)


_override(json.loads(os.environ.get("TEST_SETTINGS", "{}")))

"""Settings of the demo project: a Django project with the five edits that livereferrals needs.

Without any environment variable everything lives in `.demo/`: SQLite, in-memory channel layer, worker in the server.

    DATABASE_URL       postgresql://user:password@host/name
    REDIS_URL          redis://host:6379/0
    CALLBACK_WORKER    embedded (default), external or off
    CONSENT            1: visitors are asked before they are known again; the simulated ones never answer
    SECRET_KEY, ALLOWED_HOSTS, DEBUG, TIME_ZONE, LANGUAGE_CODE
"""

from __future__ import annotations

import os
import secrets
from typing import Any

import dj_database_url

from livereferrals.triggers import Trigger
from project import kept

kept.DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)

SECRET_KEY = os.environ.get("SECRET_KEY") or kept.recall_or_keep("secret_key", lambda: secrets.token_urlsafe(50))
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]").split(",")

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
    "project.shop",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "livereferrals.middleware.ReferralMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "project.urls"
ASGI_APPLICATION = "project.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "project.shop.consent.notice",
            ]
        },
    }
]
STATIC_URL = "/static/"
LOGIN_URL = "shop:login"
LOGIN_REDIRECT_URL = "shop:home"
LANGUAGE_CODE = os.environ.get("LANGUAGE_CODE", "en-gb")
TIME_ZONE = os.environ.get("TIME_ZONE", "UTC")
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {
    "default": dj_database_url.parse(os.environ.get("DATABASE_URL") or f"sqlite:///{kept.DIRECTORY}/db.sqlite3")
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # A commit is on the disk before the browser hears of it, readers never wait for writers, and a transaction takes
    # its write lock at the start, so that none fails half-way.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }

CHANNEL_LAYERS: dict[str, dict[str, object]] = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
if redis_url := os.environ.get("REDIS_URL"):
    CHANNEL_LAYERS["default"] = {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [redis_url]},
    }

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {"livereferrals": {"level": "INFO"}},
}

LIVEREFERRALS: dict[str, Any] = {
    "TRIGGERS": [
        Trigger(
            "User registered",
            signal="django.db.models.signals.post_save",
            receiver="livereferrals.triggers.object_created",
            sender="auth.User",
        ),
        Trigger(
            "Order paid",
            signal="project.shop.signals.order_paid",
            receiver="livereferrals.triggers.signal_sent",
            sender="shop.Order",
            user="customer",
            reference="number",
            amount="total",
            currency="currency",
        ),
    ],
    "CALLBACKS": {
        "WORKER": os.environ.get("CALLBACK_WORKER", "embedded"),
        # The server that plays the partner runs on this machine, on whatever port is free.
        "ALLOW": ["127.0.0.0/8:*", "[::1]:*", "localhost:*"],
    },
    # Who tries the feed out connects more often, and with more mistakes, than a partner's program does.
    "FEED_LIMITS": {"connects_minute": 600, "connects_burst": 200, "failures_minute": 200},
}
if os.environ.get("CONSENT") == "1":
    LIVEREFERRALS["CONSENT"] = "project.shop.consent.has_agreed"

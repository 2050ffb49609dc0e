"""`startproject` and the first three edits of the README; `BENCH_LIVEREFERRALS` (JSON) overrides settings of the app."""

from __future__ import annotations

import json
import os

from benchmarks.host.startproject import *  # noqa: F403 - settings
from benchmarks.host.startproject import INSTALLED_APPS, MIDDLEWARE
from livereferrals.triggers import Trigger

ROOT_URLCONF = "benchmarks.host.urls"
INSTALLED_APPS = ["daphne", *INSTALLED_APPS, "channels", "django_htmx", "livereferrals"]
MIDDLEWARE = [*MIDDLEWARE, "livereferrals.middleware.ReferralMiddleware"]
ASGI_APPLICATION = "benchmarks.host.asgi.application"
LIVEREFERRALS = {
    "TRIGGERS": [
        Trigger(
            "User registered",
            signal="django.db.models.signals.post_save",
            receiver="livereferrals.triggers.object_created",
            sender="auth.User",
        ),
    ],
} | json.loads(os.environ.get("BENCH_LIVEREFERRALS", "{}"))
if os.environ.get("BENCH_LINKS_FIRST") == "on":
    MIDDLEWARE = ["livereferrals.middleware.ReferralMiddleware", *MIDDLEWARE[:-1]]

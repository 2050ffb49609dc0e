"""The fifth edit of the README; `BENCH_FRONT=off` turns the fast path off."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from livereferrals.asgi import referral_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.host.settings")

django_app = get_asgi_application()
if os.environ.get("BENCH_FRONT") == "off":
    application = referral_application(django_app, fast_links=False)
else:
    application = referral_application(django_app)

"""The host project's ASGI application, as `asgi.py` of design section 7 has it."""

from __future__ import annotations

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from livereferrals.asgi import referral_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

# Static files come straight from the apps: browsers need them, and no web server stands in front of the tests.
django_app = ASGIStaticFilesHandler(get_asgi_application())
application = referral_application(django_app)

"""The demo project's ASGI application."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from livereferrals.asgi import referral_application
from project.serving import StaticFiles

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# Static files come straight from the apps, so that the demo needs no web server in front.
application = referral_application(StaticFiles(get_asgi_application()))

"""The demo project's ASGI application."""

from __future__ import annotations

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from livereferrals.asgi import referral_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")

# Static files come straight from the apps, so that the demo needs no web server in front.
application = referral_application(ASGIStaticFilesHandler(get_asgi_application()))

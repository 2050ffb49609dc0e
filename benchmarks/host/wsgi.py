"""The same project for gunicorn, as `startproject` writes it."""

from __future__ import annotations

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "benchmarks.host.settings")

application = get_wsgi_application()

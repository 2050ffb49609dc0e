"""The host project's ASGI application, as `asgi.py` of design section 7 has it."""

from __future__ import annotations

import importlib.util
import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

if importlib.util.find_spec("livereferrals.asgi"):
    from livereferrals.asgi import referral_application

    application = referral_application(get_asgi_application())
else:
    application = get_asgi_application()

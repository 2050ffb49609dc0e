"""An `asgi.py` that imports the wrapper and forgets to use it."""

from __future__ import annotations

from django.core.asgi import get_asgi_application

from livereferrals.asgi import referral_application  # noqa: F401 - that is the mistake

application = get_asgi_application()

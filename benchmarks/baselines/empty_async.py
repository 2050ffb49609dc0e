"""The empty async view: Django without any middleware. No database."""

from __future__ import annotations

from django.conf import settings  # noqa: TID251 - this project is its own
from django.http import HttpResponseRedirect
from django.urls import path

settings.configure(
    SECRET_KEY="benchmarks-only-" * 4,
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=[],
    INSTALLED_APPS=[],
    ROOT_URLCONF=__name__,
)

from django.core.asgi import get_asgi_application  # noqa: E402 - after the settings


async def link(request: object, identifier: str) -> HttpResponseRedirect:
    """Redirect."""
    return HttpResponseRedirect("/")


urlpatterns = [path("ref/<str:identifier>", link)]
application = get_asgi_application()

"""The empty sync view, behind the middleware of `startproject`. No database is asked."""

from __future__ import annotations

from django.conf import settings  # noqa: TID251 - this project is its own
from django.http import HttpResponseRedirect
from django.urls import path

from benchmarks.host import startproject

settings.configure(**startproject.values(), ROOT_URLCONF=__name__)

from django.core.asgi import get_asgi_application  # noqa: E402 - after the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402


def link(request: object, identifier: str) -> HttpResponseRedirect:
    """Redirect."""
    return HttpResponseRedirect("/")


urlpatterns = [path("ref/<str:identifier>", link)]
application = get_asgi_application()
wsgi = get_wsgi_application()

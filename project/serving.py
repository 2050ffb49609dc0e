"""Static files straight from the apps, as the demo's server answers them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asgiref.sync import sync_to_async
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.exception import response_for_exception

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.http.response import HttpResponseBase


class StaticFiles(ASGIStaticFilesHandler):
    """Django's handler, which answers static files before Django's own request stack.

    It makes a response of `Http404` alone: a path that leads out of the folders of static files (`/static/../..`) would
    leave it as an exception, and be a server's error. Inside of the request stack Django answers such a one with 400.
    """

    async def get_response_async(self, request: HttpRequest) -> HttpResponseBase:
        """Return the file, or what Django says instead."""
        try:
            found: HttpResponseBase = await super().get_response_async(request)
        except SuspiciousOperation as error:
            return await sync_to_async(response_for_exception, thread_sensitive=False)(request, error)
        return found

"""URLs of which one is translated: which path is whose depends on the language that the host's middleware chooses."""

from __future__ import annotations

from django.urls import include, path
from django.utils.translation import gettext_lazy

from tests.front.host_urls import own

urlpatterns = [
    path("pages/", include([path(gettext_lazy("about/"), own)])),
    path("ref/", include("livereferrals.urls")),
]

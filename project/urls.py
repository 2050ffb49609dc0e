"""URLs of the demo project."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("project.shop.urls")),
    path("ref/", include("livereferrals.urls")),
    path("referrals/", include("livereferrals.dashboard.urls")),
    path("admin/", admin.site.urls),
]

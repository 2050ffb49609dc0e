"""A host that has not included `livereferrals.urls`."""

from __future__ import annotations

from django.urls import re_path

from tests.tracking.urls import echo

urlpatterns = [re_path(r"", echo)]

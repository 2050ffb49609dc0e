"""The shop app's configuration."""

from __future__ import annotations

from django.apps import AppConfig


class ShopConfig(AppConfig):
    """A tea shop, as small as can be."""

    name = "project.shop"
    default_auto_field = "django.db.models.BigAutoField"

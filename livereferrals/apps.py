"""The app's configuration."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class LiveReferralsConfig(AppConfig):
    """Referral and affiliate tracking that is live."""

    name = "livereferrals"
    verbose_name = _("Referrals")
    default_auto_field = "django.db.models.BigAutoField"

"""The app's configuration: what is connected when Django is ready."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.apps import AppConfig
from django.apps import apps as global_apps
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_started
from django.db import router
from django.db.models.signals import post_migrate, pre_delete
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django.apps.registry import Apps


logger = logging.getLogger(__name__)

WSGI_UID: Final = "livereferrals.wsgi"


class LiveReferralsConfig(AppConfig):
    """Referral and affiliate tracking that is live."""

    name = "livereferrals"
    verbose_name = _("Referrals")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Connect the triggers and the claims, and register the checks; safe to call again (S-09)."""
        # Models may be imported from here on, no sooner.
        from livereferrals import checks
        from livereferrals.callbacks.erasing import forget_deleted_user
        from livereferrals.streaming import revocation
        from livereferrals.tracking import link_cache
        from livereferrals.tracking.claiming import claim_at_login
        from livereferrals.triggers import registry

        checks.register_all()
        user_logged_in.connect(claim_at_login, dispatch_uid="livereferrals.claim")
        pre_delete.connect(forget_deleted_user, sender=get_user_model(), dispatch_uid="livereferrals.forget")
        post_migrate.connect(_make_log, sender=self, dispatch_uid="livereferrals.log")
        registry.connect_all()
        revocation.connect()
        link_cache.connect()
        request_started.connect(_announce_wsgi, dispatch_uid=WSGI_UID)
        _tell_old_settings()


def _announce_wsgi(*, sender: type, **kwargs: object) -> None:
    """At the first request have a process under WSGI say that it lives: `referral_application` is not there to do it.

    Django's test client is neither; it goes on listening.
    """
    is_wsgi = issubclass(sender, WSGIHandler)
    if is_wsgi or "scope" in kwargs:
        request_started.disconnect(dispatch_uid=WSGI_UID)
    if is_wsgi:
        from livereferrals.housekeeping import reporting

        reporting.start_in_server("wsgi")


def _tell_old_settings() -> None:
    """Say once, at the start, that an older package's settings are read (O-10); no request says it again."""
    from livereferrals import conf

    names = conf.old_settings()
    if names:
        logger.info(
            "Settings of an older package are read: %s. See docs/settings.md for their new names.",
            ", ".join(names),
            extra={"action": "settings.old"},
        )


def _make_log(*, using: str, apps: Apps = global_apps, **kwargs: object) -> None:
    """Make the event log's row, once its table is there; not after a migration back to nothing."""
    from livereferrals.events import log

    if using == router.db_for_write(global_apps.get_model("livereferrals", "EventLog")) and _has_log(apps):
        log.load_log()


def _has_log(apps: Apps) -> bool:
    try:
        apps.get_model("livereferrals", "EventLog")
    except LookupError:
        return False
    return True

"""System checks: the mistakes in a host's set-up that `manage.py check` finds, each with the text to paste.

The ids are stable and those of checks that have gone are not used again. No check reads the database or the network.
"""

from __future__ import annotations

from django.core import checks

from livereferrals.checks import dashboard, deploy, host, moved, serving, triggers, values


def register_all() -> None:
    """Register every check; Django keeps each once."""
    for check in (
        values.check_values,
        values.check_unknown_keys,
        values.check_rule,
        values.check_parameters,
        values.check_redirects,
        values.check_cookie,
        values.check_cookie_age,
        values.check_heartbeat,
        triggers.check_triggers,
        host.check_middleware,
        serving.check_asgi_application,
        serving.check_wrapping,
        serving.check_runserver,
        host.check_urls,
        host.check_authentication,
        host.check_router,
        host.check_sqlite,
        dashboard.check_apps,
        dashboard.check_columns,
        dashboard.check_navigation,
        moved.check_old_settings,
        moved.check_old_middleware,
        deploy.check_callback_network,
        deploy.check_openings,
    ):
        checks.register(check, "livereferrals")
    checks.register(deploy.check_deployment, "livereferrals", deploy=True)

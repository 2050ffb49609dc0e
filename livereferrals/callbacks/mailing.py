"""Alerts by e-mail to `ALERT_EMAILS`; a mail server that fails is logged and harms nothing."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from django.core.mail import EmailMessage, get_connection
from django.utils.translation import gettext as _

from livereferrals import conf, routes

if TYPE_CHECKING:
    from livereferrals.callbacks.models import EndpointAlert

logger = logging.getLogger(__name__)

TIMEOUT_S: Final = 10
"""For a mail server, where the host has set none: Django itself would wait for ever."""


def send_alert(row: EndpointAlert) -> bool:
    """Send one alert, its subscription and partner loaded; return whether a mail went out. Blocks for seconds."""
    to = conf.callbacks.ALERT_EMAILS
    if not to:
        return False
    # A partner's name is a person's text: a line break in it would be a header of the mail.
    subject = f"{row.subscription}: {row.get_cause_display()}"
    try:
        connection = get_connection(timeout=conf.host("EMAIL_TIMEOUT") or TIMEOUT_S)
        EmailMessage(subject=" ".join(subject.split()), body=_body(row), to=list(to), connection=connection).send()
    except Exception:
        # The backend is the host's: whatever it raises, alerts must not end a worker.
        logger.exception("An alert could not be mailed.", extra={"action": "alert.mail_failed"})
        return False
    return True


def _body(row: EndpointAlert) -> str:
    lines = [
        _("Partner: %(partner)s") % {"partner": row.subscription.partner},
        _("Trigger: %(trigger)s") % {"trigger": row.subscription.trigger},
        _("What happened: %(cause)s") % {"cause": row.get_cause_display()},
    ]
    if row.text:
        lines.append(row.text)
    if row.delivery:
        lines.append(_("Delivery: %(delivery)s") % {"delivery": row.delivery})
    lines += ["", _address(row)]
    return "\n".join(lines).rstrip() + "\n"


def _address(row: EndpointAlert) -> str:
    """Return where to look, as far as the host has told its address and has the admin."""
    path = routes.path_of("admin:livereferrals_subscription_change", row.subscription_id)
    if path is None:
        return ""
    base = conf.settings.BASE_URL
    return f"{base.rstrip('/')}{path}" if base else path

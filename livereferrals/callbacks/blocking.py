"""What staff are told when the address guard refuses a call: of which subscription, and who entered its address."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.utils.translation import gettext as _

from livereferrals.callbacks.models import Subscription

if TYPE_CHECKING:
    from livereferrals.callbacks.notices import Notice

logger = logging.getLogger(__name__)


def told(notice: Notice) -> str:
    """Return the words for the alert, and write them to the process' log: a refusal may be an attack from inside.

    Two queries at most.
    """
    subscription = notice.delivery.subscription_id
    editor = last_editor(subscription)
    logger.warning(
        "A callback of subscription %s was refused by the address guard; its address was last edited by %s.",
        subscription,
        editor or "nobody known",
        extra={
            "action": "callback.blocked",
            "subscription": subscription,
            "delivery": notice.delivery.pk,
            "editor": editor,
        },
    )
    error = notice.attempt.error
    return error if not editor else f"{error}\n" + _("Last edited by: %(editor)s") % {"editor": editor}


def last_editor(subscription: int) -> str:
    """Return the name of the user who last saved the subscription's form; empty where Django's admin log has none.

    Entries in words are acts such as pausing; those of a form are a list in JSON, empty when nothing was changed.
    """
    if not apps.is_installed("django.contrib.admin"):
        return ""
    entries = apps.get_model("admin", "LogEntry").objects.filter(
        content_type=ContentType.objects.get_for_model(Subscription),
        object_id=str(subscription),
        change_message__startswith="[{",
    )
    newest = entries.select_related("user").order_by("-action_time", "-pk").first()
    return newest.user.get_username() if newest is not None else ""

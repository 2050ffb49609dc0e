"""Whether a visitor may be known again: the host's hook, and what the browser asks for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from asgiref.sync import async_to_sync, iscoroutinefunction

from livereferrals import conf

if TYPE_CHECKING:
    from django.http import HttpRequest

logger = logging.getLogger(__name__)


def answer(request: HttpRequest) -> bool | None:
    """Return whether the request's visitor may be known again; nothing where it has not been asked yet (V-19).

    Without a hook and without a browser's objection it is a yes.

    A hook that raises, or cannot be imported, counts as a no and is logged (V-15). An async one is waited for, so this
    may not be called on an event loop.
    """
    if conf.settings.RESPECT_GPC and request.headers.get("Sec-GPC") == "1":
        return False
    try:
        hook = conf.settings.CONSENT
        if hook is None:
            return True
        said = async_to_sync(hook)(request) if iscoroutinefunction(hook) else hook(request)
        return None if said is None else bool(said)
    except Exception:
        # The host's own code: whatever is wrong with it, the visitor shall get where the link leads.
        logger.exception("CONSENT failed, which counts as a no.", extra={"action": "consent.failed"})
        return False

"""What stands between a signal and a trigger's receiver: the host is shielded from its errors (S-26)."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.db import router, transaction

from livereferrals import conf
from livereferrals.tracking.lost_transactions import is_lost
from livereferrals.tracking.models import Confirmation
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import firings, receivers
from livereferrals.triggers.confirming import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from livereferrals.triggers.declaration import Trigger

logger = logging.getLogger(__name__)

OWN: Final = (receivers.object_created, receivers.object_saved, receivers.signal_sent)
FAILED: Final = Result(reason=Reason.ERROR)
"""What a receiver that raised has decided."""


def dispatcher(trigger: Trigger, receiver: Callable[..., Any]) -> Callable[..., Any]:
    """Return what is connected to the signal: it calls the receiver with the trigger, and keeps its errors in.

    A coroutine function for a receiver that is one, so that both `send` and `asend` treat it as such (S-22).
    """
    if iscoroutinefunction(receiver):
        return _async_dispatcher(trigger, receiver)

    def fire(sender: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        alias = router.db_for_write(Confirmation)
        was_lost = is_lost(alias)
        try:
            with _shield(trigger, receiver):
                return receiver(sender, **_arguments(trigger, kwargs))
        except Exception:  # the boundary: the host's save() goes on, whatever a receiver does
            firings.failed(trigger, receiver, reason=FAILED.reason, began=began)
            # What the host has saved is gone too, and nobody else would tell it.
            if conf.settings.TRIGGER_ERRORS == "raise" or (is_lost(alias) and not was_lost):
                raise
            logger.exception(*_failure(trigger), extra=_facts(trigger))
            return FAILED

    return fire


def _async_dispatcher(trigger: Trigger, receiver: Callable[..., Any]) -> Callable[..., Any]:
    async def fire(sender: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        alias = router.db_for_write(Confirmation)
        was_lost = False
        try:
            # Sent by `send`, its queries are made in the sender's thread, and transaction.
            was_lost = await sync_to_async(is_lost)(alias)
            return await receiver(sender, **_arguments(trigger, kwargs))
        except Exception:  # the boundary, as above; a savepoint cannot be held across an await
            firings.failed(trigger, receiver, reason=FAILED.reason, began=began)
            if conf.settings.TRIGGER_ERRORS == "raise" or (await sync_to_async(is_lost)(alias) and not was_lost):
                raise
            logger.exception(*_failure(trigger), extra=_facts(trigger))
            return FAILED

    return fire


def _failure(trigger: Trigger) -> tuple[str, str]:
    return "Trigger %s failed; its sender goes on.", trigger.name


def _facts(trigger: Trigger) -> dict[str, str]:
    return {"action": "trigger.failed", "trigger": trigger.name}


def _shield(trigger: Trigger, receiver: Callable[..., Any]) -> contextlib.AbstractContextManager[Any]:
    """Return a savepoint in the host's transaction, where code of the host is going to run inside it.

    Without a transaction there is nothing to harm. Our own receivers shield their writes themselves, so that a signal
    that confirms nothing costs no query.
    """
    alias = router.db_for_write(Confirmation)
    is_own = any(receiver is each for each in OWN)
    if not transaction.get_connection(alias).in_atomic_block or (is_own and not trigger.runs_host_code()):
        return contextlib.nullcontext()
    return transaction.atomic(using=alias)


def _arguments(trigger: Trigger, kwargs: dict[str, Any]) -> dict[str, Any]:
    return {**kwargs, "trigger": trigger, "affiliate_trigger_name": trigger.name}

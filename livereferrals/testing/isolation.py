"""Keeping still what would run by itself: threads with connections of their own see nothing of a test's transaction."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from django.db import router
from django.test import TestCase
from django.test.utils import override_settings

from livereferrals import conf, housekeeping
from livereferrals.callbacks import embedded
from livereferrals.events.models import Event
from livereferrals.events.publisher import publish_now, publisher
from livereferrals.housekeeping import reporting
from livereferrals.triggers.firings import recorder

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def isolated() -> Iterator[None]:
    """Have nothing of livereferrals run by itself while the block runs.

    No worker, no housekeeping, no report of the process; events are numbered in the thread that commits, and what
    triggers decided stays in memory, where `assert_confirmed` looks for the reason of a "no".
    """
    embedded.stop()
    housekeeping.stop_embedded()
    reporting.stop_in_server()
    was_inline, was_paused = publisher.inline, recorder.paused
    publisher.inline = recorder.paused = True
    recorder.forget()
    try:
        with overridden_callbacks(WORKER="off"):
            yield
    finally:
        recorder.forget()
        publisher.inline, recorder.paused = was_inline, was_paused


@contextlib.contextmanager
def after_commit() -> Iterator[None]:
    """Play, at the end of the block, what would follow the commit of what the block did.

    A `TestCase`, or a test with pytest-django's `db`, is rolled back, so that its on-commit functions never run: neither
    the host's receivers of our signals nor the numbering, without which no event is seen by dashboard and feed. Outside
    of a transaction they have run already, and nothing is done twice.
    """
    with TestCase.captureOnCommitCallbacks(using=router.db_for_write(Event), execute=True):
        yield
    publish_now()


def overridden_callbacks(**values: Any) -> override_settings:
    """Return a context in which these keys of `LIVEREFERRALS["CALLBACKS"]` have these values, and all else its own."""
    own = dict(conf.settings.raw())
    return override_settings(LIVEREFERRALS=own | {"CALLBACKS": {**own.get("CALLBACKS", {}), **values}})

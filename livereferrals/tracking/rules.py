"""A host's own rule of attribution: a function that gets the eligible hits and names the one that is credited (A-07)."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from django.db import router, transaction
from django.utils.module_loading import import_string

from livereferrals.tracking.attribution import FIRST_CLICK, LAST_CLICK
from livereferrals.tracking.models import ReferralHit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

logger = logging.getLogger(__name__)

BUILT_IN: Final = (LAST_CLICK, FIRST_CLICK)
MOST: Final = 1000
"""Hits that a rule gets: the newest of the eligible ones."""


class RuleFailed(Exception):  # noqa: N818 - says what happened
    """The host's rule has no usable answer."""


def is_path(rule: object) -> bool:
    """Whether this is the dotted path of a rule of the host's own."""
    return isinstance(rule, str) and "." in rule


def load(path: str) -> Callable[..., Any]:
    """Return the host's rule.

    Raises:
        ImportError: there is nothing at that path.
        ValueError: it cannot be called.
    """
    found: Any = import_string(path)
    if not callable(found):
        raise ValueError(f"{path!r} cannot be called")  # noqa: TRY004 - one class for every mistake in a value
    rule: Callable[..., Any] = found
    return rule


def ask(path: str, hits: Sequence[ReferralHit]) -> ReferralHit | None:
    """Return the hit that the rule names, or none; what goes wrong is logged, once for each time.

    The rule runs in a savepoint of the host's transaction, so that a query of its own that fails breaks nothing.

    Raises:
        RuleFailed: it raised, or named something else than one of these hits.
    """
    try:
        with _savepoint():
            answer = load(path)(list(hits))
    except Exception as error:  # the boundary: the host's own code, which may fail in any way
        logger.exception("The attribution rule %s failed; the last click is credited.", path, extra=_facts(path))
        raise RuleFailed(path) from error
    named = next((hit for hit in hits if isinstance(answer, ReferralHit) and hit.pk == answer.pk), None)
    if answer is not None and named is None:
        logger.error(
            "The attribution rule %s returned %s, none of its hits; the last click is credited.",
            path,
            type(answer).__name__,
            extra=_facts(path),
        )
        raise RuleFailed(path)
    return named


def _facts(path: str) -> dict[str, str]:
    return {"action": "attribution.rule-failed", "rule": path}


def _savepoint() -> contextlib.AbstractContextManager[Any]:
    alias = router.db_for_write(ReferralHit)
    in_transaction = transaction.get_connection(alias).in_atomic_block
    return transaction.atomic(using=alias) if in_transaction else contextlib.nullcontext()

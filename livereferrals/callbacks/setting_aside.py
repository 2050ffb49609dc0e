"""One bad row must not lose a batch: results that cannot be written together are written one by one."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from django.db import InterfaceError, InternalError, OperationalError

from livereferrals.callbacks import turns

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from livereferrals.callbacks.settling import Result
    from livereferrals.callbacks.turns import Turn

logger = logging.getLogger(__name__)


def is_about_data(error: BaseException) -> bool:
    """Whether what is written is the trouble, as opposed to a database that is away, busy or read-only."""
    return not isinstance(error, (OperationalError, InterfaceError, InternalError))


def settle_one_by_one(results: Iterable[Result], *, in_flight: Mapping[int, int]) -> list[Turn]:
    """Write each result in a transaction of its own; a bad one without its excerpts, else it is set aside.

    Returns a turn for each; an empty one for what was set aside. What is set aside stays `sending`, and is taken back as lost when the endpoint is leased anew.
    """
    done = []
    for result in results:
        turn = turns.Turn()
        for attempt in (result, _bare(result)):
            wish = turns.Wish(tokens={result.job.endpoint: result.job.token}, results=[attempt], in_flight=in_flight)
            try:
                turn = turns.turn(wish)
                break
            except Exception as error:
                if not is_about_data(error):
                    raise
                logger.exception(
                    "The result of delivery %s cannot be written.",
                    result.job.delivery,
                    extra={"action": "result.refused"},
                )
        done.append(turn)
    return done


def _bare(result: Result) -> Result:
    reply = replace(result.reply, error="", headers=[], excerpt="")
    return replace(result, reply=reply, url="", headers={}, body="")

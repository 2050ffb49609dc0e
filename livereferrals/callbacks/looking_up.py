"""Where a callback URL's host name leads at this moment, for the form in which it was typed (callbacks, section 7).

A warning and never an error: the name may not exist yet, and what counts is where it leads when it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
from asgiref.sync import async_to_sync
from django.utils.translation import gettext as _

from livereferrals.callbacks import checking, guard
from livereferrals.callbacks.connector import Flight, GuardedResolver, NoAnswer
from livereferrals.exceptions import AddressRefused, InvalidCallBackURL, Unrenderable

if TYPE_CHECKING:
    from aiohttp.abc import AbstractResolver


def warning_about(url: str, *, plain_http: bool, resolver: AbstractResolver | None = None) -> str:
    """Return what is to be said of a name that leads where nobody may call; empty if it is fine or not known yet.

    Asks DNS for up to 3 s, outside of any transaction of ours. Literal addresses have been judged when the form was.
    """
    rules = checking.rules()
    try:
        origin = checking.target(url, plain_http=plain_http, rules=rules).origin
    except (InvalidCallBackURL, Unrenderable):
        return ""  # which the form says
    if origin.address is not None:
        return ""
    flight = Flight(origin=origin, rules=rules)
    if not async_to_sync(_is_refused)(flight, resolver):
        return ""
    return _(
        "The host %(host)s cannot be called at present (%(cause)s). Calls will fail until its name leads elsewhere."
    ) % {
        "host": origin.host,
        "cause": _(guard.REFUSED_ADDRESS),
    }


async def _is_refused(flight: Flight, resolver: AbstractResolver | None) -> bool:
    guarded = GuardedResolver(resolver or aiohttp.AsyncResolver())
    try:
        await guarded.judge_ahead(flight)
    except AddressRefused:
        return True
    except NoAnswer:
        return False
    finally:
        await guarded.close()
    return False

"""Whether there is a site that knows the links, before visitors are sent to it."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

import aiohttp
from django.core.management.base import CommandError

if TYPE_CHECKING:
    from yarl import URL

TIMEOUT_S: Final = 30


async def probe(link: URL) -> None:
    """Ask for the headers of a link, which makes no hit (L-30).

    Raises:
        CommandError: nothing answers, or not with a redirect.
    """
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session,
            session.head(link, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CommandError(f"Nothing answers at {link.origin()}: {error}. Is the site running?") from error
    if status != HTTPStatus.FOUND:
        raise CommandError(f"{link} answers with {status} and not with a redirect: it is no link of this site.")

"""A process that works with links in memory and hits in groups, as a server does.

python -m tests.tracking.group_process links <seconds that a link is believed>   an identifier on each line, and out comes
                                                        whether it counts
python -m tests.tracking.group_process hits <identifier> <number>    a hit, one more, another of a forked child, and so many
                                                        that are not waited for
"""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import django
from django.db import connections
from django.utils import timezone

from tests.waiting import wait_until


async def links(believed_s: str) -> None:
    """Say of each line's link whether it counts."""
    from livereferrals.tracking import link_cache

    link_cache.FRESH_S = float(believed_s)  # type: ignore[misc] # so long that nothing but a hint can tell
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        link = await link_cache.get_links().afind(line.strip())
        counts = link is not None and link.refusal(timezone.now()) is None
        sys.stdout.write(f"{counts}\n")
        sys.stdout.flush()


async def one(identifier: str) -> None:
    """Record one hit."""
    from livereferrals.tracking.group_commit import get_group

    await get_group().record(await draft(identifier))


async def leave(identifier: str, number: int) -> None:
    """Record hits, and wait for none of them."""
    from livereferrals.tracking.group_commit import get_group

    drafts = [await draft(identifier) for _ in range(number)]
    tasks = [asyncio.create_task(get_group().record(each)) for each in drafts]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()


async def draft(identifier: str) -> Any:
    from livereferrals.tracking.drafts import HitDraft
    from livereferrals.tracking.link_cache import get_links

    link = await get_links().afind(identifier)
    assert link is not None
    return HitDraft(link=link, now=timezone.now())


def hits(identifier: str, number: str) -> None:
    """Record a hit, one more here and in a child that has not its parent's threads, and then some that nobody waits for."""
    asyncio.run(one(identifier))
    wait_for_publisher()
    child = os.fork()
    asyncio.run(one(identifier))
    if not child:
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    asyncio.run(leave(identifier, int(number)))


def wait_for_publisher() -> None:
    """Return when no thread works in SQLite: who is forked then finds its locks taken, and waits for ever."""
    from livereferrals.events.models import Event
    from livereferrals.events.publisher import publisher

    wait_until(lambda: not Event.objects.filter(seq__isnull=True).exists(), what="A number")
    wait_until(lambda: publisher.is_quiet, what="A publisher that has done its work")
    connections.close_all()


def main(act: str, *arguments: str) -> None:
    django.setup()
    if act == "links":
        asyncio.run(links(*arguments))
    else:
        hits(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])

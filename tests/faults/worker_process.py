"""Workers in processes of their own that end with `kill -9` at a given point: `python -m ... <point>[:<n>] [<point> ...]`.

Without arguments it reads one point from each line of its input: it forks a worker for each, which ends at that point,
and writes its number, and `<point> <code>` when it has; Django is imported once for all of them. `never` is the point of a worker that
works until somebody else ends it; `:<n>` means the n-th time that the point is reached, `@<id>` for this delivery only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

import django

if TYPE_CHECKING:
    import uuid


def run_worker(place: str) -> None:
    """Work until the point is reached."""
    from livereferrals.callbacks import faults
    from livereferrals.callbacks.worker import Worker

    place, _, delivery = place.partition("@")
    point, _, number = place.partition(":")
    left = int(number or 1)

    def die_there(reached: faults.Point, about: uuid.UUID | None) -> None:
        nonlocal left
        left -= reached == point and delivery in ("", str(about))
        if not left:
            # As the kernel does it: nothing gets to clean up.
            os.kill(os.getpid(), signal.SIGKILL)

    with faults.injected(die_there):
        asyncio.run(Worker().run())


def run_forked(place: str) -> int:
    """Run a worker in a child; return its exit code, negative for a signal."""
    child = os.fork()
    if not child:
        run_worker(place)
        os._exit(0)
    sys.stdout.write(f"{child}\n")
    sys.stdout.flush()
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def main(places: list[str]) -> None:
    django.setup()
    if places:
        for place in places:
            run_worker(place)
        return
    for line in sys.stdin:
        place = line.strip()
        sys.stdout.write(f"{place} {run_forked(place)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])

"""A host process that confirms: `python -m ... <hit> <reference> <manner>`.

Manners: `wait` for a line on stdin, then confirm and print whether it was the first; `die` between the commit and the
hooks that run after it.
"""

from __future__ import annotations

import os
import signal
import sys

import django


def main(hit_id: str, reference: str, manner: str) -> None:
    django.setup()
    from django.db import transaction

    from livereferrals import api
    from livereferrals.tracking.models import ReferralHit

    hit = ReferralHit.objects.get(pk=hit_id)
    if manner == "wait":
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        sys.stdin.readline()
        result = api.confirm("Order paid", hit=hit, reference=reference)
        sys.stdout.write(f"{result.created}\n")
        return
    with transaction.atomic():
        # Registered first, so that it runs before any hook of ours.
        transaction.on_commit(lambda: os.kill(os.getpid(), signal.SIGKILL))
        api.confirm("Order paid", hit=hit, reference=reference)


if __name__ == "__main__":
    main(*sys.argv[1:4])

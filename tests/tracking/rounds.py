"""A process that takes part in a race: one line in for each turn, one line out when it is done.

python -m tests.tracking.rounds claim <user's id>        <visitor's id> on each line
python -m tests.tracking.rounds hit <link's identifier>  <visitor's id, or -> on each line
"""

from __future__ import annotations

import sys
import uuid

import django
from django.utils import timezone


def claim(line: str, *, whose: str) -> str:
    """Claim the visitor for the user; say whether this process did it."""
    from django.contrib.auth.models import User

    from livereferrals.tracking import claiming
    from livereferrals.tracking.models import Visitor

    user = User.objects.get(pk=whose)
    return str(claiming.claim(Visitor.objects.get(pk=line), user=user, now=timezone.now()))


def hit(line: str, *, whose: str) -> str:
    """Record a hit on the link; say whose it is."""
    from livereferrals.tracking import recording
    from livereferrals.tracking.links import find_link

    now = timezone.now()
    link = find_link(whose, now=now).counted
    assert link is not None
    made = recording.record_hit(link, visitor=None if line == "-" else uuid.UUID(line), now=now)
    return str(made.visitor_id)


def main() -> None:
    """Take turns until the input ends."""
    act, whose = {"claim": claim, "hit": hit}[sys.argv[1]], sys.argv[2]
    for line in sys.stdin:
        sys.stdout.write(f"{act(line.strip(), whose=whose)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    django.setup()
    main()

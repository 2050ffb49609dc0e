"""The command lines that read the feed with a new token, shown once beside it."""

from __future__ import annotations

import shlex

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables


@sensitive_variables("text", "bearer", "reading", "keeping")
def commands(feed: str, text: str) -> tuple[tuple[str, str], ...]:
    """Return what each of two command lines does, and the line; `feed` is the feed's whole address with its slash."""
    bearer = shlex.quote(f"Authorization: Bearer {text}")
    reading = f"curl -N -H {bearer} {shlex.quote(feed + 'sse?cursor=oldest')}"
    place = shlex.quote(feed.rstrip("/"))
    keeping = f"LIVEREFERRALS_FEED_TOKEN={text} python -m livereferrals.client {place} --start oldest"
    return (
        (_("All events so far, and then each as it happens"), reading),
        (_("The same with our client, which comes back after any break without missing one"), keeping),
    )

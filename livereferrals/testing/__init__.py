"""What a host project needs to test its referrals: people who follow links, partners, assertions, a partner's server.

With pytest, say once in `conftest.py` that the fixtures are wanted:

    pytest_plugins = ["livereferrals.testing.fixtures"]

They keep everything that would run by itself (worker, housekeeping, numbering thread) from doing so in all tests. With
`unittest`, enter `isolated()` in `setUp`, and use the functions here.
"""

from __future__ import annotations

from livereferrals.testing.asserting import assert_confirmed, assert_not_confirmed
from livereferrals.testing.delivering import deliver_callbacks
from livereferrals.testing.following import BROWSER, Followed, afollow, follow
from livereferrals.testing.isolation import after_commit, isolated
from livereferrals.testing.making import make_partner
from livereferrals.testing.receiving import CallbackReceiver, ReceivedCall
from livereferrals.testing.watching import feed_events

__all__ = [
    "BROWSER",
    "CallbackReceiver",
    "Followed",
    "ReceivedCall",
    "afollow",
    "after_commit",
    "assert_confirmed",
    "assert_not_confirmed",
    "deliver_callbacks",
    "feed_events",
    "follow",
    "isolated",
    "make_partner",
]

"""An import beside a site that goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from livereferrals import api
from livereferrals.dashboard import rebuilding
from livereferrals.dashboard.models import DailyTotal
from livereferrals.tracking.models import Origin, ReferralHit
from tests.factories import make_link
from tests.importing.commands import import_hype
from tests.importing.old_tables import HYPE, add_all, create, hype_hit_values, hype_link

if TYPE_CHECKING:
    from collections.abc import Iterator

COUNT = 2500


@pytest.fixture
def hype(transactional_db: None) -> Iterator[None]:
    """The old tables, committed, and dropped by hand: they are not among those that a test's end empties."""
    create(HYPE)
    yield
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE hype_referralhit")
        cursor.execute("DROP TABLE hype_referrallink")


def test_hits_are_recorded_while_rows_are_imported(hype: None) -> None:
    """I-06: no hit is refused, and the totals have all of both"""
    old = hype_link()
    add_all("hype_referralhit", [hype_hit_values(old) for _ in range(COUNT)])
    link = make_link()

    def run() -> None:
        try:
            import_hype("--quiet")
        finally:
            connection.close()

    recorded = 0
    with ThreadPoolExecutor(1) as pool:
        importing = pool.submit(run)
        while not importing.done() or not recorded:
            api.record_hit(link)
            recorded += 1
            wait([importing], timeout=0.02)
        importing.result()
    assert ReferralHit.objects.filter(origin=Origin.IMPORT).count() == COUNT
    assert ReferralHit.objects.filter(link=link).count() == recorded
    assert rebuilding.check() == []
    assert sum(DailyTotal.objects.values_list("hits", flat=True)) == COUNT + recorded

"""A server that is killed in the middle of its hits: whoever was answered has one."""

from __future__ import annotations

import contextlib
import http.client
import threading
import time
from typing import TYPE_CHECKING

import pytest
from django.db import connection, transaction

from livereferrals.events.models import Event
from livereferrals.tracking import visitors
from livereferrals.tracking.models import ReferralHit, Visitor
from tests.factories import make_link
from tests.servers import HOST, host_server
from tests.tracking.browsers import COOKIE
from tests.waiting import wait_until

if TYPE_CHECKING:
    import uuid
    from collections.abc import Iterator

    from tests.servers import HostServer, ServerKind

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.publisher_thread]
KINDS: tuple[ServerKind, ...] = ("daphne", "uvicorn")
CLIENTS = 12
ANSWERS = 300
ANSWERED_WITHIN_S = 0.3


class Clients:
    """Browsers that follow a link as fast as they are answered, each time without a cookie."""

    def __init__(self, server: HostServer) -> None:
        self.answered: list[uuid.UUID] = []
        """The visitors in the cookies of the answers that were read."""
        self._server = server
        self._threads = [threading.Thread(target=self._follow, daemon=True) for _ in range(CLIENTS)]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Return when every client has noticed that the server is gone."""
        for thread in self._threads:
            thread.join()

    def _follow(self) -> None:
        conversation = http.client.HTTPConnection(HOST, self._server.port, timeout=30)
        # Reset, closed in the middle of an answer, or before it: what was not read to its end does not count.
        with contextlib.suppress(OSError, http.client.HTTPException):
            while True:
                conversation.request("GET", "/ref/abc123?next=/x", headers={"User-Agent": "Mozilla/5.0"})
                response = conversation.getresponse()
                cookie = response.getheader("Set-Cookie") or ""
                response.read()
                assert response.status == http.HTTPStatus.FOUND
                carried = visitors.read_cookie(cookie.partition(";")[0].removeprefix(f"{COOKIE}="))
                assert carried is not None
                self.answered.append(carried.id)


@contextlib.contextmanager
def no_commits() -> Iterator[None]:
    """Hold up every transaction with a hit."""
    with transaction.atomic():
        # On SQLite the transaction has the write lock by itself.
        if connection.vendor == "postgresql":
            connection.cursor().execute(f"LOCK TABLE {Visitor._meta.db_table} IN EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("kind", KINDS)
def test_kill_under_load_loses_no_hit_that_was_answered(kind: ServerKind) -> None:
    """L-10, L-11: hits that share a commit are answered after it; nothing is there by halves"""
    make_link(identifier="abc123")
    with host_server(kind) as server:
        clients = Clients(server)
        clients.start()
        wait_until(lambda: len(clients.answered) >= ANSWERS, timeout_s=60)
        with no_commits():
            # Whoever is answered now was answered before the commit.
            time.sleep(ANSWERED_WITHIN_S)
            server.kill9()
        clients.wait()
    assert set(clients.answered) <= set(ReferralHit.objects.values_list("visitor", flat=True))
    assert len(clients.answered) == len(set(clients.answered)) >= ANSWERS
    # What was written and not answered is whole, too; PostgreSQL ends what a client that has died had begun.
    wait_until(is_whole)


def is_whole() -> bool:
    """Whether each hit has a visitor of its own and its event, and there is nothing else."""
    hits = dict(ReferralHit.objects.values_list("pk", "visitor"))
    told = Event.objects.values_list("data__hit", flat=True)
    return set(hits.values()) == set(Visitor.objects.values_list("pk", flat=True)) and sorted(told) == sorted(
        map(str, hits)
    )

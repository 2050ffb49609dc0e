"""The test ground itself: its servers run and its factories leave valid rows."""

from __future__ import annotations

import urllib.request

import pytest

from tests import factories
from tests.servers import Answer, PartnerSink, daphne_server, uvicorn_server


@pytest.mark.parametrize("run", [daphne_server, uvicorn_server], ids=["daphne", "uvicorn"])
@pytest.mark.django_db(transaction=True)
def test_server_answers_and_comes_back_after_a_kill(run) -> None:
    with run() as server:
        server.kill9()
        server.start()
        with urllib.request.urlopen(server.url("/")) as answer:  # noqa: S310 - our own server
            assert b"Shop" in answer.read()


def test_sink_records_and_answers_as_told(sink: PartnerSink) -> None:
    sink.answer_with(Answer(body=b"hello"))
    with urllib.request.urlopen(sink.url("/a?x=1&y="), data=b"body") as answer:  # noqa: S310 - our own server
        assert answer.read() == b"hello"
    (call,) = sink.wait_for(1)
    assert (call.method, call.path, call.query, call.body) == ("POST", "/a", {"x": ["1"], "y": [""]}, b"body")


@pytest.mark.django_db
def test_factories_leave_valid_rows() -> None:
    rows = [
        factories.make_user(),
        factories.make_partner(),
        factories.make_link(),
        factories.make_visitor(),
        factories.make_hit(user=factories.make_user()),
        factories.make_confirmation(amount="3.50"),
        factories.make_delivery(),
        factories.make_order(),
    ]
    for row in rows:
        row.refresh_from_db()
        row.validate_constraints()
    assert factories.make_event().seq is not None

"""What proves something here proves nothing there: signed values, and data that is never run."""

from __future__ import annotations

import ast
import hmac
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.signing import Signer
from django.test import Client, override_settings

from livereferrals import api, ids
from livereferrals.exceptions import FeedError
from livereferrals.front.cookies import Seal
from livereferrals.streaming import tokens
from livereferrals.tracking import visitors
from livereferrals.tracking.models import Confirmation
from livereferrals.tracking.referral import visitor_from_token
from tests.factories import make_hit, make_partner, make_visitor

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parent.parent.parent
RUNNING = {"eval", "exec", "compile", "__import__"}
UNPACKING = {"pickle", "marshal", "shelve", "dill", "yaml", "xml"}


@pytest.mark.django_db
def test_cookie_and_token_of_a_visitor_are_no_use_in_each_others_place() -> None:
    """V-03, N-01: who reads a cookie has no token to confirm with, and the other way round"""
    visitor = make_visitor()
    cookie, token = Seal().sealed(visitor.pk).decode(), visitors.token(visitor.pk)
    assert visitor_from_token(token) == visitor
    assert visitor_from_token(cookie) is None
    assert visitors.read_cookie(cookie) is not None
    assert visitors.read_cookie(token) is None


@pytest.mark.django_db
def test_what_another_part_or_another_site_has_signed_proves_nothing() -> None:
    """V-03: nor an id, nor one with a signature that is cut, doubled or of another key"""
    visitor = make_visitor()
    with override_settings(SECRET_KEY="another site's, of which somebody has the key"):
        foreign = visitors.token(visitor.pk)
    good = visitors.token(visitor.pk)
    for text in (
        str(visitor.pk),
        visitor.pk.hex,
        foreign,
        Signer().sign(visitor.pk.hex),
        good[:-1],
        good + ":x",
        good.upper(),
    ):
        assert visitor_from_token(text) is None, text


@pytest.mark.django_db
@pytest.mark.parametrize("method", ["get", "post", "put"])
def test_no_address_confirms_anything(method: str) -> None:
    """N-01, X-23: a confirmation is made by the host's own code, and by no request to us"""
    hit = make_hit()
    client = Client(enforce_csrf_checks=False)
    said = {"trigger": "Order paid", "visitor": str(hit.visitor_id), "reference": "1", "amount": "9"}
    for path in ("/ref/confirm", "/referrals/confirmations/", "/referrals/triggers/try/", "/referrals/feed/v1/ticket"):
        getattr(client, method)(path, said)
    assert not Confirmation.objects.exists()


@pytest.mark.django_db
def test_id_that_partners_are_told_confirms_nothing() -> None:
    """N-01, V-03: `confirm` takes a visitor's row or its signed token, and no id that stands in a feed"""
    visitor = make_hit().visitor
    assert visitor is not None
    with pytest.raises(TypeError, match="visitor"):
        api.confirm("Order paid", visitor=visitor.pk)  # type: ignore[arg-type] # as somebody might


@pytest.mark.django_db
def test_secrets_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-6, V-03: hashes of one length, and of no token at all where there is none of that id; cookies too"""
    compared: list[tuple[int, int]] = []

    def compare(one: bytes | str, other: bytes | str) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    row, _ = tokens.issue(name="x", partner=make_partner())
    seal = Seal()
    cookie = seal.sealed(make_visitor().pk).decode()
    monkeypatch.setattr(hmac, "compare_digest", compare)
    for pk in (row.pk, "nobody"):
        with pytest.raises(FeedError):
            tokens.verify(f"lrf_{pk}_{'a' * 40}")
    assert seal.opened(cookie[:-1] + ("A" if cookie[-1] != "A" else "B")) is None
    assert len(compared) == 3
    assert all(one == other for one, other in compared)


@pytest.mark.once
@pytest.mark.parametrize(
    "draw", [ids.random_identifier, ids.random_uid, ids.random_key], ids=lambda draw: draw.__name__
)
def test_identifiers_cannot_be_guessed(draw: Callable[[], str]) -> None:
    """L-07, X-58: from a cryptographic source, which no seed and no clock decides, and from all of their characters"""
    rounds = []
    for _ in range(2):
        random.seed(7)
        rounds.append([draw() for _ in range(500)])
    assert len({*rounds[0], *rounds[1]}) == 1000
    letters = set("".join(rounds[0]))
    assert all(len({text[place] for text in rounds[0]}) >= 10 for place in range(8))
    assert len(letters) >= 16


@pytest.mark.once
def test_no_data_is_unpacked_into_code() -> None:
    """O-12: no pickle comes out of the channel layer, the session or the database, and no text is run"""
    for path in (ROOT / "livereferrals").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
                assert UNPACKING.isdisjoint(name.partition(".")[0] for name in names), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in RUNNING, path

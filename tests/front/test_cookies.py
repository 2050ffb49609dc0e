"""The visitor's cookie is the one that Django writes, for every setting of it."""

from __future__ import annotations

import itertools
import time
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from livereferrals.front.cookies import CookieLine, Seal
from livereferrals.tracking import visitors
from livereferrals.tracking.models import Visitor

pytestmark = pytest.mark.once

CHOICES: dict[str, list[Any]] = {
    "COOKIE_NAME": ["livereferrals_visitor", "v"],
    "COOKIE_MAX_AGE": [1, 31_536_000],
    "COOKIE_DOMAIN": [None, ".shop.example"],
    "COOKIE_PATH": ["/", "/sub/"],
    "COOKIE_SAMESITE": ["Lax", "Strict", "None"],
    "COOKIE_HTTPONLY": [True, False],
    "COOKIE_SECURE": [None, True, False],
}
COMBINATIONS = [dict(zip(CHOICES, values, strict=True)) for values in itertools.product(*CHOICES.values())]


def by_django(visitor: Visitor, *, secure: bool) -> str:
    response = HttpResponse()
    visitors.carry(RequestFactory().get("/", secure=secure), response, visitor)
    (morsel,) = response.cookies.values()
    return str(morsel.output(header="").strip())


def by_us(visitor: Visitor, *, secure: bool) -> str:
    return CookieLine(secure=secure).written(visitor.pk).decode("ascii")


@pytest.mark.parametrize("secure", [False, True])
def test_line_is_djangos_for_every_combination_of_settings(secure: bool) -> None:
    """V-01, V-18, X-07"""
    visitor = Visitor()
    for own in COMBINATIONS:
        with override_settings(LIVEREFERRALS=own):
            # The second may change between the two lines, once.
            assert any(by_us(visitor, secure=secure) == by_django(visitor, secure=secure) for _ in range(2)), own


def test_time_at_which_the_cookie_ends_is_that_of_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """V-01: of each answer's own"""
    line, visitor = CookieLine(secure=True), Visitor()
    for now in (1_800_000_000.9, 1_800_000_001.0, 1_800_000_002.5):
        monkeypatch.setattr(time, "time", lambda now=now: now)
        assert line.written(visitor.pk).decode() == by_django(visitor, secure=True)


@given(
    visitor_id=st.uuids(), secret=st.one_of(st.text(st.characters(codec="utf-8"), min_size=1), st.binary(min_size=1))
)
def test_signature_is_the_one_that_is_read(visitor_id: Any, secret: Any) -> None:
    """V-03: for secrets of either type"""
    with override_settings(SECRET_KEY=secret):
        carried = visitors.read_cookie(Seal().sealed(visitor_id).decode())
    assert carried == visitors.Carried(id=visitor_id, claimed=False)


@given(text=st.one_of(st.text(max_size=90), st.from_regex(r"\A[0-9a-f]{32}[uc]:[A-Za-z0-9_-]{43}\Z")))
def test_what_is_not_ours_is_nobody(text: str) -> None:
    """V-03"""
    assert Seal().opened(text) is None
    assert visitors.read_cookie(text) is None


@pytest.mark.parametrize("claimed", [False, True])
def test_what_is_read_is_what_django_reads(claimed: bool) -> None:
    """V-03, V-12: signed by today's key or by an older one, altered or not"""
    response = HttpResponse()
    visitors.carry(RequestFactory().get("/"), response, Visitor(claimed_at=timezone.now() if claimed else None))
    (morsel,) = response.cookies.values()
    texts = [morsel.value, morsel.value[:-1], morsel.value.swapcase(), f"0{morsel.value[1:]}", f" {morsel.value}"]
    for secrets in ({}, {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": [settings.SECRET_KEY]}, {"SECRET_KEY": "new"}):
        with override_settings(**secrets):
            for text in texts:
                carried = visitors.read_cookie(text)
                assert Seal().opened(text) == (carried and carried.id)
            assert (Seal().opened(morsel.value) is None) is (secrets == {"SECRET_KEY": "new"})

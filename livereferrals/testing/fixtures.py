"""Fixtures for pytest with pytest-django: `pytest_plugins = ["livereferrals.testing.fixtures"]` in `conftest.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from livereferrals.testing.following import Followed, follow
from livereferrals.testing.isolation import isolated
from livereferrals.testing.making import make_partner
from livereferrals.testing.receiving import CallbackReceiver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from django.test import Client

    from livereferrals.tracking.models import Partner, ReferralLink

__all__ = ["callback_receiver", "follow_link", "referral_isolation", "referral_partner"]


@pytest.fixture(autouse=True)
def referral_isolation() -> Iterator[None]:
    """Keep still, in every test, what would run by itself."""
    with isolated():
        yield


@pytest.fixture
def referral_partner() -> Callable[..., Partner]:
    """Make a partner: `referral_partner("Acme", triggers=["Order paid"])`."""
    return make_partner


@pytest.fixture
def follow_link(client: Client) -> Callable[..., Followed]:
    """Follow a link with pytest-django's `client`: `follow_link(link, click_id="4711")`."""

    def act(link: ReferralLink | str, **query: str) -> Followed:
        return follow(client, link, **query)

    return act


@pytest.fixture
def callback_receiver() -> Iterator[CallbackReceiver]:
    """Give a partner's server that records its calls."""
    with CallbackReceiver() as receiver:
        yield receiver

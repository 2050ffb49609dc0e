"""`FEED_ACCESS`: the host's own say in what a feed token may read."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from livereferrals.exceptions import FeedError
from livereferrals.streaming import tokens
from tests.factories import make_partner

if TYPE_CHECKING:
    from livereferrals.streaming.models import FeedToken
    from livereferrals.streaming.tokens import Grant

pytestmark = pytest.mark.django_db


def without_amounts(token: FeedToken, grant: Grant) -> Grant:
    return dataclasses.replace(grant, scopes=grant.scopes - {"amounts"})


def nobody(token: FeedToken, grant: Grant) -> None:
    return None


def broken(token: FeedToken, grant: Grant) -> Grant:
    raise RuntimeError("the policy is broken")


def by_name(token: FeedToken, grant: Grant) -> Grant | None:
    return grant if token.name == "welcome" else None


def another_token(token: FeedToken, grant: Grant) -> Grant:
    return dataclasses.replace(grant, token="other")


def no_grant(token: FeedToken, grant: Grant) -> Any:
    return True


def use(settings: Any, policy: Any) -> None:
    settings.LIVEREFERRALS = {"FEED_ACCESS": f"{__name__}.{policy.__name__}"}


def test_policy_narrows_what_a_token_reads(settings: Any) -> None:
    """feed-17"""
    use(settings, without_amounts)
    _, text = tokens.issue(name="x", partner=make_partner())
    assert tokens.verify(text).scopes == {"hits", "claims", "confirmations", "deliveries"}


def test_policy_decides_by_the_row(settings: Any) -> None:
    """feed-17"""
    use(settings, by_name)
    _, welcome = tokens.issue(name="welcome", partner=make_partner())
    _, other = tokens.issue(name="other", partner=make_partner())
    assert tokens.verify(welcome).types
    with pytest.raises(FeedError) as refused:
        tokens.verify(other)
    assert refused.value.code == "forbidden"


@pytest.mark.parametrize(
    ("policy", "code"), [(without_amounts, "resync"), (nobody, "forbidden"), (broken, "unavailable")]
)
def test_policy_reaches_open_connections(settings: Any, policy: Any, code: str) -> None:
    """feed-8, feed-17: what it says later holds for connections that are open"""
    _, text = tokens.issue(name="x", partner=make_partner())
    grant = tokens.verify(text)
    use(settings, policy)
    assert tokens.recheck([grant])[grant].code == code


@pytest.mark.parametrize("policy", [broken, another_token, no_grant])
def test_broken_policy_lets_nobody_in(settings: Any, policy: Any, caplog: pytest.LogCaptureFixture) -> None:
    """feed-17: and says so in the log"""
    use(settings, policy)
    _, text = tokens.issue(name="x", partner=make_partner())
    with pytest.raises(FeedError) as refused:
        tokens.verify(text)
    assert refused.value.code == "unavailable"
    assert "FEED_ACCESS failed" in caplog.text
    assert text not in caplog.text

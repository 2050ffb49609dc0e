from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from livereferrals.tracking import screening

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "desktop"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 Version/17.5 Safari/605.1.15", "desktop"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", "desktop"),
        ("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/126.0", "desktop"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", "mobile"),
        ("Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/126.0 Mobile Safari/537.36", "mobile"),
        ("Mozilla/5.0 (Linux; Android 13; SM-X710) AppleWebKit/537.36 Chrome/126.0 Safari/537.36", "tablet"),
        ("Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148", "tablet"),
        ("curl/8.5.0", "other"),
        ("", "other"),
    ],
)
def test_device_is_what_the_agent_says(agent: str, device: str) -> None:
    """feed protocol, 5.4"""
    assert screening.device(agent) == device


@pytest.mark.parametrize(
    ("last", "repeat"),
    [(None, False), (NOW, True), (NOW - HOUR + timedelta(seconds=1), True), (NOW - HOUR, False), (NOW + HOUR, True)],
)
def test_repeat_is_inside_the_window(last: datetime | None, repeat: bool) -> None:
    """L-39"""
    assert screening.is_repeat(last, now=NOW, window=HOUR) is repeat


def test_self_referral_is_by_an_owner() -> None:
    """L-37, L-38"""
    assert screening.is_self_referral(1, owners=[None, 1])
    assert not screening.is_self_referral(2, owners=[None, 1])
    assert not screening.is_self_referral(None, owners=[None, None])

"""What the tests of callbacks share: loopback may be called."""

from __future__ import annotations

import pytest

from tests.callbacks.running import LOOPBACK


@pytest.fixture(autouse=True)
def _loopback(settings: pytest.FixtureRequest) -> None:
    """Allow the partner's server of the tests, and retry soon."""
    settings.LIVEREFERRALS = {  # type: ignore[attr-defined] # pytest-django's wrapper takes any name
        "CALLBACKS": {"WORKER": "off", "ALLOW": LOOPBACK, "RETRY_SCHEDULE": [0.2] * 11, "SHUTDOWN_GRACE": 5}
    }

"""The client needs aiohttp, and nothing of the server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
BLOCKED = """
import sys

class Away:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"django", "channels", "redis", "daphne", "asgiref"}:
            raise ModuleNotFoundError(f"{name} is not there", name=name)

sys.meta_path.insert(0, Away())
import livereferrals.client
import livereferrals.client.command
livereferrals.client.FeedClient("https://shop.example/referrals/feed/v1", "lrf_a_b")
assert "django" not in sys.modules
"""


def test_client_is_imported_where_django_is_not_even_installed() -> None:
    """feed-59: `pip install livereferrals[client]` brings Django, and the client never asks for it."""
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-W", "error", "-c", BLOCKED], cwd=ROOT, env={}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

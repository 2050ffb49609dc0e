"""The demo's settings for production, judged by Django's own checks for a deployment and by ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.once
ROOT = Path(__file__).resolve().parent.parent.parent
PRODUCTION = {
    "DJANGO_SETTINGS_MODULE": "project.production",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": "shop.example",
    "DATABASE_URL": "postgresql://shop:shop@127.0.0.1:1/shop",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}


def checked(place: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if name not in PRODUCTION and name != "DEBUG"}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=inherited | PRODUCTION | {"DEMO_DIR": str(place)} | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_production_settings_of_the_demo_have_nothing_to_be_said(tmp_path: Path) -> None:
    """O-08, O-09: with no service there"""
    done = checked(tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


def test_production_without_a_secret_of_its_own_does_not_start(tmp_path: Path) -> None:
    """O-08: nothing is made up where the public comes"""
    done = checked(tmp_path, SECRET_KEY="")
    assert done.returncode != 0
    assert "SECRET_KEY" in done.stderr

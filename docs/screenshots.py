"""Makes the README's pictures: the dashboard of a demo of its own, in the light and in the dark.

    .venv/bin/python docs/screenshots.py

Needs what `make test` installs: Playwright, and a Chromium, the system's (`CHROMIUM=/path`) or Playwright's own.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import sync_playwright

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1200, "height": 700}
PACE = 4.0
"""Visitors come this many times faster than people would, so that the picture is full within a minute."""
CONFIRMATIONS = 12
"""How many conversions must have happened before the picture is taken."""
PATIENCE_S = 240


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_calls(keys: dict[str, Any], page: Any) -> None:
    """Return when enough has happened for a lively picture."""
    deadline = time.monotonic() + PATIENCE_S
    while len(page.request.get(keys["receiver"]["log_url"]).json()) < CONFIRMATIONS:
        if time.monotonic() > deadline:
            raise SystemExit("Too little happened: is the demo's traffic on?")
        page.wait_for_timeout(500)


def take(browser: Browser, keys: dict[str, Any], scheme: Any) -> None:
    """Log in as staff and take one picture of the dashboard."""
    page = browser.new_page(viewport=SIZE, color_scheme=scheme)  # type: ignore[arg-type] # a TypedDict there
    page.goto(f"{keys['shop']['login_url']}?next=/referrals/")
    page.fill("input[name=username]", keys["staff"]["username"])
    page.fill("input[name=password]", keys["staff"]["password"])
    page.click("main button")
    page.wait_for_url(keys["dashboard_url"])
    wait_for_calls(keys, page)
    page.wait_for_timeout(2000)  # New rows have lost their tint by then.
    page.screenshot(path=IMAGES / f"dashboard-{scheme}.png")
    page.close()


def main() -> None:
    """Run a demo in a directory of its own, take the pictures, and end it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="livereferrals-screenshots-") as directory:
        options = {"DEMO_DIR": directory, "PORT": str(free_port()), "TRAFFIC": "on", "TRAFFIC_PACE": str(PACE)}
        demo = subprocess.Popen([sys.executable, "-m", "project.demo"], cwd=ROOT, env=os.environ | options)
        try:
            access = Path(directory) / "access.json"
            while not access.exists():
                if demo.poll() is not None:
                    raise SystemExit("The demo did not start.")
                time.sleep(0.2)
            keys = json.loads(access.read_text())
            with sync_playwright() as playwright:
                chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
                browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                for scheme in ("light", "dark"):
                    take(browser, keys, scheme)
                browser.close()
        finally:
            demo.terminate()
            demo.wait()


if __name__ == "__main__":
    main()

"""Makes pictures of a demo of its own, for README and guides, and for a person to look at.

    .venv/bin/python docs/screenshots.py                  the README's: the overview, in the light and in the dark
    .venv/bin/python docs/screenshots.py --guides         those of the guides: one visitor, and pages of the admin
    .venv/bin/python docs/screenshots.py --pages DIR      the README's, and every page: light and dark, desktop and phone

The pages are found as a visitor finds them, by following links from the overview. Needs what `make test` installs: Playwright, and a Chromium, the system's (`CHROMIUM=/path`) or Playwright's own.
"""

from __future__ import annotations

import argparse
import json
import os
import re
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
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SIZE = {"width": 1200, "height": 1000}
PACE = 4.0
"""Visitors come this many times faster than people would, so that the picture is full within a minute."""
CONFIRMATIONS = 12
"""How many conversions must have happened before the picture is taken."""
PATIENCE_S = 240
SCHEMES = ("light", "dark")
WINDOWS = {"desktop": {"width": 1280, "height": 800}, "phone": {"width": 390, "height": 844}}
SETTLED_MS = 1500
"""New rows have lost their tint by then."""
GUIDE_SIZE = {"width": 1000, "height": 640}
VISITOR = {"name": "bob", "password": "pekoe-and-milk-4711"}
WITHOUT_SIDEBAR = (
    """() => document.querySelectorAll("#nav-sidebar, #toggle-nav-sidebar").forEach((one) => one.remove())"""
)
BROUGHT = 2
"""What the visitor's sign-up and order confirm."""
LINKS = """() => Array.from(document.querySelectorAll("a[href]:not([download], [target])"), (link) => link.pathname)"""
LEFT_OUT = re.compile(r"\.\w+$|/logout/$|/feed/")
ONE_OF_MANY = re.compile(r".*[A-Z0-9].*")
"""A part of a path that names one of many: an id, a uid."""


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


def sign_in(browser: Browser, keys: dict[str, Any], **options: Any) -> Page:
    """Log in as staff; return the tab with the overview."""
    page = browser.new_page(**options)
    page.goto(f"{keys['shop']['login_url']}?next=/referrals/")
    page.fill("input[name=username]", keys["staff"]["username"])
    page.fill("input[name=password]", keys["staff"]["password"])
    page.click("main button")
    page.wait_for_url(keys["dashboard_url"])
    return page


def take(browser: Browser, keys: dict[str, Any], scheme: str) -> None:
    """Take the README's picture of the overview."""
    page = sign_in(browser, keys, viewport=SIZE, color_scheme=scheme)
    wait_for_calls(keys, page)
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=IMAGES / f"dashboard-{scheme}.png")
    page.close()


def take_guides(browser: Browser, keys: dict[str, Any]) -> None:
    """Take the guides' pictures: somebody follows a link, signs up and buys; then what staff see of it."""
    page = sign_in(browser, keys, viewport=GUIDE_SIZE, color_scheme="light")
    follow_and_buy(browser, keys)
    rows = page.locator("#latest tbody tr")
    page.wait_for_function("(wanted) => document.querySelectorAll('#latest tbody tr').length >= wanted", arg=BROUGHT)
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=IMAGES / "first-conversions.png")
    rows.first.locator("a").first.click()
    page.locator("#trace").scroll_into_view_if_needed()
    page.wait_for_timeout(SETTLED_MS)
    page.screenshot(path=IMAGES / "why-this-hit.png")
    page.goto(f"{keys['admin_url']}livereferrals/partner/?q={keys['partner']['uid']}")
    page.click("#result_list tbody th a")
    page.wait_for_url(re.compile("/change/"))
    page.evaluate(WITHOUT_SIDEBAR)
    page.screenshot(path=IMAGES / "partner.png")
    page.goto(f"{keys['admin_url']}livereferrals/subscription/?q={keys['partner']['uid']}")
    page.click("#result_list tbody th a")
    open_limits(page)
    page.screenshot(path=IMAGES / "subscription.png")
    page.close()


def follow_and_buy(browser: Browser, keys: dict[str, Any]) -> None:
    """Be a visitor, in a browser of its own."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(keys["partner"]["link_url"])
    page.goto(keys["shop"]["signup_url"])
    page.fill("input[name=username]", VISITOR["name"])
    for number in (1, 2):
        page.fill(f"input[name=password{number}]", VISITOR["password"])
    page.click("main button")
    page.goto(keys["base_url"])
    page.click("a.button >> nth=0")
    page.click("main button")
    page.wait_for_load_state()
    context.close()


def open_limits(page: Page) -> None:
    """Open the section of a subscription's page that is closed at first, and have it in the picture."""
    page.wait_for_url(re.compile("/change/"))
    page.evaluate(WITHOUT_SIDEBAR)
    limits = page.locator("details:has(#id_timeout_s)")
    limits.locator("summary").click()
    page.locator("#id_allow_plain_http").scroll_into_view_if_needed()


def kind(path: str) -> str:
    """Name a page by its path, all of one kind alike: `deliveries-one-retry`."""
    parts = ["one" if ONE_OF_MANY.fullmatch(part) else part for part in path.strip("/").split("/")]
    return "-".join(parts[1:]) or "overview"


def find_pages(page: Page) -> dict[str, str]:
    """Return an address for each kind of page that links lead to, beginning with the overview."""
    root = page.evaluate("() => location.pathname")
    found, waiting = {"overview": root}, [root]
    while waiting:
        page.goto(page.url.replace(page.evaluate("() => location.pathname"), waiting.pop(0)).partition("?")[0])
        for path in page.evaluate(LINKS):
            if path.startswith(root) and not LEFT_OUT.search(path) and kind(path) not in found:
                found[kind(path)] = path
                waiting.append(path)
    return found


def take_all(browser: Browser, keys: dict[str, Any], folder: Path) -> None:
    """Take every page in each scheme and window."""
    folder.mkdir(parents=True, exist_ok=True)
    page = sign_in(browser, keys)
    pages = find_pages(page)
    page.close()
    for scheme in SCHEMES:
        for window, size in WINDOWS.items():
            page = sign_in(browser, keys, viewport=size, color_scheme=scheme)
            for name, path in pages.items():
                page.goto(keys["dashboard_url"].partition("/referrals/")[0] + path)
                page.wait_for_timeout(SETTLED_MS)
                page.screenshot(path=folder / f"{name}-{window}-{scheme}.png", full_page=True)
            page.close()


def take_asked(browser: Browser, keys: dict[str, Any], asked: argparse.Namespace) -> None:
    """Take what the command line asks for."""
    if asked.guides:
        take_guides(browser, keys)
        return
    for scheme in SCHEMES:
        take(browser, keys, scheme)
    if asked.pages is not None:
        take_all(browser, keys, asked.pages)


def main() -> None:
    """Run a demo in a directory of its own, take the pictures, and end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--guides", action="store_true", help="take those of the guides, and no others")
    parser.add_argument("--pages", type=Path, metavar="DIR", help="take every page, into this directory")
    asked = parser.parse_args()
    IMAGES.mkdir(parents=True, exist_ok=True)
    traffic = "off" if asked.guides else "on"
    with tempfile.TemporaryDirectory(prefix="livereferrals-screenshots-") as directory:
        options = {"DEMO_DIR": directory, "PORT": str(free_port()), "TRAFFIC": traffic, "TRAFFIC_PACE": str(PACE)}
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
                take_asked(browser, keys, asked)
                browser.close()
        finally:
            demo.terminate()
            demo.wait()


if __name__ == "__main__":
    main()

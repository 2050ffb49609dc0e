"""What a page shows, as values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import expect

if TYPE_CHECKING:
    from playwright.async_api import Page

AXE = Path(__file__).resolve().parents[2] / "frontend/node_modules/axe-core/axe.min.js"
RULES = json.dumps({"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]})
METRICS = """() => Object.fromEntries(
    Array.from(document.querySelectorAll("[data-metric]"), (item) => [item.dataset.metric, item.dataset.value]))"""
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"


async def metrics(page: Page) -> dict[str, str]:
    """Return each `data-value` by its `data-metric`."""
    found: dict[str, str] = await page.evaluate(METRICS)
    return found


async def expect_metric(page: Page, name: str, value: str, *, timeout_ms: float = 60_000) -> None:
    """Wait until the page shows this number."""
    await expect(page.locator(f'[data-metric="{name}"]')).to_have_attribute("data-value", value, timeout=timeout_ms)


async def state(page: Page) -> str | None:
    """Return the state that the status region shows."""
    return await page.locator("#status").get_attribute("data-state")


async def expect_state(page: Page, *states: str, timeout_ms: float = 60_000) -> None:
    """Wait until the status region shows one of these states."""
    selector = ", ".join(f'#status[data-state="{name}"]' for name in states)
    await expect(page.locator(selector)).to_have_count(1, timeout=timeout_ms)


async def sideways(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    found: int = await page.evaluate(OVERFLOW)
    return found


async def violations(page: Page) -> list[str]:
    """Return what axe finds against WCAG 2.2 AA and its own best practices, as the page is shown now."""
    if not AXE.exists():
        pytest.skip("axe-core is not installed: run `npm ci` in frontend/")
    # Evaluated by the debugger, which no content security policy binds; htmx's `eval` stays forbidden.
    if not await page.evaluate("() => 'axe' in window"):
        await page.evaluate(AXE.read_text())
    found = await page.evaluate(f"() => axe.run({RULES})")
    return [f"{item['id']}: {node['html']}" for item in found["violations"] for node in item["nodes"]]

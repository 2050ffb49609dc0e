"""What a storm of hits does to an open dashboard: whether it keeps up, stays calm and ends with the right numbers.

Run it with `python -m benchmarks.storm [--rate 1000] [--seconds 60] [--quick]`; `CHROMIUM=/path` names the browser.
A process of its own writes the hits into the log; the browser is asked by its debugger what its main thread did.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.ground import prepared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, CDPSession, Page

    from tests.servers import HostServer

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
TICK_S = 0.05
"""The writer commits this often, each time what the rate owes by then."""
SAMPLE_S = 5.0
WEIGH_S = 60.0
"""The page's memory is weighed this often, after a garbage collection."""
GIVE_UP_S = 120.0
MIB = 1024 * 1024
LONG_TASKS = """() => {
    window.longest = 0;
    new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries()) window.longest = Math.max(window.longest, duration);
    }).observe({ type: "longtask" });
}"""
SHOWN = """() => Number(document.querySelector('[data-metric="hits"]').dataset.value)"""
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


def write(*, rate: int, seconds: float) -> None:
    """Commit hits at this rate, in the process of a writer; says on its output how many and for how long."""
    from livereferrals import ids
    from livereferrals.events import log, sequencer
    from livereferrals.tracking.models import ReferralLink
    from tests.factories import make_entry

    links = list(ReferralLink.objects.select_related("partner").exclude(partner=None))
    began, written = time.monotonic(), 0
    while (spent := time.monotonic() - began) < seconds:
        owed = int(rate * min(spent + TICK_S, seconds)) - written
        entries = [
            make_entry(
                partner=link.partner.uid if link.partner else "",
                link=link.pk,
                link_identifier=link.identifier,
                data={"repeat": number % 4 == 0, "landing": "/", "device": "mobile", "visitor": str(ids.new_uuid())},
            )
            for number in range(written, written + owed)
            for link in (links[number % len(links)],)
        ]
        if entries:
            log.append_all(entries)
            written += owed
        time.sleep(max(0.0, TICK_S - (time.monotonic() - began - spent)))
    sequencer.number_events()
    sys.stdout.write(f"{written} {time.monotonic() - began:.2f}\n")


@dataclass
class Watch:
    """What was seen of one page."""

    page: Page
    devtools: CDPSession
    frames: int = 0
    frame_bytes: list[int] = field(default_factory=list)
    shown: list[int] = field(default_factory=list)
    heap_mib: list[float] = field(default_factory=list)

    async def metrics(self) -> dict[str, float]:
        """Return the browser's own figures, after a garbage collection."""
        await self.devtools.send("HeapProfiler.collectGarbage")
        answer = await self.devtools.send("Performance.getMetrics")
        return {item["name"]: item["value"] for item in answer["metrics"]}

    async def hits(self) -> int:
        """Return the number on the page."""
        number: int = await self.page.evaluate(SHOWN)
        return number

    def count(self, text: str | bytes) -> None:
        """Take what came over the socket."""
        if isinstance(text, str) and not text.startswith("{"):
            self.frames += 1
            self.frame_bytes.append(len(text.encode()))


@contextlib.asynccontextmanager
async def watching(browser: Browser, server: HostServer, session: str) -> AsyncIterator[Watch]:
    """Open the overview as staff, live."""
    from django.conf import settings  # noqa: TID251 - the tests' own

    context = await browser.new_context()
    await context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": session, "url": server.url()}])
    page = await context.new_page()
    watch = Watch(page, await context.new_cdp_session(page))
    page.on("websocket", lambda socket: socket.on("framereceived", watch.count))
    await watch.devtools.send("Performance.enable")
    await page.goto(server.url("/referrals/"))
    await page.locator('#status[data-state="live"]').wait_for()
    await page.evaluate(LONG_TASKS)
    yield watch
    await context.close()


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has used (Linux)."""
    with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123 - no file, a question to the kernel
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS


async def measure(server: HostServer, session: str, *, rate: int, seconds: float) -> dict[str, Any]:
    """Return the figures of one run."""
    from playwright.async_api import async_playwright

    assert server.process is not None  # noqa: S101 - it was started
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        async with watching(browser, server, session) as watch:
            before, cpu_before, began = await watch.metrics(), cpu_s(server.process.pid), time.monotonic()
            written, took = await _storm(watch, server, rate=rate, seconds=seconds)
            ended = time.monotonic()
            late = await _caught_up(watch, written)
            after, spent = await watch.metrics(), time.monotonic() - began
            longest = await watch.page.evaluate("() => window.longest")
        await browser.close()
    sizes = sorted(watch.frame_bytes) or [0]
    return {
        "hits written": written,
        "writing them, s": took,
        "hits a second": round(written / took),
        "hits shown at the end": watch.shown[-1],
        "never less than before": watch.shown == sorted(watch.shown),
        "last commit to exact, s": None if late is None else round(late - ended, 2),
        "frames a second": round(watch.frames / spent, 2),
        "KiB a frame, median / most": f"{sizes[len(sizes) // 2] / 1024:.1f} / {sizes[-1] / 1024:.1f}",
        "main thread busy, %": round(100 * (after["TaskDuration"] - before["TaskDuration"]) / spent, 1),
        "longest task, ms": round(longest),
        "heap before / after, MiB": f"{before['JSHeapUsedSize'] / MIB:.1f} / {after['JSHeapUsedSize'] / MIB:.1f}",
        "heap each minute, MiB": ", ".join(f"{found:.1f}" for found in watch.heap_mib) or "-",
        "nodes before / after": f"{before['Nodes']:.0f} / {after['Nodes']:.0f}",
        "listeners before / after": f"{before['JSEventListeners']:.0f} / {after['JSEventListeners']:.0f}",
        "server's processor, %": round(100 * (cpu_s(server.process.pid) - cpu_before) / spent, 1),
    }


async def _storm(watch: Watch, server: HostServer, *, rate: int, seconds: float) -> tuple[int, float]:
    """Let the writer write, look at the page meanwhile; return how many hits were written, and in how many seconds."""
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.storm", "--write", f"--rate={rate}", f"--seconds={seconds}",
        env=server.environment, stdout=subprocess.PIPE,
    )  # fmt: skip
    telling = asyncio.create_task(writer.communicate())
    weigh_at = time.monotonic() + WEIGH_S
    while not telling.done():
        await asyncio.wait({telling}, timeout=SAMPLE_S)
        watch.shown.append(await watch.hits())
        if time.monotonic() >= weigh_at:
            weigh_at += WEIGH_S
            watch.heap_mib.append((await watch.metrics())["JSHeapUsedSize"] / MIB)
    told, _ = await telling
    written, took = told.split()
    return int(written), float(took)


async def _caught_up(watch: Watch, written: int) -> float | None:
    """Return when the page showed all of them; nothing if it never did."""
    deadline = time.monotonic() + GIVE_UP_S
    while time.monotonic() < deadline:
        watch.shown.append(await watch.hits())
        if watch.shown[-1] == written:
            return time.monotonic()
        await asyncio.sleep(0.1)
    return None


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--quick", action="store_true", help="ten seconds, to see that it works")
    parser.add_argument("--write", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    seconds = 10.0 if asked.quick else asked.seconds
    if asked.write:
        import django

        django.setup()
        write(rate=asked.rate, seconds=seconds)
        return
    with prepared():
        from tests.browser.conftest import sign_in
        from tests.factories import make_link
        from tests.servers import host_server

        for _ in range(5):
            make_link()
        session = sign_in(superuser=True)
        with host_server("daphne", LIVEREFERRALS={"FEED_POLL_INTERVAL": 0.25}) as server:
            figures = asyncio.run(measure(server, session, rate=asked.rate, seconds=seconds))
    for name, value in figures.items():
        sys.stdout.write(f"{name:>32}  {value}\n")


if __name__ == "__main__":
    main()

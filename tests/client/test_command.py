"""`python -m livereferrals.client URL` as a shell sees it: lines, exit codes, signals, a reader that goes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.protocol.scripted import ScriptedServer

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "lrf_abc_verysecret"
ENDED_WITHIN_S = 120


def start(url: str, *arguments: str, cwd: Path, token: str = TOKEN) -> subprocess.Popen[str]:
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], "LIVEREFERRALS_FEED_TOKEN": token}
    return subprocess.Popen(  # noqa: S603 - our own command
        [sys.executable, "-m", "livereferrals.client", url, *arguments],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=ENDED_WITHIN_S)
    return process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_prints_lines_keeps_the_cursor_and_ends_cleanly(
    scripted: ScriptedServer, tmp_path: Path, number: signal.Signals
) -> None:
    """feed-59: the first run says where to begin, the file says it from then on"""
    process = start(scripted.url("three events"), "--start", "k3f9.10", cwd=tmp_path)
    wait_until(lambda: cursor_in(tmp_path) == "k3f9.13")
    process.send_signal(number)
    code, out, err = finish(process)
    assert [json.loads(line)["cursor"] for line in out.splitlines()] == ["k3f9.11", "k3f9.12", "k3f9.13"]
    assert (code, err) == (0, "")
    url = scripted.url("revoked")
    assert finish(start(url, cwd=tmp_path))[0] == 3
    assert scripted.run(url).asked[0].query["cursor"] == "k3f9.13"


def cursor_in(directory: Path) -> str:
    path = directory / "feed.cursor"
    return path.read_text().strip() if path.exists() else ""


def test_parameters_reach_the_server(scripted: ScriptedServer, tmp_path: Path) -> None:
    url = scripted.url("stopped")
    given = ["--types", "hit,claim", "--links", "a,b", "--since", "2026-11-21T08:00:00Z", "--on-gap", "oldest"]
    finish(start(url, *given, "--transport", "sse", cwd=tmp_path))
    (asked,) = scripted.run(url).asked
    assert asked.transport == "sse"
    assert asked.authorization == f"Bearer {TOKEN}"
    assert asked.query == {
        "types": "hit,claim",
        "links": "a,b",
        "since": "2026-11-21T08:00:00Z",
        "on_gap": "oldest",
    }


@pytest.mark.parametrize(
    ("stage", "code", "text"),
    [("stopped", 3, "forbidden"), ("revoked", 3, "token_revoked"), ("too old", 4, "--on-gap oldest")],
)
def test_what_stops_the_feed_is_said_with_an_exit_code(
    scripted: ScriptedServer, tmp_path: Path, stage: str, code: int, text: str
) -> None:
    """feed-8, feed-28: without a traceback, and without the token"""
    ended, _, err = finish(start(scripted.url(stage), "--start", "k3f9.10", cwd=tmp_path))
    assert ended == code
    assert text in err
    assert "Traceback" not in err
    assert TOKEN not in err


@pytest.mark.parametrize(
    ("arguments", "token", "text"),
    [
        (["https://shop.example/"], TOKEN, "ends in feed/v1"),
        (["https://shop.example/feed/v1"], "", "LIVEREFERRALS_FEED_TOKEN"),
        (["https://shop.example/feed/v1", "--start", "yesterday"], TOKEN, "newest, oldest or a cursor"),
        (["https://shop.example/feed/v1", "--since", "x", "--start", "oldest"], TOKEN, "not allowed with"),
        (["https://shop.example/feed/v1", "--transport", "pigeon"], TOKEN, "invalid choice"),
    ],
    ids=["address", "no token", "start", "start and since", "transport"],
)
def test_wrong_usage_is_explained(tmp_path: Path, arguments: list[str], token: str, text: str) -> None:
    code, _, err = finish(start(*arguments, cwd=tmp_path, token=token))
    assert code == 2
    assert text in err


def test_token_with_foreign_characters_and_a_file_that_is_no_cursor_are_told(tmp_path: Path) -> None:
    code, _, err = finish(start("http://127.0.0.1:9/feed/v1", cwd=tmp_path, token="lrf_a b"))
    assert (code, "Traceback" in err, "lrf_a b" in err) == (1, False, False)
    (tmp_path / "feed.cursor").write_text("buy milk\n")
    code, _, err = finish(start("http://127.0.0.1:9/feed/v1", cwd=tmp_path))
    assert (code, "does not hold a cursor" in err) == (1, True)


def test_reader_that_goes_away_ends_it_quietly(scripted: ScriptedServer, tmp_path: Path) -> None:
    """The line that nobody read is not taken for handled."""
    process = start(scripted.url("three events"), "--start", "k3f9.10", cwd=tmp_path)
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(ENDED_WITHIN_S) == 0
    assert process.stderr is not None
    with process.stderr:
        assert process.stderr.read() == ""
    assert cursor_in(tmp_path) == "k3f9.10"


def test_interruptions_are_told_on_stderr_and_pass(scripted: ScriptedServer, tmp_path: Path) -> None:
    url: Any = scripted.url("away")
    process = start(url, "--start", "k3f9.10", cwd=tmp_path)
    wait_until(lambda: cursor_in(tmp_path) == "k3f9.11")
    process.terminate()
    code, out, err = finish(process)
    assert (code, len(out.splitlines()), err.count("The feed is interrupted")) == (0, 1, 3)

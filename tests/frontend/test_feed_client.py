"""The partner's JavaScript client: its tests against the scripted server, its size, and what `npm pack` gives."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.frontend.test_bundle import FRONTEND, npm, run
from tests.protocol.scripted import HOST, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["npm"]

CLIENT = FRONTEND / "feed-client"
CLIENT_BYTES = 6 * 1024
CONSUMER = """
import { connectFeed, FeedStopped, memoryStore } from "@livereferrals/feed-client";
import { fileStore } from "@livereferrals/feed-client/node";
const store = fileStore(process.argv[3]);
for await (const event of connectFeed({ url: process.argv[2], token: "lrf_a_b", start: "k3f9.10", store })) {
  console.log(event.cursor);
  if (event.cursor === "k3f9.13") break;
}
console.log(await store.load());
"""

pytestmark = pytest.mark.once


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    server = ScriptedServer().start()
    yield server
    server.stop()


def test_client_passes_the_scenarios_and_its_own_tests(npm: str, scripted: ScriptedServer) -> None:
    """feed-59"""
    done = subprocess.run(  # noqa: S603 - our own command
        [npm, "run", "--silent", "test"],
        cwd=CLIENT,
        env=os.environ | {"FEED_SCENARIO_SERVER": f"http://{HOST}:{scripted.port}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert "# skipped 0" in done.stdout


@pytest.fixture(scope="module")
def packed(npm: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `npm pack` gives, unpacked as npm would install it."""
    place = tmp_path_factory.mktemp("packed")
    done = run(npm, "pack", "--workspace=feed-client", "--pack-destination", str(place), "--silent")
    assert done.returncode == 0, done.stderr
    (archive,) = place.glob("*.tgz")
    package = place / "node_modules/@livereferrals/feed-client"
    with tarfile.open(archive) as files:
        files.extractall(place, filter="data")
    package.parent.mkdir(parents=True)
    (place / "package").rename(package)
    return package


def test_packed_client_is_small_and_whole(packed: Path) -> None:
    """At most 6 KiB gzipped, with types, licence and description, and without dependencies."""
    files = {str(path.relative_to(packed)) for path in packed.rglob("*") if path.is_file()}
    assert files == {
        "LICENSE",
        "README.md",
        "dist/feed-client.js",
        "package.json",
        "src/node.js",
        "types/index.d.ts",
        "types/node.d.ts",
    }
    assert len(gzip.compress((packed / "dist/feed-client.js").read_bytes(), mtime=0)) < CLIENT_BYTES
    told = json.loads((packed / "package.json").read_text())
    assert not {"dependencies", "peerDependencies", "private", "devDependencies"} & set(told)


def test_packed_client_is_used_by_its_name(packed: Path, scripted: ScriptedServer, tmp_path: Path) -> None:
    """The entries of the package lead to files that work together."""
    script = packed.parents[2] / "consumer.mjs"
    script.write_text(CONSUMER)
    done = subprocess.run(  # noqa: S603 - our own command
        ["node", str(script), scripted.url("three events"), str(tmp_path / "cursor")],  # noqa: S607 - wherever it is
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # The last event is in hand when the loop is left, so it is not stored.
    assert done.stdout.split() == ["k3f9.11", "k3f9.12", "k3f9.13", "k3f9.12"]

"""What the client's tests share: the scripted server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.protocol.scripted import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedServer]:
    """A server that misbehaves as scripts say; each test has runs of its own."""
    server = ScriptedServer().start()
    yield server
    server.stop()

"""The Python client makes of every scenario what the file says; the JavaScript client's tests run the same file."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.client.playing import play
from tests.protocol.scripts import SCENARIOS

if TYPE_CHECKING:
    from tests.protocol.scripted import ScriptedServer

pytestmark = pytest.mark.once

AT_ONCE = 12


@pytest.mark.parametrize("transport", ["ws", "sse", "poll"])
async def test_scenarios_go_as_the_file_says(scripted: ScriptedServer, transport: str) -> None:
    """feed-59"""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(scenario: dict[str, Any]) -> tuple[Any, Any]:
        async with places:
            return await play(scripted, scenario, transport)

    scenarios = [scenario for scenario in SCENARIOS if transport in scenario["transports"]]
    played = await asyncio.gather(*map(one, scenarios))
    named = {scenario["name"]: outcome for scenario, outcome in zip(scenarios, played, strict=True)}
    assert len(named) == len(scenarios) > 40
    assert {name: found for name, (found, _) in named.items()} == {name: told for name, (_, told) in named.items()}

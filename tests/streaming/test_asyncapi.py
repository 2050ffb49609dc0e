"""`docs/asyncapi.yaml` is AsyncAPI 3, and says what the protocol says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from livereferrals.events.cursors import Cursor
from livereferrals.exceptions import FeedError
from livereferrals.streaming import protocol
from tests.streaming.asyncapi import check, document, registry, schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

TOP: dict[str, Any] = {
    "type": "object",
    "required": ["asyncapi", "info", "channels", "operations", "components"],
    "additionalProperties": False,
    "properties": {
        "asyncapi": {"const": "3.0.0"},
        "info": {"type": "object", "required": ["title", "version"]},
        "defaultContentType": {"type": "string"},
        "servers": {
            "type": "object",
            "additionalProperties": {"type": "object", "required": ["host", "protocol"]},
        },
        "channels": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["address", "messages"],
                "properties": {"address": {"type": "string"}, "messages": {"$ref": "#/$defs/refs"}},
            },
        },
        "operations": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["action", "channel"],
                "properties": {
                    "action": {"enum": ["send", "receive"]},
                    "channel": {"$ref": "#/$defs/ref"},
                    "messages": {"type": "array", "items": {"$ref": "#/$defs/ref"}},
                },
            },
        },
        "components": {"type": "object"},
    },
    "$defs": {
        "ref": {"type": "object", "required": ["$ref"], "additionalProperties": False, "properties": {"$ref": {}}},
        "refs": {"type": "object", "additionalProperties": {"$ref": "#/$defs/ref"}},
    },
}
"""The part of AsyncAPI 3.0's own schema that the description uses."""


def references(value: object) -> Iterator[str]:
    """Give each reference in the description."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_description_has_the_structure_of_asyncapi_3() -> None:
    """feed-1"""
    Draft202012Validator(TOP).validate(document())


def test_every_reference_leads_somewhere() -> None:
    """feed-1"""
    found = list(references(document()))
    assert found
    for reference in found:
        place: Any = document()
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_operations_name_messages_of_their_channel() -> None:
    """feed-1: AsyncAPI 3 wants references to the channel's messages, not to the components"""
    for operation in document()["operations"].values():
        channel = operation["channel"]["$ref"]
        for message in operation.get("messages", ()):
            assert message["$ref"].startswith(f"{channel}/messages/")


def test_payloads_are_json_schemas() -> None:
    """feed-1"""
    for name in document()["components"]["messages"]:
        Draft202012Validator.check_schema(document()["components"]["messages"][name]["payload"])
        assert Draft202012Validator(schema_of(name), registry=registry()).is_valid({}) is False


def test_messages_that_a_server_seldom_says_are_as_described() -> None:
    """feed-28, feed-44, feed-48"""
    import json

    cursor = Cursor("k3f9", 7)
    for text in (
        protocol.goodbye(reason="restart", retry_after_s=3.14),
        protocol.pong(ping_id="x", cursor=cursor),
        *(protocol.error(FeedError(code, "Why.", oldest="k3f9.1", newest="k3f9.2")) for code in protocol.ENDINGS),
    ):
        check(json.loads(text))


@pytest.mark.parametrize(
    ("field", "value"), [("amount", 12.5), ("user", "ann"), ("visitor", 17), ("subs", []), ("currency", "euro")]
)
def test_description_refuses_what_partners_must_never_get(field: str, value: object) -> None:
    """feed-17: a float for money, a name for a user"""
    data: dict[str, Any] = {
        "confirmation": "01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11",
        "trigger": "Order paid",
        "hit": "01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11",
        "visitor": None,
        "user": None,
        "click_id": None,
        "subs": [None] * 5,
        "reference": None,
        "amount": "1.00",
        "currency": "EUR",
    }
    event = {
        "v": 1,
        "cursor": "k3f9.2",
        "id": "01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11",
        "type": "confirmation",
        "time": "2026-11-21T08:59:10.500000Z",
        "partner": "Ab3dE9xQ",
        "link": None,
        "data": data,
    }
    batch = {"type": "events", "prev": "k3f9.1", "cursor": "k3f9.2", "events": [event]}
    check(batch)
    data[field] = value
    with pytest.raises((AssertionError, ValidationError)):
        check(batch)

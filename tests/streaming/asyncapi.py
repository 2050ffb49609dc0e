"""The AsyncAPI description of the feed, as something to hold messages to."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

PATH = Path(__file__).resolve().parents[2] / "docs" / "asyncapi.yaml"
HOME = "urn:livereferrals:asyncapi"


@cache
def document() -> dict[str, Any]:
    """Return the description."""
    found: dict[str, Any] = yaml.safe_load(PATH.read_text())
    return found


@cache
def registry() -> Registry[Any]:
    """Return where references into the description are looked up."""
    resource = Resource.from_contents(document(), default_specification=DRAFT202012)
    return Registry().with_resource(HOME, resource)  # type: ignore[no-any-return] # referencing's own


def schema_of(message: str) -> dict[str, Any]:
    """Return the schema of a message's payload."""
    return {"$ref": f"{HOME}#/components/messages/{message}/payload"}


def check(message: dict[str, Any], *, name: str | None = None) -> None:
    """Fail unless the message is as described; its own type is the description's name of it."""
    validator = Draft202012Validator(schema_of(name or message["type"]), registry=registry())
    problems = [f"{'/'.join(map(str, each.absolute_path))}: {each.message}" for each in validator.iter_errors(message)]
    assert not problems, f"{message} is not as docs/asyncapi.yaml says: {problems}"

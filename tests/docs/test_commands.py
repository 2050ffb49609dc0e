"""Every command of README and docs is there, and takes what it is given; so is every one that a sentence names."""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn
import yaml
from daphne.cli import CommandLineInterface  # type: ignore[import-untyped] # daphne has no types
from django.core.management import CommandError, get_commands, load_command_class

from tests.docs.pages import PAGES, ROOT, all_blocks, prose
from tests.docs.shell import all_commands

if TYPE_CHECKING:
    from collections.abc import Callable

    from django.core.management.base import CommandParser

pytestmark = pytest.mark.once

NAMED = re.compile(r"manage\.py livereferrals ([a-z][a-z-]+)([^`\n|]*)")
"""A sub-command in a sentence or in shown output, with what follows it."""
OF_OTHERS = {
    *(".", "cd", "curl", "django-admin", "export", "git", "mkdir", "npm", "openssl"),
    *("printf", "sqlite3", "websocat", "wrk", "your-program"),
}
"""What this project has no say in."""
OF_THE_READER = {"receiver.py"}
"""Files that a page has the reader make."""


@cache
def parser_of(name: str) -> CommandParser:
    found = get_commands().get(name)
    assert found is not None, f"manage.py has no {name}"
    return load_command_class(str(found), name).create_parser("manage.py", name)


def managed(words: list[str]) -> None:
    """Parse the arguments as `manage.py` would."""
    name, *arguments = words
    parser_of(name).parse_args(arguments)


def made(words: list[str]) -> None:
    """Find make's targets and variables."""
    makefile = (ROOT / "Makefile").read_text()
    for word in words:
        name, is_variable, _ = word.partition("=")
        assert re.search(
            rf"\$\((?:if \$\()?{name}\b|{name} \?=" if is_variable else rf"^{name}:", makefile, re.MULTILINE
        ), word


def installed(words: list[str]) -> None:
    """Find the extras of our package that pip is asked for."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for word in words[1:]:
        if found := re.fullmatch(r"livereferrals\[(\w+)\]", word):
            assert found[1] in extras, word


def composed(words: list[str]) -> None:
    """Find the services that Docker Compose is told of."""
    assert words.pop(0) == "compose"
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    action, *rest = words
    assert action in {"build", "exec", "logs", "ps", "run", "up"}, action
    named = [word for word in rest if not word.startswith("-")]
    for service in named[:1] if action in {"exec", "run"} else named:
        assert service in services, service
    if action == "exec" and named[1:3] == ["python", "manage.py"]:
        managed(named[3:])


def by_uvicorn(words: list[str]) -> None:
    """Find its options."""
    there = {option for parameter in uvicorn.main.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        assert not word.startswith("-") or word in there, word


def by_daphne(words: list[str]) -> None:
    CommandLineInterface().parser.parse_args(words)


def by_python(words: list[str]) -> None:
    """Find the module or the file."""
    if words[0] == "manage.py":
        managed(words[1:])
    elif words[0] == "-m":
        assert find_spec(words[1]) is not None, words[1]
        if words[1] == "pytest":
            by_pytest(words[2:])
    elif words[0] != "-c" and words[0] not in OF_THE_READER:
        assert (ROOT / words[0]).exists(), words[0]


def by_pytest(words: list[str]) -> None:
    """Find the tests."""
    for word in words:
        assert not word.startswith("tests/") or (ROOT / word).exists(), word


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "manage.py": managed,
    "make": made,
    "pip": installed,
    "docker": composed,
    "uvicorn": by_uvicorn,
    "daphne": by_daphne,
    "python": by_python,
    "python3": by_python,
    "pytest": by_pytest,
}


def wrong_with(words: list[str]) -> str:
    program = words[0].removeprefix(".venv/bin/")
    if program in OF_OTHERS:
        return ""
    if program not in PROGRAMS:
        return f"nobody has said how to check {program}"
    try:
        PROGRAMS[program](words[1:])
    except (AssertionError, CommandError, SystemExit) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def test_every_command_takes_what_it_is_given() -> None:
    assert not [
        f"{block}: {' '.join(words)}: {wrong}" for block, words in all_commands() if (wrong := wrong_with(words))
    ]


def test_every_sub_command_that_is_named_is_there_with_its_options() -> None:
    texts = [(str(page.relative_to(ROOT)), prose(page)) for page in PAGES]
    texts += [(str(block), block.code) for block in all_blocks("text", "yaml")]
    wrong = [f"{where}: {name} {option}" for where, text in texts for name, option in unknown_in(text)]
    assert not wrong


def unknown_in(text: str) -> list[tuple[str, str]]:
    """Return each sub-command, or option of one, that is named and is not there."""
    there = options_by_sub_command()
    found = []
    for name, rest in NAMED.findall(text):
        if name not in there:
            found.append((name, ""))
            continue
        found += [(name, option) for option in re.findall(r"--[a-z-]+", rest) if option not in there[name]]
    return found


@cache
def options_by_sub_command() -> dict[str, set[str]]:
    actions: list[Any] = parser_of("livereferrals")._actions
    (parsers,) = [action.choices for action in actions if action.dest == "subcommand"]
    return {name: set(every_option(parser)) for name, parser in parsers.items()}


def every_option(parser: Any) -> list[str]:
    """Return the options of a parser and of those below it."""
    found = []
    for action in parser._actions:
        found += action.option_strings
        if isinstance(action, argparse._SubParsersAction):
            found += [option for below in action.choices.values() for option in every_option(below)]
    return found


def test_the_packages_for_npm_are_ours() -> None:
    name = json.loads((ROOT / "frontend/feed-client/package.json").read_text())["name"]
    wanted = [words[2:] for _block, words in all_commands() if words[:2] == ["npm", "install"]]
    assert wanted
    assert all(names == [name] for names in wanted)

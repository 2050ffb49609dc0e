"""Every code block of README and docs is run, type-checked or parsed, by its language; a language that is not known fails.

Python is type-checked as well, by `make types` (`tests.docs.examples`), and run where that says more: the tutorial in
`tests/packaging`, verifying callbacks in `tests/callbacks`, reading the feed in `tests/streaming`.
"""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from django.template import engines

from tests.docs.examples import NotDeclaredError, is_signature, module_of
from tests.docs.pages import ROOT, Block, all_blocks
from tests.docs.shell import readable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.once

ESBUILD = ROOT / "frontend/node_modules/.bin/esbuild"


def tell(command: list[str], *, given: str = "") -> str:
    """Run a checker; return what it has to say, nothing where it is content."""
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    return done.stderr + done.stdout if done.returncode or done.stderr else ""


def in_python(block: Block) -> str:
    """Compile it, and see that it uses no name that neither it nor the reader's project has."""
    try:
        compile(block.code, str(block), "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        if not is_signature(block):
            module_of(block)
    except (SyntaxError, NotDeclaredError) as error:
        return str(error)
    return ""


def in_shell(block: Block) -> str:
    return tell(["bash", "-n"], given=readable(block))


def in_javascript(block: Block) -> str:
    return tell([str(ESBUILD), "--loader=js", "--format=esm", "--log-level=warning"], given=block.code).partition(
        "\n\n"
    )[0]


def in_css(block: Block) -> str:
    return tell([str(ESBUILD), "--loader=css", "--log-level=warning"], given=block.code).partition("\n\n")[0]


def in_template(block: Block) -> str:
    return problem_of(engines["django"].from_string, block.code)


def in_php(block: Block) -> str:
    """Let PHP look where it is installed; `tests/callbacks` runs it there."""
    return tell(["php", "-l"], given=block.code).partition("\n")[0] if shutil.which("php") else ""


def in_sql(block: Block) -> str:
    """See that it ends where a statement ends; `test_sql` runs it."""
    return "" if block.code.rstrip().endswith(";") else "the last statement has no end"


def in_text(block: Block) -> str:
    """Let it stand: what commands it names, `test_commands` finds."""
    return "" if block.code.strip() else "it is empty"


def problem_of(read: Callable[[str], Any], text: str) -> str:
    try:
        read(text)
    except Exception as error:  # noqa: BLE001 - each reader has its own
        return f"{type(error).__name__}: {error}"
    return ""


CHECKS: dict[str, Callable[[Block], str]] = {
    "python": in_python,
    "sh": in_shell,
    "console": in_shell,
    "crontab": in_shell,
    "js": in_javascript,
    "css": in_css,
    "html": in_template,
    "django": in_template,
    "json": lambda block: problem_of(json.loads, block.code),
    "toml": lambda block: problem_of(tomllib.loads, block.code),
    "yaml": lambda block: problem_of(yaml.safe_load, block.code),
    "sql": in_sql,
    "php": in_php,
    "text": in_text,
}
"""What looks at a block, by its language; it says what is wrong, or nothing."""
NEEDS_NODE = {"js", "css"}


def test_the_receiver_of_callbacks_is_that_of_the_tutorial() -> None:
    """The tutorial's is run, by `tests/packaging`."""
    receivers = [block.code for block in all_blocks("python") if "BaseHTTPRequestHandler)" in block.code]
    assert len(receivers) == 2
    assert len({code.removeprefix("# receiver.py, new file\n") for code in receivers}) == 1


def test_every_block_says_its_language_and_it_is_one_that_is_checked() -> None:
    assert not [str(block) for block in all_blocks() if block.language not in CHECKS]


@pytest.mark.parametrize("language", sorted(CHECKS))
def test_every_block_is_right(language: str, tmp_path: Path) -> None:
    if language in NEEDS_NODE and not ESBUILD.exists():
        pytest.skip("the JavaScript tools are not installed")
    check = CHECKS[language]
    assert not [f"{block}: {wrong}" for block in all_blocks(language) if (wrong := check(block))]

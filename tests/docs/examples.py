"""Python examples as modules, so that `make types` reads them like our own code: `python -m tests.docs.examples DIRECTORY`.

What an example does not say itself comes from an earlier example of its page, if that imports it, or else from the reader's
project, which `world.pyi` declares. An example that uses any other name cannot be written down, and a test fails.
"""

from __future__ import annotations

import ast
import builtins
import re
import shutil
import symtable
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.docs.pages import DOCS, ROOT, Block, all_blocks, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

WORLD = Path(__file__).with_name("world.pyi")
REFERENCE = DOCS / "reference"
"""Its examples are signatures, without what they import; `test_docstrings.py` compares them with the code."""
READERS = {"mysite", "shop"}
"""Packages of the reader's own, in examples."""
RUN_ALREADY = {"SecretField.get_prep_value"}
"""What changes our own classes, which no type allows; `tests/callbacks/test_receiving.py` runs it."""
BLOCKS = (ast.For, ast.If, ast.Match, ast.Try, ast.While, ast.With)
SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
FUTURE = "from __future__ import annotations\n"


class NotDeclaredError(Exception):
    """An example uses a name that nobody has."""


def main(directory: Path) -> None:
    """Write each example of README and docs into a package."""
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / "__init__.py").write_text('"""Examples of README and docs."""\n')
    for block in all_blocks("python"):
        if is_signature(block):
            continue
        page = block.page.relative_to(DOCS if block.page.is_relative_to(DOCS) else ROOT).with_suffix("")
        name = re.sub(r"\W", "_", f"{page}_{block.line}").lower()
        (directory / f"{name}.py").write_text(module_of(block))


def module_of(block: Block) -> str:
    """Return an example as a module.

    Raises:
        NotDeclaredError: it uses a name that neither its page nor the reader's project has.
    """
    code = block.code.replace(FUTURE, "")
    if is_async(code):
        code = "async def example():\n" + "".join(f"    {line}\n" for line in code.splitlines())
    wanted = sorted(needed(ast.parse(code), code))
    from_page = imports_before(block)
    world = declared()
    if lost := [name for name in wanted if name not in from_page and name not in world]:
        raise NotDeclaredError(f"nobody has {', '.join(lost)}; tests/docs/world.pyi says what readers have")
    imports = "\n".join(dict.fromkeys(from_page.get(name) or f"from tests.docs.world import {name}" for name in wanted))
    head = "# mypy: ignore-errors\n" if any(text in code for text in RUN_ALREADY) else ""
    return f"{head}# {block}\n{FUTURE}{imports}\n\n{of_reader(code)}"


def is_signature(block: Block) -> bool:
    """Whether it shows what there is, and nothing to do."""
    return block.page.parent == REFERENCE


def is_async(code: str) -> bool:
    """Whether it awaits outside of a function."""
    try:
        compile(code, "", "exec")
    except SyntaxError:
        return True
    return False


def of_reader(code: str) -> str:
    """Return the code with the reader's own modules replaced by the one that declares them."""
    return re.sub(
        rf"^( *)from (?:{'|'.join(READERS)})\b[\w.]* import ",
        r"\1from tests.docs.world import ",
        code,
        flags=re.MULTILINE,
    )


def declared() -> set[str]:
    """Return the names of the reader's project."""
    return {name for statement in ast.parse(WORLD.read_text()).body for name in bound_by(statement)}


def imports_before(block: Block) -> dict[str, str]:
    """Return what earlier examples of the page import: the statement, by name."""
    found: dict[str, str] = {}
    for earlier in blocks_of(block.page):
        if earlier.line >= block.line or earlier.language != "python":
            continue
        for statement in ast.walk(
            compile(earlier.code, "", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        ):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                found |= dict.fromkeys(bound_by(statement), of_reader(ast.unparse(statement)))
    return found


# --- names ----------------------------------------------------------------------------------------------------------------


def needed(tree: ast.Module, code: str) -> set[str]:
    """Return the names that a module uses and does not have, or not yet."""
    there = set(dir(builtins)) | {"__name__", "__file__"}
    wanted: set[str] = set()
    for statement in tree.body:
        wanted |= set(loaded_by(statement)) - there
        there |= set(bound_by(statement))
    inside = globals_in_functions(symtable.symtable(code, "", "exec"))
    return wanted | {name for name in inside if name not in there}


def loaded_by(statement: ast.stmt) -> Iterator[str]:
    """Give the names that are read when the statement runs: not those in the bodies of functions."""
    own = {
        name.id for part in ast.walk(statement) if isinstance(part, ast.comprehension) for name in names_in(part.target)
    }
    if isinstance(statement, BLOCKS):
        own |= set(bound_by(statement))
    for node in outside_functions(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in own:
            yield node.id
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            yield node.target.id


def outside_functions(node: ast.AST) -> Iterator[ast.AST]:
    yield node
    if isinstance(node, SCOPES):
        parts: list[ast.AST] = [*node.args.defaults, *(part for part in node.args.kw_defaults if part is not None)]
        parts += [] if isinstance(node, ast.Lambda) else node.decorator_list
    else:
        parts = list(ast.iter_child_nodes(node))
    for part in parts:
        yield from outside_functions(part)


def names_in(node: ast.AST) -> Iterator[ast.Name]:
    return (part for part in ast.walk(node) if isinstance(part, ast.Name))


def bound_by(statement: ast.AST) -> Iterator[str]:
    """Give the names that a statement makes."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
    elif isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    else:
        yield from (name.id for name in names_in(statement) if isinstance(name.ctx, ast.Store))
        patterns = (part for part in ast.walk(statement) if isinstance(part, ast.MatchAs | ast.MatchStar))
        yield from (pattern.name for pattern in patterns if pattern.name is not None)


def globals_in_functions(table: symtable.SymbolTable) -> Iterator[str]:
    """Give the names that functions and classes take from around them."""
    for below in table.get_children():
        yield from (
            symbol.get_name() for symbol in below.get_symbols() if symbol.is_global() and symbol.is_referenced()
        )
        yield from globals_in_functions(below)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""What the reference takes from docstrings: the site says it as it was meant, the repository shows the same signatures."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from sphinx.ext.napoleon.docstring import GoogleDocstring

from livereferrals.tracking.referral import Referral
from livereferrals.triggers import declaration
from tests.docs.pages import DOCS, blocks_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

REFERENCE = DOCS / "reference"
RENDERED = re.compile(r"^\.\. auto(module|class|exception):: (\S+)$", re.MULTILINE)
OF_THE_MIDDLEWARE = {"renew", "settle", "use_up_old_cookie", "choose_anew"}
"""What a request's referral is told by our own code; no host needs it."""


# --- prose that Sphinx takes for a type ---------------------------------------------------------------------------------


def rendered() -> Iterator[tuple[str, ast.AST]]:
    """Give what the site shows from docstrings: the name, and the code of a class or a module."""
    for page in sorted(REFERENCE.glob("*.md")):
        for kind, name in RENDERED.findall(page.read_text()):
            if kind != "module":
                yield name, code_of(found_at(name))
                continue
            module = import_module(name)
            yield name, top_of(module)
            for member in module.__all__:
                found = getattr(module, member)
                if inspect.isclass(found):
                    yield f"{name}.{member}", code_of(found)


def found_at(path: str) -> Any:
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def code_of(found: Any) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(found))).body[0]


def top_of(module: Any) -> ast.AST:
    """Return a module without its functions and classes."""
    tree = ast.parse(inspect.getsource(module))
    tree.body = [node for node in tree.body if not isinstance(node, ast.ClassDef | ast.FunctionDef)]
    return tree


def attribute_docstrings(code: ast.AST) -> Iterator[str]:
    """Give what is said below an attribute, or in a property."""
    for node in ast.walk(code):
        body = getattr(node, "body", None)
        if isinstance(node, ast.FunctionDef) and any("property" in ast.unparse(one) for one in node.decorator_list):
            yield ast.get_docstring(node) or ""
        if isinstance(body, list):
            for before, after in pairwise(body):
                if isinstance(before, ast.Assign | ast.AnnAssign) and isinstance(after, ast.Expr):
                    text = getattr(after.value, "value", None)
                    yield inspect.cleandoc(text) if isinstance(text, str) else ""


def test_no_sentence_of_an_attribute_becomes_its_type() -> None:
    """Napoleon reads `first words: the rest` as a type and a description."""
    said = [(name, text) for name, code in rendered() for text in attribute_docstrings(code)]
    assert len(said) > 40
    assert not [
        (name, text.splitlines()[0])
        for name, text in said
        if ":type:" in str(GoogleDocstring(text, what="attribute", name="it"))
    ]


# --- signatures ---------------------------------------------------------------------------------------------------------


def shown(page: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Return the functions and classes that a page of the reference shows."""
    code = "\n".join(block.code for block in blocks_of(REFERENCE / f"{page}.md") if block.language == "python")
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name: node for node in ast.parse(code).body if isinstance(node, kinds)}


def signature(node: ast.AST) -> str:
    """Return a function's signature as one line; what stands for "not given" is `...` to readers."""
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    text = f"{type(node).__name__} {node.name}({ast.unparse(node.args)}) -> {ast.unparse(node.returns or ast.Constant(None))}"
    return text.replace(" | Unset", "").replace("=UNSET", "=...")


@pytest.mark.parametrize(
    ("page", "module"),
    [("api", "livereferrals.api"), ("triggers", "livereferrals.triggers"), ("wiring", "livereferrals.asgi")],
)
def test_functions_that_are_shown_are_those_of_the_code(page: str, module: str) -> None:
    there = import_module(module)
    for name, node in shown(page).items():
        if not isinstance(node, ast.ClassDef):
            assert signature(node) == signature(code_of(getattr(there, name)))


def test_every_function_of_the_api_is_shown() -> None:
    api = import_module("livereferrals.api")
    functions = {name for name in api.__all__ if not inspect.isclass(getattr(api, name))}
    twins = {name for name in functions if name.startswith("a") and name[1:] in functions}
    assert set(shown("api")) == set(api.__all__) - twins


@pytest.mark.parametrize("name", ["Result", "Reversed", "Erased"])
def test_answers_of_the_api_are_shown_with_their_fields(name: str) -> None:
    api = import_module("livereferrals.api")
    fields = {field: ast.unparse(kind) for field, kind in annotated(shown("api")[name])}
    code = code_of(getattr(api, name))
    assert fields == {field: ast.unparse(kind) for field, kind in [*annotated(code), *properties(code)]}


def annotated(code: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in getattr(code, "body", ()):
        if isinstance(node, ast.AnnAssign):
            yield ast.unparse(node.target), node.annotation


def properties(code: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    for node in methods(code):
        if node.returns is not None and any("property" in ast.unparse(one) for one in node.decorator_list):
            yield node.name, node.returns


def methods(code: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in getattr(code, "body", ()):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            yield node


def test_every_public_member_of_a_requests_referral_is_shown() -> None:
    page, code = shown("wiring")["Referral"], code_of(Referral)
    values = {name: ast.unparse(kind) for name, kind in properties(code)}
    assert {name: ast.unparse(kind) for name, kind in annotated(page)} == values
    others = {node.name: signature(node) for node in methods(code) if node.name not in {*values, *OF_THE_MIDDLEWARE}}
    assert {node.name: signature(node) for node in methods(page)} == others
    listed = re.search(r"Referral\n +:members: (.+)", (REFERENCE / "wiring.md").read_text())
    assert listed is not None
    assert set(listed[1].split(", ")) == {*values, *others}


def test_the_table_of_arguments_is_that_of_a_trigger() -> None:
    section = (DOCS / "triggers.md").read_text().partition("\n## Arguments\n")[2].partition("\n## ")[0]
    table = dict(re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`|[^|]*) \|", section, re.MULTILINE))
    fields = inspect.signature(declaration.Trigger).parameters
    assert list(table) == list(fields)
    for name, default in table.items():
        has_plain_default = fields[name].default not in (inspect.Parameter.empty, declaration.UNSET)
        assert default == (repr(fields[name].default).replace("'", '"') if has_plain_default else ""), name


def test_signals_are_listed_with_what_they_are_sent_with() -> None:
    """The table, and the docstring that the site shows, name the same arguments."""
    rows = re.findall(
        r"^\| `(\w+)` \| [^|]+ \| `(\w+)` \| (.+) \|$", (REFERENCE / "signals.md").read_text(), re.MULTILINE
    )
    tree = ast.parse(inspect.getsource(import_module("livereferrals.signals")))
    assert len(rows) == len(import_module("livereferrals.signals").__all__)
    for name, sender, sent in rows:
        (text,) = [
            after.value.value
            for before, after in pairwise(tree.body)
            if isinstance(before, ast.Assign) and ast.unparse(before.targets[0]) == name and isinstance(after, ast.Expr)
            if isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        ]
        documented = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", text))
        assert documented == [sender, *re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", sent))], name

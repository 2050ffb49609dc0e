"""The forms of a page, and what a browser would send of them; pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

UNSENT: Final = frozenset({"submit", "button", "image", "reset", "file"})
CHOSEN: Final = frozenset({"checkbox", "radio"})


@dataclass(slots=True, kw_only=True)
class Field:
    """One field of a form."""

    name: str
    kind: str
    """The type of an `input`, else `select` or `textarea`."""
    value: str = ""
    required: bool = False
    chosen: bool = True
    """Whether a box is ticked, or an option chosen."""


@dataclass(slots=True, kw_only=True)
class Form:
    """One form of a page."""

    action: str
    """As it stands in the page; empty: the page's own address."""
    method: str
    fields: list[Field] = field(default_factory=list)

    @property
    def is_post(self) -> bool:
        """Whether it is sent with POST."""
        return self.method == "post"

    @property
    def names(self) -> set[str]:
        """The names of its fields."""
        return {each.name for each in self.fields}

    def has(self, kind: str) -> bool:
        """Whether one of its fields is of this kind."""
        return any(each.kind == kind for each in self.fields)

    def empty(self) -> list[Field]:
        """Return the fields that somebody has to fill in by typing."""
        return [
            each
            for each in self.fields
            if not each.value and each.kind not in CHOSEN | {"hidden", "select"} and each.name
        ]

    def values(self, typed: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return what a browser sends after somebody has typed this, and chosen the first of what has to be chosen."""
        sent: list[tuple[str, str]] = []
        for each in self.fields:
            if each.kind in CHOSEN and not self._is_sent(each):
                continue
            sent.append((each.name, typed.get(each.name, each.value)))
        return sent

    def _is_sent(self, box: Field) -> bool:
        if box.chosen:
            return True
        if box.kind == "checkbox":
            return box.required
        group = [each for each in self.fields if each.kind == "radio" and each.name == box.name]
        return box is group[0] and not any(each.chosen for each in group)


def forms_of(html: str) -> list[Form]:
    """Return the page's forms in their order; a field outside of them is nobody's."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return reader.forms


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._form: Form | None = None
        self._select: Field | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = Form(action=has.get("action", ""), method=has.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is None:
            return
        elif tag == "input":
            self._add(has, kind=has.get("type", "text").lower())
        elif tag in ("select", "textarea"):
            added = self._add(has, kind=tag)
            self._select = added if tag == "select" else None
        elif tag == "option" and self._select is not None:
            self._choose(self._select, has)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None

    def _add(self, has: Mapping[str, str], *, kind: str) -> Field | None:
        if self._form is None or not has.get("name") or kind in UNSENT or "disabled" in has:
            return None
        value = has.get("value", "on" if kind in CHOSEN else "")
        chosen = kind not in CHOSEN or "checked" in has
        made = Field(name=has["name"], kind=kind, value=value, required="required" in has, chosen=chosen)
        self._form.fields.append(made)
        return made

    @staticmethod
    def _choose(select: Field, has: Mapping[str, str]) -> None:
        """Take the option that the page has chosen, else the first with a value."""
        if "selected" in has or not select.value:
            select.value = has.get("value", "")

"""Callback URLs with placeholders: one parser for checking and for rendering (callbacks, section 8).

    template = parse("https://partner.example/postback?click={click_id}&sum={amount|0}")
    template.render({"click_id": "a b", "amount": ""})     # https://partner.example/postback?click=a%20b&sum=0

Values are percent-encoded, never interpreted: no `str.format`, no attribute access, no second parameter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from django.utils.formats import number_format
from django.utils.translation import gettext

from livereferrals.callbacks import grammar
from livereferrals.callbacks.grammar import MACROS, Literal, Part, Placeholder
from livereferrals.exceptions import InvalidCallBackURL, Unrenderable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["IDENTIFYING", "MACROS", "Template", "examine", "parse"]

IDENTIFYING: Final = frozenset({"delivery_id", "confirmation_id", "reference"})
"""Placeholders that tell one event from another."""

MAX_TEMPLATE: Final = 2000
MAX_URL: Final = 8000

SECRET_NAME = re.compile(r"token|key|secret|password|sig|auth", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A callback URL that can be rendered."""

    scheme: str
    """Lower case; whether it may be used is the address guard's matter."""
    authority: str
    """Host and port as typed."""
    path: tuple[Part, ...]
    query: tuple[Part, ...] | None
    """`None` without a question mark."""

    @property
    def names(self) -> frozenset[str]:
        """The placeholders that occur."""
        return frozenset(part.name for part in (*self.path, *(self.query or ())) if isinstance(part, Placeholder))

    def render(self, values: Mapping[str, str], *, authority: str | None = None) -> str:
        """Return the URL with its values, all ASCII; `authority` is the host in the form that is connected to.

        Raises:
            Unrenderable: a value makes a path segment empty, `.` or `..`, or is not valid Unicode, or the URL is
                longer than 8,000 bytes.
        """
        path = _fill(self.path, values)
        _refuse_bent_path(self.path, values)
        query = "" if self.query is None else "?" + _fill(self.query, values)
        host = self.authority if authority is None else authority
        url = f"{self.scheme}://{host}{path or '/'}{query}"
        if len(url.encode()) > MAX_URL:
            raise Unrenderable(f"The URL would be longer than {MAX_URL} bytes.")
        return url

    def warnings(self, *, method: str) -> list[str]:
        """Return what is allowed and probably not meant, in words for a person."""
        found = []
        if method == "GET" and not self.names & IDENTIFYING:
            found.append(
                gettext(
                    "Nothing in this address tells one event from another."
                    " Add {delivery_id}, {confirmation_id} or {reference}, so that a repeat can be recognised."
                )
            )
        found.extend(
            gettext("The parameter “%(name)s” looks like a secret: anybody who may see this address can read it.")
            % {"name": name}
            for name in _secret_parameters(self.query or ())
        )
        return found


def parse(template: str) -> Template:
    """Return the parsed template.

    Raises:
        InvalidCallBackURL: the first mistake, with its position and a hint.
    """
    parsed, mistakes = examine(template)
    if parsed is None:
        raise mistakes[0]
    return parsed


def examine(template: str) -> tuple[Template | None, list[InvalidCallBackURL]]:
    """Return the parsed template, or none and every mistake in it."""
    if len(template) > MAX_TEMPLATE:
        return None, [
            grammar.mistake(
                gettext("The address is longer than %(most)s characters.")
                % {"most": number_format(MAX_TEMPLATE, force_grouping=True)},
                MAX_TEMPLATE,
            )
        ]
    start = grammar.SCHEME.match(template)
    if start is None:
        return None, [
            grammar.mistake(gettext("The address must begin with https://, then the partner's host name."), 0)
        ]
    mistakes = list(grammar.authority_mistakes(start[2], start.start(2)))
    reader = grammar.Reader(template, start.end())
    path, query = reader.read()
    mistakes.extend(reader.mistakes)
    if mistakes:
        return None, mistakes
    return Template(scheme=start[1].lower(), authority=start[2], path=path, query=query), []


def _fill(parts: tuple[Part, ...], values: Mapping[str, str]) -> str:
    return "".join(part.text if isinstance(part, Literal) else _encoded(part, values) for part in parts)


def _encoded(part: Placeholder, values: Mapping[str, str]) -> str:
    value = values.get(part.name, "")
    if not value:
        return part.fallback
    try:
        return quote(value, safe="", encoding="utf-8", errors="strict")
    except UnicodeEncodeError as error:
        raise Unrenderable(f"The value of {{{part.name}}} is not valid Unicode.") from error


def _refuse_bent_path(path: tuple[Part, ...], values: Mapping[str, str]) -> None:
    """Refuse values that change which path it is: encoding does not protect an empty segment or dots."""
    if all(values.get(part.name, "").strip(".") for part in path if isinstance(part, Placeholder)):
        return  # beside something else than dots, nothing makes a segment of dots
    segments: list[list[Part]] = [[]]
    for part in path:
        if isinstance(part, Placeholder):
            segments[-1].append(part)
            continue
        first, *others = part.text.split("/")
        segments[-1].append(Literal(first))
        segments.extend([Literal(text)] for text in others)
    for segment in segments:
        names = [part.name for part in segment if isinstance(part, Placeholder)]
        rendered = _fill(tuple(segment), values)
        if names and (not rendered or grammar.is_dots(rendered)):
            raise Unrenderable(f"The value of {{{names[0]}}} would change the path of the address.")


def _secret_parameters(query: tuple[Part, ...]) -> Iterator[str]:
    """Give the names of literal parameters that look secret and have a literal value."""
    marks = (part.text if isinstance(part, Literal) else "{}" for part in query)
    for pair in "".join(marks).split("&"):
        name, _, value = pair.partition("=")
        if value and "{}" not in value and SECRET_NAME.search(name):
            yield name

"""The grammar of callback URLs: reads path and query into parts and names every mistake (callbacks, section 8)."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from livereferrals.exceptions import InvalidCallBackURL

if TYPE_CHECKING:
    from collections.abc import Iterator

MACROS: Final = (
    "visitor_id",
    "hit_id",
    "confirmation_id",
    "delivery_id",
    "click_id",
    *(f"sub{number}" for number in range(1, 6)),
    "partner_uid",
    "link",
    "trigger",
    "reference",
    "amount",
    "amount_minor",
    "currency",
    "status",
    "reason",
    "timestamp",
    "timestamp_unix",
    "hit_timestamp",
    "attempt",
    "test",
)
"""Every placeholder that there is: the list is closed."""

MAX_PLACEHOLDERS: Final = 30

SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
FALLBACK = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-Fa-f]{2})*\Z")
ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
PLAIN = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/?-]")
"""What may stand literally in a path or query (RFC 3986, 3.3 and 3.4); `?` is the first query mark or inside it."""
WORDS: Final = {
    " ": _("A space cannot stand in an address."),
    "\\": _("A backslash cannot stand in an address."),
    '"': _("A quotation mark cannot stand in an address."),
    "<": _("The character < cannot stand in an address."),
    ">": _("The character > cannot stand in an address."),
    "^": _("The character ^ cannot stand in an address."),
    "`": _("A backtick cannot stand in an address."),
    "|": _("The character | cannot stand in an address."),
    "[": _("A square bracket cannot stand in an address."),
    "]": _("A square bracket cannot stand in an address."),
}


@dataclass(frozen=True, slots=True)
class Literal:
    """Text that is sent as it stands."""

    text: str


@dataclass(frozen=True, slots=True)
class Placeholder:
    """A place for a value."""

    name: str
    fallback: str
    """Sent when the value is empty; already encoded."""
    position: int


Part = Literal | Placeholder


def mistake(message: str, position: int, *, hint: str = "", placeholder: str = "") -> InvalidCallBackURL:
    """Return the error for one mistake, its place counted from one in the message."""
    return InvalidCallBackURL(
        gettext("%(message)s (at character %(number)s)")
        % {"message": f"{message} {hint}".rstrip(), "number": position + 1},
        position=position,
        hint=hint,
        placeholder=placeholder,
    )


def authority_mistakes(authority: str, position: int) -> Iterator[InvalidCallBackURL]:
    """Give what is wrong with host and port as text; which hosts may be called is the address guard's matter."""
    if not authority:
        yield mistake(gettext("The host name is missing."), position)
    for character, message in (
        ("{", gettext("A placeholder cannot stand in the host name or port.")),
        ("}", gettext("A placeholder cannot stand in the host name or port.")),
        ("@", gettext("A user name or password cannot stand in the address; use a header.")),
        ("\\", gettext("A backslash cannot stand in the address.")),
        ("%", gettext("A percent sign cannot stand in the host name.")),
    ):
        if character in authority:
            yield mistake(message, position + authority.index(character))
            return
    for offset, character in enumerate(authority):
        if character.isspace() or not character.isprintable():
            yield mistake(gettext("A space or control character cannot stand in the host name."), position + offset)
            return


class Reader:
    """Reads path and query of one template, collecting every mistake."""

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = position
        self.mistakes: list[InvalidCallBackURL] = []
        self._parts: list[Part] = []
        self._literal = ""
        self._count = 0

    def read(self) -> tuple[tuple[Part, ...], tuple[Part, ...] | None]:
        """Return the parts of the path, and of the query where there is one."""
        path: tuple[Part, ...] | None = None
        while self.position < len(self.text):
            if self.text[self.position] == "?" and path is None:
                path = self._take()
                self.position += 1
            else:
                self._step()
        rest = self._take()
        if self._count > MAX_PLACEHOLDERS:
            self._complain(gettext("There are more than %(most)s placeholders.") % {"most": MAX_PLACEHOLDERS}, 0)
        if path is None:
            self._check_segments(rest)
            return rest, None
        self._check_segments(path)
        return path, rest

    def _take(self) -> tuple[Part, ...]:
        self._flush()
        parts, self._parts = tuple(self._parts), []
        return parts

    def _flush(self) -> None:
        if self._literal:
            self._parts.append(Literal(self._literal))
        self._literal = ""

    def _complain(self, message: str, position: int, *, hint: str = "", placeholder: str = "") -> None:
        self.mistakes.append(mistake(message, position, hint=hint, placeholder=placeholder))

    def _step(self) -> None:
        character = self.text[self.position]
        if character in "{}":
            self._brace(character)
        elif character == "%":
            self._escape()
        else:
            if not PLAIN.match(character):
                self._complain_of(character)
            self._literal += character
            self.position += 1

    def _brace(self, character: str) -> None:
        if self.text.startswith(character * 2, self.position):
            self._literal += quote(character)
            self.position += 2
        elif character == "{":
            self._placeholder()
        else:
            self._complain(
                gettext("A } without its {."), self.position, hint=gettext("Write }} for the character itself.")
            )
            self.position += 1

    def _placeholder(self) -> None:
        start = self.position
        end = self.text.find("}", start)
        if end < 0 or "{" in self.text[start + 1 : end]:
            self._complain(gettext("A { without its }."), start, hint=gettext("Write {{ for the character itself."))
            self.position = start + 1
            return
        self._flush()
        self._count += 1
        name, _, fallback = self.text[start + 1 : end].partition("|")
        self._check_name(name, start)
        if not FALLBACK.match(fallback):
            self._complain(
                gettext("The fallback of {%(name)s} may hold letters, digits, - . _ ~ and %%-escapes only.")
                % {"name": name},
                start,
                placeholder=name,
            )
        self._check_escapes(fallback, start)
        self._parts.append(Placeholder(name, fallback, start))
        self.position = end + 1

    def _check_name(self, name: str, position: int) -> None:
        if name in MACROS:
            return
        if not name or name.isdigit():
            self._complain(
                gettext("A placeholder needs a name."), position, hint=gettext("For example {confirmation_id}.")
            )
        elif set(name) & set(".[]"):
            message = gettext("{%(name)s}: a placeholder is a plain name, without dots and brackets.")
            self._complain(message % {"name": name}, position)
        elif set(name) & set("!:"):
            message = gettext("{%(name)s}: a placeholder is a plain name, without ! and :.")
            self._complain(message % {"name": name}, position)
        else:
            near = difflib.get_close_matches(name.strip().lower(), MACROS, n=1, cutoff=0.5)
            hint = (
                gettext("Did you mean {%(name)s}?") % {"name": near[0]}
                if near
                else gettext("See the list of placeholders.")
            )
            message = gettext("There is no placeholder {%(name)s}.") % {"name": name}
            self._complain(message, position, hint=hint, placeholder=name)

    def _escape(self) -> None:
        found = ESCAPE.match(self.text, self.position)
        if found is None:
            self._complain(
                gettext("A percent sign must be followed by two hexadecimal digits."),
                self.position,
                hint=gettext("Write %(encoded)s.") % {"encoded": "%25"},
            )
            self.position += 1
            return
        self._check_escapes(found[0], self.position)
        self._literal += found[0]
        self.position = found.end()

    def _check_escapes(self, text: str, position: int) -> None:
        for found in ESCAPE.findall(text):
            if (code := int(found[1:], 16)) < 0x20 or code == 0x7F:
                self._complain(gettext("%(escape)s is a control character.") % {"escape": found}, position)

    def _complain_of(self, character: str) -> None:
        if character == "#":
            message, hint = gettext("A fragment (#) is never sent to a server."), gettext("Leave it out.")
        elif not character.isprintable():
            message = gettext("The control character %(code)s cannot stand in an address.") % {
                "code": f"U+{ord(character):04X}"
            }
            hint = ""
        elif character.isascii():
            message = str(WORDS.get(character) or gettext("The character %(character)s cannot stand in an address."))
            message = message % {"character": character}
            hint = gettext("Write %(encoded)s.") % {"encoded": quote(character)}
        else:
            message = gettext("%(character)s must be written encoded.") % {"character": character}
            hint = gettext("Write %(encoded)s.") % {"encoded": quote(character, errors="replace")}
        self._complain(message, self.position, hint=hint)

    def _check_segments(self, path: tuple[Part, ...]) -> None:
        marks = (part.text if isinstance(part, Literal) else "{}" for part in path)
        for segment in "".join(marks).split("/"):
            if is_dots(segment):
                self._complain(
                    gettext("A path segment cannot be . or .."), 0, hint=gettext("Write the path that is meant.")
                )


def is_dots(segment: str) -> bool:
    """Whether servers take the segment for `.` or `..`; `%2e` is a dot to them too."""
    return re.sub("%2e", ".", segment, flags=re.IGNORECASE) in {".", ".."}

"""The fixed headers of a subscription as staff type them: one a line, `Name: value`; a secret value is not shown again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from livereferrals.callbacks import headers, masking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from livereferrals.callbacks.headers import Header
    from livereferrals.callbacks.models import Subscription

PLAIN: Final = "plain_headers"
HIDDEN: Final = "secret_headers"
FIELDS: Final = (PLAIN, HIDDEN)
"""Names of the two fields. Neither is the model's `headers`, which whoever may only look would be shown as it is stored."""


class LinesField(forms.CharField):
    """Lines of text; how a browser ends them makes no difference."""

    def __init__(self, **options: Any) -> None:
        attributes = {"rows": 3, "class": "vLargeTextField", "autocomplete": "off", "spellcheck": "false"}
        # Stripped, they would be counted from the first that is not empty.
        super().__init__(required=False, strip=False, widget=forms.Textarea(attrs=attributes), **options)

    def to_python(self, value: Any) -> Any:
        """Return the text with one kind of line ends."""
        return (super().to_python(value) or "").replace("\r\n", "\n").replace("\r", "\n")


class HeadersForm(forms.ModelForm):
    """Two fields for one column: a header is secret by the field that it stands in, or by its name."""

    plain_headers = LinesField(
        label=_("Headers"),
        help_text=_("They go along with each call, one a line: “X-Shop: tea”. At most 10, with the secret ones."),
    )
    secret_headers = LinesField(
        label=_("Secret headers"),
        help_text=_(
            "As above, for keys and passwords. A value is not shown again: *** keeps the stored one. "
            "Headers with a name such as X-Api-Key are always secret."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            stored = headers.read(self.instance.headers)
        except ValueError as error:
            stored = ()
            problem = gettext("What is stored cannot be sent, and is replaced by what you write: %(problem)s")
            self.fields[PLAIN].help_text = problem % {"problem": error}
        self._kept = {header.name.lower(): header.value for header in stored if _is_secret(header)}
        self.initial[PLAIN] = _as_lines(stored, secret=False)
        self.initial[HIDDEN] = _as_lines(stored, secret=True)

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        """Take the headers over where both fields were on the page; each mistake is told with its line."""
        cleaned: dict[str, Any] = super().clean() or {}
        if any(self.add_prefix(name) not in self.data for name in FIELDS):
            return cleaned
        found: list[dict[str, Any]] = []
        for name in FIELDS:
            entries, problems = read_lines(cleaned.get(name, ""), kept=self._kept if name == HIDDEN else None)
            found += entries
            if problems:
                self.add_error(name, [ValidationError(problem) for problem in problems])
        if not self.errors.keys() & set(FIELDS):
            self.instance.headers = found
        return cleaned


def shown(subscription: Subscription, *, secret: bool) -> str:
    """Return a subscription's headers of one field, for who may only look."""
    try:
        return _as_lines(headers.read(subscription.headers), secret=secret)
    except ValueError as error:
        return str(error)


@sensitive_variables()
def read_lines(text: str, *, kept: Mapping[str, str] | None) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the headers that the lines hold, as the column has them, and what is wrong with the other lines.

    Args:
        text: one header a line; empty lines are passed over.
        kept: the stored values of secret headers by their names in lower case; nothing: these lines are no secrets.
    """
    found: list[dict[str, Any]] = []
    problems: list[str] = []
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            if line.strip():
                found.append(_read_line(line, kept=kept))
        except ValueError as error:
            problems.append(gettext("Line %(number)s: %(problem)s") % {"number": number, "problem": error})
    return found, problems


@sensitive_variables()
def _read_line(line: str, *, kept: Mapping[str, str] | None) -> dict[str, Any]:
    name, colon, value = (part.strip() for part in line.partition(":"))
    if not colon:
        raise ValueError(gettext("Write a name, a colon and a value, as in “X-Shop: tea”."))
    if value == masking.MASK:
        if kept is None:
            raise ValueError(gettext("*** stands for the stored value of a secret header. Write the value itself."))
        if name.lower() not in kept:
            raise ValueError(gettext("No value of %(name)s is stored. Write the value itself.") % {"name": name})
        value = kept[name.lower()]
    (header,) = headers.read([{"name": name, "value": value, "secret": kept is not None}])
    return {"name": header.name, "value": header.value, "secret": _is_secret(header)}


def _is_secret(header: Header) -> bool:
    return header.secret or masking.SECRET_HEADER.search(header.name) is not None


def _as_lines(stored: Iterable[Header], *, secret: bool) -> str:
    return "\n".join(
        f"{header.name}: {masking.MASK if secret else header.value}"
        for header in stored
        if _is_secret(header) is secret
    )

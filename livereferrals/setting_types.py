"""How a setting is declared and parsed: raw value in, typed value out, or words for a person."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from inspect import iscoroutinefunction
from typing import Any, Generic, Self, TypeVar, overload

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.module_loading import import_string

from livereferrals.exceptions import ConfigurationError

T = TypeVar("T")


def text(value: object) -> str:
    """Parse a non-empty string."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"expected text, got {value!r}")
    return value


def optional_text(value: object) -> str | None:
    """Parse a non-empty string or `None`."""
    return None if value is None else text(value)


def flag(value: object) -> bool:
    """Parse a Boolean."""
    if not isinstance(value, bool):
        raise ValueError(f"expected True or False, got {value!r}")
    return value


def optional_flag(value: object) -> bool | None:
    """Parse a Boolean or `None`."""
    return None if value is None else flag(value)


def hook(value: object) -> Callable[..., Any] | None:
    """Parse the dotted path of a function of the host's, the function itself, or `None`."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = import_string(value)
        except ImportError as error:
            raise ValueError(f"expected the dotted path of a function: {error}") from error
    if not callable(value):
        raise ValueError(f"expected a function or its dotted path, got {value!r}")
    return value


def patterns(value: object) -> tuple[re.Pattern[str], ...]:
    """Parse a list of texts, which are looked for whatever their case, and of compiled regular expressions."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"expected a list of texts and compiled patterns, got {value!r}")
    return tuple(
        item
        if isinstance(item, re.Pattern) and isinstance(item.pattern, str)
        else re.compile(re.escape(text(item)), re.IGNORECASE)
        for item in value
    )


def rules_by_name(*shipped: str) -> Callable[[object], dict[str, Callable[..., Any] | None]]:
    """Parse a dict from the name of a rule to a function or its dotted path; `None` switches a shipped one off."""

    def parse(value: object) -> dict[str, Callable[..., Any] | None]:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a dict from names to functions, got {value!r}")
        return {_rule_name(name): _rule(name, function, shipped=shipped) for name, function in value.items()}

    return parse


def _rule_name(name: object) -> str:
    if isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_-]{0,49}", name):
        return name
    raise ValueError(f"expected names of up to 50 small letters, digits, _ and -, got {name!r}")


def _rule(name: str, value: object, *, shipped: tuple[str, ...]) -> Callable[..., Any] | None:
    function = hook(value)
    if function is None and name not in shipped:
        raise ValueError(f"there is no rule {name!r} to switch off; there are {', '.join(map(repr, shipped))}")
    if iscoroutinefunction(function):
        raise ValueError(f"the rule {name!r} is an async function; rules are asked where nothing can be awaited")
    return function


def rule(value: object) -> str:
    """Parse the name of a rule of attribution, or the dotted path of one, of a length that rows can hold."""
    if value in ("last_click", "first_click") or (isinstance(value, str) and "." in value and len(value) <= 100):
        return str(value)
    raise ValueError(
        f"expected one of 'last_click', 'first_click' and dotted paths of up to 100 characters, got {value!r}"
    )


def whole(low: int, high: int) -> Callable[[object], int]:
    """Parse a whole number between `low` and `high`, both included."""

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"expected a whole number from {low} to {high}, got {value!r}")
        return value

    return parse


def one_of(*choices: str) -> Callable[[object], str]:
    """Parse one of the given words."""

    def parse(value: object) -> str:
        if value not in choices:
            raise ValueError(f"expected one of {', '.join(map(repr, choices))}, got {value!r}")
        return str(value)

    return parse


def span(value: object) -> timedelta:
    """Parse a positive `timedelta`; a number counts as seconds."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            value = timedelta(seconds=value)
        except OverflowError as error:
            raise ValueError(f"expected a time that a timedelta can hold, got {value!r}") from error
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise ValueError(f"expected a positive timedelta, got {value!r}")
    return value


def span_of_at_least(least: timedelta) -> Callable[[object], timedelta]:
    """Parse a `timedelta` that is not below `least`."""

    def parse(value: object) -> timedelta:
        found = span(value)
        if found < least:
            raise ValueError(f"expected at least {least}, got {value!r}")
        return found

    return parse


def optional_span(value: object) -> timedelta | None:
    """Parse a positive `timedelta` or `None` for no limit."""
    return None if value is None else span(value)


def texts(value: object) -> tuple[str, ...]:
    """Parse a list of strings."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"expected a list of texts, got {value!r}")
    return tuple(text(item) for item in value)


def text_lists(value: object) -> dict[str, tuple[str, ...]]:
    """Parse a dict from text to lists of strings."""
    if not isinstance(value, Mapping):
        raise ValueError(f"expected a dict, got {value!r}")
    return {text(key): texts(item) for key, item in value.items()}


def emails(value: object) -> tuple[str, ...]:
    """Parse a list of e-mail addresses."""
    found = texts(value)
    for address in found:
        try:
            validate_email(address)
        except ValidationError as error:
            raise ValueError(f"expected e-mail addresses, got {address!r}") from error
    return found


def optional_texts(value: object) -> tuple[str, ...] | None:
    """Parse a list of strings or `None`."""
    return None if value is None else texts(value)


def spans(value: object) -> tuple[timedelta, ...]:
    """Parse a list of positive times; numbers count as seconds."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"expected a list of timedeltas, got {value!r}")
    return tuple(span(item) for item in value)


def ports(value: object) -> tuple[int, ...]:
    """Parse a list of TCP ports."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError(f"expected a list of ports, got {value!r}")
    return tuple(whole(1, 65535)(item) for item in value)


def words(allowed: tuple[str, ...]) -> Callable[[object], dict[str, str]]:
    """Parse a dict from text to one of the given words."""

    def parse(value: object) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a dict, got {value!r}")
        return {text(key): one_of(*allowed)(word) for key, word in value.items()}

    return parse


class Setting(Generic[T]):
    """One key: how to parse it, what it is without a value, and which old setting it falls back to."""

    def __init__(
        self,
        default: T,
        parse: Callable[[object], T],
        *,
        old: Callable[[], object | None] | None = None,
    ) -> None:
        self.default = default
        self.parse = parse
        self.old = old
        self.name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Group, owner: type) -> T: ...

    def __get__(self, instance: Group | None, owner: type) -> Self | T:
        if instance is None:
            return self
        cache = instance.__dict__
        if self.name not in cache:
            cache[self.name] = self.read(instance)
        value: T = cache[self.name]
        return value

    def read(self, group: Group) -> T:
        """Return the parsed value.

        Raises:
            ConfigurationError: the value cannot be used.
        """
        raw = group.raw()
        if self.name in raw:
            value = raw[self.name]
        else:
            value = self.old() if self.old is not None else None
            if value is None:
                return self.default
        try:
            return self.parse(value)
        except ValueError as error:
            raise ConfigurationError(f"{group.path}[{self.name!r}]", str(error)) from error


class Group:
    """A dict of settings whose keys are declared as class attributes."""

    path: str

    def raw(self) -> Mapping[str, Any]:
        """Return the dict as the host wrote it.

        Raises:
            ConfigurationError: it is not a dict.
        """
        raise NotImplementedError

    @classmethod
    def declared(cls) -> dict[str, Setting[Any]]:
        """Return all declared keys by name."""
        return {name: value for name, value in vars(cls).items() if isinstance(value, Setting)}

    def forget(self) -> None:
        """Drop every parsed value, so that the next use reads the host's settings again."""
        self.__dict__.clear()

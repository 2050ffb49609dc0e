"""What is checked when a subscription is saved, by form, script or fixture alike, and again before each call."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from livereferrals import conf
from livereferrals.callbacks import guard, hosts, placeholders
from livereferrals.callbacks.openings import Rules
from livereferrals.callbacks.proxies import Proxy
from livereferrals.exceptions import ConfigurationError, InvalidCallBackURL, Unrenderable

if TYPE_CHECKING:
    from livereferrals.callbacks.guard import Origin
    from livereferrals.callbacks.placeholders import Template

CACHED_TEMPLATES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A callback URL that may be called."""

    template: Template
    origin: Origin


def rules() -> Rules:
    """Return the address guard's rules from `ALLOW`, `BLOCK` and `PORTS`.

    Raises:
        ConfigurationError: an entry cannot be read.
    """
    try:
        return Rules.of(allow=conf.callbacks.ALLOW, block=conf.callbacks.BLOCK, ports=conf.callbacks.PORTS)
    except ValueError as error:
        raise ConfigurationError(f"{conf.callbacks.path}['ALLOW'] or ['BLOCK']", str(error)) from error


def proxy() -> Proxy | None:
    """Return the proxy that callbacks go through, if the setting `PROXY` names one.

    Raises:
        ConfigurationError: it cannot be read.
    """
    text = conf.callbacks.PROXY
    try:
        return None if text is None else Proxy.parse(text)
    except ValueError as error:
        raise ConfigurationError(f"{conf.callbacks.path}['PROXY']", str(error)) from error


def mistakes_in(url: str, *, plain_http: bool) -> list[InvalidCallBackURL]:
    """Return every mistake in a callback URL, none for an empty one (feed only). No look-up is made."""
    if not url:
        return []
    template, mistakes = placeholders.examine(url)
    if template is None:
        return mistakes
    try:
        guard.check_authority(template.scheme, template.authority, rules=rules(), plain_http=plain_http)
    except InvalidCallBackURL as error:
        return [error]
    return []


def advised(mistake: InvalidCallBackURL) -> InvalidCallBackURL:
    """Return a refusal of the address guard with what can be done about it: for staff, who enter addresses.

    What is kept with a delivery says the refusal alone, because partners read that.
    """
    if mistake.position is not None or not mistake.hint:
        return mistake
    return InvalidCallBackURL(f"{mistake.message} {mistake.hint}", hint=mistake.hint)


def in_ascii(url: str) -> str:
    """Return a callback URL with its host in the form that is connected to: letters of two scripts may look alike."""
    template, _ = placeholders.examine(url)
    if template is None or template.authority.isascii():
        return url
    try:
        host, port = hosts.split(template.authority, default=0)
        mapped = hosts.map_host(host)
    except InvalidCallBackURL:
        return url
    return url.replace(template.authority, f"{mapped}:{port}" if port else mapped, 1)


@lru_cache(maxsize=CACHED_TEMPLATES)
def target(url: str, *, plain_http: bool, rules: Rules) -> Target:
    """Return the parsed URL and where it leads.

    Raises:
        Unrenderable: the grammar refuses it: a row changed by hand.
        InvalidCallBackURL: the address guard refuses it, perhaps since the settings have changed.
    """
    try:
        template = placeholders.parse(url)
    except InvalidCallBackURL as error:
        raise Unrenderable(error.message) from error
    origin = guard.check_authority(template.scheme, template.authority, rules=rules, plain_http=plain_http)
    return Target(template=template, origin=origin)

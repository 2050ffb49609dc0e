"""Addresses ready to be copied with one button."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.utils.html import format_html
from django.utils.translation import gettext as _

from livereferrals import conf, routes

if TYPE_CHECKING:
    from django.http import HttpRequest
    from django.utils.safestring import SafeString


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address with its explanation, as the partner's page shows it."""

    label: str
    url: str

    @property
    def button(self) -> SafeString:
        """The address as text with its button."""
        return copy_button(self.url)


def link_path(identifier: str) -> str | None:
    """Return the path of a link, or `None` where the host has not included `livereferrals.urls`."""
    return routes.path_of("livereferrals:link", identifier)


def partner_addresses(request: HttpRequest, uid: str) -> list[Address]:
    """Return what a partner can share: the link, and the parameter on any page of this site (D-01)."""
    addresses: list[Address] = []
    path = link_path(uid)
    if path is not None:
        addresses.append(Address(label=_("Link to share"), url=request.build_absolute_uri(path)))
    addresses.extend(
        Address(
            label=_("On any page of this site, add ?%(name)s=%(uid)s") % {"name": name, "uid": uid},
            url=request.build_absolute_uri("/?" + urlencode({name: uid})),
        )
        for name, meaning in conf.settings.PARAMETERS.items()
        if meaning == "partner"
    )
    return addresses


def copy_text_button(text: str) -> SafeString:
    """Return a text of any kind with a button that copies it as it is."""
    return format_html(
        '<span class="lr-copy"><code class="lr-copy__text">{text}</code> '
        '<button type="button" class="button lr-copy__button" data-lr-copy-text aria-label="{spoken}">{label}</button>'
        '<span class="lr-copy__said" role="status" data-lr-said="{said}" data-lr-selected="{selected}"></span></span>',
        text=text,
        label=_("Copy"),
        spoken=_("Copy this text"),
        said=_("Copied"),
        selected=_("Selected; press Ctrl+C to copy"),
    )


def copy_button(url: str) -> SafeString:
    """Return the address as text with a button that copies it, and says so to screen readers too (D-30)."""
    return format_html(
        '<span class="lr-copy"><code class="lr-copy__text">{url}</code> '
        '<button type="button" class="button lr-copy__button" data-lr-copy="{url}" aria-label="{spoken}">{label}</button>'
        '<span class="lr-copy__said" role="status" data-lr-said="{said}" data-lr-selected="{selected}"></span></span>',
        url=url,
        label=_("Copy"),
        spoken=_("Copy %(url)s") % {"url": url},
        said=_("Copied"),
        selected=_("Selected; press Ctrl+C to copy"),
    )

"""The host project's own settings, as far as ours depend on them."""

from __future__ import annotations

from typing import Any

from django.conf import settings as django_settings
from django.http.request import validate_host
from django.urls import get_script_prefix


def host(name: str, default: Any = None) -> Any:
    """Return one of the host project's own settings."""
    return getattr(django_settings, name, default)


def file_paths() -> tuple[str, ...]:
    """Return the beginnings of paths, below the script name, at which static files and uploads are."""
    prefix = get_script_prefix()
    served = (str(url or "") for url in (django_settings.STATIC_URL, django_settings.MEDIA_URL))
    # An address on another host is none of our paths; Django makes "/" of an empty one.
    return tuple(f"/{url.removeprefix(prefix)}" for url in served if url.startswith(prefix) and url != prefix)


def is_served(host: str) -> bool:
    """Whether the host project says by name that it answers this host; `*` names nobody."""
    names = [name for name in django_settings.ALLOWED_HOSTS if name != "*"]
    return validate_host(host, names)


def proxy_tls_header() -> tuple[str, str] | None:
    """Return Django's `SECURE_PROXY_SSL_HEADER`: the header in which the host's proxy says that it spoke TLS."""
    header: tuple[str, str] | None = django_settings.SECURE_PROXY_SSL_HEADER
    return header

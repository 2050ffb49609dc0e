"""The proxy that callbacks go through, where the host project names one (callbacks, section 5, rule 13). Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from yarl import URL

DEFAULT_PORT: Final = 3128
"""What proxies listen on by custom; `http://proxy` would mean port 80 otherwise."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A forward proxy: plain requests are sent to it, for TLS it is asked for a tunnel."""

    url: URL = field(repr=False)
    """With user name and password, where it wants them."""
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Return the proxy that the setting `PROXY` names.

        Raises:
            ValueError: it has another form. The text is not repeated: it may hold a password.
        """
        try:
            url = URL(text)
            if url.explicit_port is None:
                url = url.with_port(DEFAULT_PORT)
        except ValueError:
            url = URL()
        if url.scheme != "http" or not url.host or url.path not in ("", "/") or url.query_string or url.fragment:
            raise ValueError("expected http://proxy.internal:3128, if need be with user:password@ before the host")
        return cls(url, url.host, url.explicit_port or DEFAULT_PORT)

"""What the fault tests share: loopback may be called."""

from __future__ import annotations

from tests.callbacks.conftest import _loopback

__all__ = ["_loopback"]

"""Figures of hits for Prometheus, where the host has `prometheus_client` (`pip install livereferrals[metrics]`); else nothing.

They are in the library's default registry of the server process, where the host shows its own figures.

| name | what |
|---|---|
| `livereferrals_hits_lost_total{reason}` | hits that were answered and not recorded |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    import prometheus_client
except ImportError:
    HAS_CLIENT = False
else:
    HAS_CLIENT = True

if TYPE_CHECKING:
    from prometheus_client import Counter


def _counter() -> Counter | None:
    if not HAS_CLIENT:
        return None
    return prometheus_client.Counter("livereferrals_hits_lost", "Hits that were not recorded.", ["reason"])


_lost = _counter()


def lost(reason: str, *, number: int) -> None:
    """Count hits that are lost."""
    if _lost is not None:
        _lost.labels(reason).inc(number)

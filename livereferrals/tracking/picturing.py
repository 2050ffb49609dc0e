"""A link's address as a QR code, for print (D-07)."""

from __future__ import annotations

import io
from typing import Final

import segno

QUIET_ZONE: Final = 4
"""Modules of white around the code (ISO/IEC 18004)."""


def qr_code(address: str, *, title: str) -> bytes:
    """Return the code of an address as SVG, which prints sharp at any size."""
    out = io.BytesIO()
    code = segno.make(address, micro=False, error="m")
    code.save(out, kind="svg", border=QUIET_ZONE, light="white", scale=8, title=title)
    return out.getvalue()

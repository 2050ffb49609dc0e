"""Stamps: what tells a simulated visitor from a real one, wherever it is written down.

A stamp is the click id of the visitor's hits, and its name where it signs up. Click ids are kept with the hit, stand in
its event and in those of its confirmations, and need no column of their own. The seal makes sure that what is removed
again was made by `simulate`, and by nobody who has typed something like it.
"""

from __future__ import annotations

import re
import secrets
from typing import Final

from django.core.signing import Signer
from django.utils.crypto import constant_time_compare, salted_hmac

PREFIX: Final = "simulated-"
SALT: Final = "livereferrals.simulated"
SEAL: Final = 12
"""Characters of the seal."""
STAMP: Final = re.compile(rf"({PREFIX}([0-9a-f]{{6}})-\d{{1,9}})-([0-9a-f]{{{SEAL}}})")


def new_run() -> str:
    """Return a name for one run of `simulate`."""
    return secrets.token_hex(3)


def stamp(run: str, number: int) -> str:
    """Return the stamp of the visitor of this number: lower-case, so that it survives as a user name or in an address."""
    text = f"{PREFIX}{run}-{number}"
    return f"{text}-{_seal(text, key=Signer().key)}"


def run_of(text: str) -> str | None:
    """Return the run that a stamp is of; nothing for other text, and for a stamp that is not this project's."""
    found = STAMP.fullmatch(text)
    if found is None:
        return None
    signer = Signer()
    keys = (signer.key, *signer.fallback_keys)
    return found[2] if any(constant_time_compare(found[3], _seal(found[1], key=key)) for key in keys) else None


def _seal(text: str, *, key: str | bytes) -> str:
    return salted_hmac(SALT, text, secret=key, algorithm="sha256").hexdigest()[:SEAL]

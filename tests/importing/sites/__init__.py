"""Sites that use the older packages; run in environments of their own (`tests.importing.real`)."""

from __future__ import annotations

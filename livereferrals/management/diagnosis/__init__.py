"""What `manage.py livereferrals doctor` looks at, a module for each part; each tries the thing and says what to do."""

from __future__ import annotations

from livereferrals.management.diagnosis.examining import examine
from livereferrals.management.diagnosis.findings import Finding, Level

__all__ = ["Finding", "Level", "examine"]

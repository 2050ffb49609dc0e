"""`python -m livereferrals.client URL`."""

from __future__ import annotations

import sys

from livereferrals.client.command import main

if __name__ == "__main__":
    sys.exit(main())

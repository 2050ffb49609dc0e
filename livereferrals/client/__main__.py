"""`python -m livereferrals.client URL`."""

from __future__ import annotations

import sys

from livereferrals.client.command import main

sys.exit(main())

"""The shop: sign-up, orders, and the signal that an order is paid."""

from __future__ import annotations

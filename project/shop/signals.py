"""Signals of the shop."""

from __future__ import annotations

from django.dispatch import Signal

order_paid = Signal()
"""Sent by `Order` with `instance`, inside the transaction that marks the order paid."""

"""The shop's own signal."""

from __future__ import annotations

from django.dispatch import Signal

order_paid = Signal()
"""Sent with `order` when an order has been paid, inside the transaction that notes it; the sender is `Order`."""

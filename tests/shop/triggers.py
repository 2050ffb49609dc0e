"""The triggers that a server of the tests runs with (design, section 7)."""

from __future__ import annotations

from livereferrals.triggers import Trigger

TRIGGERS = [
    Trigger(
        "User registered",
        signal="django.db.models.signals.post_save",
        receiver="livereferrals.triggers.object_created",
        sender="auth.User",
    ),
    Trigger(
        "Order paid",
        signal="tests.shop.signals.order_paid",
        receiver="livereferrals.triggers.signal_sent",
        sender="shop.Order",
        user="customer",
        reference="number",
        amount="total",
        currency="currency",
    ),
]

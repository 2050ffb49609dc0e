"""What simulated visitors do in the shop: `manage.py livereferrals simulate --journey project.shop.simulation.ShopJourney`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from project.shop.models import Order
from project.traffic import TeaDrinkers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from django.contrib.auth.models import User


class ShopJourney(TeaDrinkers):
    """Sign-up and orders of tea, which can be taken away again."""

    def forget(self, users: Iterable[User]) -> None:
        """Remove the orders, which protect their customers."""
        Order._default_manager.filter(customer__in=users).delete()

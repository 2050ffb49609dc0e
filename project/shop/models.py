"""Orders."""

from __future__ import annotations

from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from project.shop.signals import order_paid


class Order(models.Model):
    """One tin of tea for one customer."""

    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="orders")
    tea = models.CharField(max_length=20)
    total = models.DecimalField(max_digits=8, decimal_places=2)
    currency = models.CharField(max_length=3)
    created_at = models.DateTimeField(auto_now_add=True)
    paid_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.number

    @property
    def number(self) -> str:
        """The order's number, as on the invoice."""
        return f"A-{1000 + self.pk}"

    def pay(self) -> None:
        """Mark the order as paid and tell whoever listens; one transaction."""
        with transaction.atomic():
            self.paid_at = timezone.now()
            self.save(update_fields=["paid_at"])
            order_paid.send(sender=Order, instance=self)

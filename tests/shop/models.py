"""A host project's own rows."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Order(models.Model):
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL)
    number = models.CharField(max_length=50)
    total = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, default="EUR")
    paid = models.BooleanField(default=False)

    def __str__(self) -> str:
        return self.number

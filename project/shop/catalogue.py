"""What the shop sells."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Tea:
    """One kind of tea, sold by the tin."""

    slug: str
    name: str
    note: str
    price: Decimal


TEAS = {
    tea.slug: tea
    for tea in (
        Tea(slug="assam", name="Assam", note="Malty and strong; takes milk.", price=Decimal("12.50")),
        Tea(slug="darjeeling", name="Darjeeling", note="First flush, light and floral.", price=Decimal("18.90")),
        Tea(slug="sencha", name="Sencha", note="Green, fresh, a little sweet.", price=Decimal("15.00")),
        Tea(slug="rooibos", name="Rooibos", note="No caffeine, all evening long.", price=Decimal("9.80")),
    )
}
CURRENCY = "EUR"

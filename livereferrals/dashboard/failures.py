"""Regions that could not be read or drawn: told to the log calmly, and to the viewer by a short reference."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

logger = logging.getLogger(__name__)

CALM_S: Final = 60.0
"""The same trouble is logged again after this long; frames try again every second."""


PARTS: Final[dict[str, _StrPromise]] = {
    "activity": _("What has happened lately"),
    "chart": _("The course over time"),
    "confirmation": _("The confirmation"),
    "confirmation_deliveries": _("Its deliveries"),
    "counters": _("The counters"),
    "delivery": _("The delivery"),
    "delivery_endpoint": _("The endpoint"),
    "delivery_endpoints": _("The endpoints"),
    "delivery_needs": _("What needs attention"),
    "events": _("The latest events"),
    "feed_notes": _("The notes on the feed"),
    "funnel": _("The funnel"),
    "latest": _("The latest confirmations"),
    "leaders": _("Who brings most"),
    "link": _("The link"),
    "link_hits": _("The link's hits"),
    "list": pgettext_lazy("part of a page", "The list"),
    "partner": _("The partner"),
    "partner_links": _("The partner's links"),
    "partner_servers": _("The partner's servers and tokens"),
    "system": _("How the system stands"),
    "trace": _("The trace"),
    "triggers": _("The triggers"),
    "visitor": _("The visitor"),
}
"""What people call the regions."""


class RegionError(Exception):
    """One region of a page could not be read; its cause says why."""

    def __init__(self, region: str) -> None:
        super().__init__(region)
        self.region = region


@dataclass(slots=True, kw_only=True)
class Journal:
    """What has failed lately, so that each trouble is logged once and keeps its reference."""

    _seen: dict[tuple[str, str, str], tuple[str, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, *, page: str, region: str, error: BaseException | None) -> str:
        """Log what went wrong and return the reference by which the log's entry is found."""
        key, now = (page, region, type(error).__name__), time.monotonic()
        with self._lock:
            reference, logged_at = self._seen.get(key, ("", 0.0))
            if reference and now - logged_at < CALM_S:
                return reference
            reference = reference or secrets.token_hex(4)
            self._seen[key] = (reference, now)
        logger.error(
            "The region %s of the page %s could not be shown (reference %s).",
            region,
            page,
            reference,
            exc_info=error,
            extra={"action": "region.failed", "page": page, "region": region, "reference": reference},
        )
        return reference


journal: Final = Journal()

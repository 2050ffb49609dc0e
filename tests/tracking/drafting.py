"""Drafts of hits for tests, and the rows that come of them."""

from __future__ import annotations

import json
from typing import Any

from django.db import connection
from django.utils import timezone

from livereferrals.events.models import Event
from livereferrals.tracking.drafts import HitDraft
from livereferrals.tracking.links import KnownLink
from livereferrals.tracking.models import ReferralHit, Visitor

AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120 Safari/537.36"


def make_draft(link: Any, **values: Any) -> HitDraft:
    """Make the draft of a hit on a link by a browser without cookie."""
    said: dict[str, Any] = {"now": timezone.now(), "entry_url": "/x", "user_agent": AGENT}
    return HitDraft(link=KnownLink.of(link), **said | values)


def stored(model: Any) -> list[dict[str, Any]]:
    """Return every column of every row as the database holds it, in the order of the ids."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {model._meta.db_table} ORDER BY id")  # noqa: S608 - our own name
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def all_stored() -> tuple[list[dict[str, Any]], ...]:
    """Return all rows that hits are made of, with places instead of what is drawn anew each time."""
    tables = [stored(model) for model in (Visitor, ReferralHit, Event)]
    names: dict[str, str] = {}
    for kind, rows in zip(("visitor", "hit", "event"), tables, strict=True):
        for place, row in enumerate(rows):
            for form in (str(row["id"]), _dashed(str(row["id"]))):
                names[form] = f"{kind} {place}"
    for row in tables[0]:
        row["created_at"] = type(row["created_at"])
    return tuple([_named(row, names) for row in rows] for rows in tables)


def _named(row: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    found = {column: names.get(str(value), value) for column, value in row.items()}
    if "data" in found:
        text = found["data"] if isinstance(found["data"], str) else json.dumps(found["data"])
        for drawn, name in names.items():
            text = text.replace(drawn, name)
        found["data"] = text
    return found


def _dashed(text: str) -> str:
    plain = text.replace("-", "")
    return f"{plain[:8]}-{plain[8:12]}-{plain[12:16]}-{plain[16:20]}-{plain[20:]}"

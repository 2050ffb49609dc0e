"""Looking at pages of the dashboard as different people."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING

from django.test import Client
from django.urls import reverse

from tests.dashboard.makers import make_viewer
from tests.factories import make_partner, make_staff

if TYPE_CHECKING:
    from livereferrals.tracking.models import Confirmation, Partner, ReferralHit, ReferralLink


def url_of(name: str, subject: object = "") -> str:
    """Return the address of a page."""
    return reverse(f"livereferrals_dashboard:{name}", args=[subject] if subject else None)


def browser(*codenames: str) -> Client:
    """Return the browser of somebody who has these rights besides the dashboard; of a superuser where none is named."""
    client = Client()
    client.force_login(make_viewer("view_dashboard", *codenames) if codenames else make_staff())
    return client


def partner_browser(**values: object) -> tuple[Client, Partner]:
    """Return the browser of a partner's own login, and the partner."""
    # Rights that mean nothing without `view_dashboard`.
    user = make_viewer("view_visitor", "reverse_confirmation", "export_referrals")
    client = Client()
    client.force_login(user)
    return client, make_partner(user=user, **values)


def partner_of(row: ReferralLink | ReferralHit | Confirmation) -> Partner:
    """Return the partner of a row that has one."""
    assert row.partner is not None
    return row.partner


def page(client: Client, name: str, subject: object = "", **query: str) -> str:
    """Return the markup of a page."""
    answer = client.get(url_of(name, subject), query)
    assert answer.status_code == 200, (name, answer.status_code)
    return answer.content.decode()


def row_ids(text: str, name: str) -> list[str]:
    """Return the keys of the rows of a list, in order."""
    return re.findall(rf'<tr id="{name}-([^"]+)"', text)


def exported(client: Client, name: str, **query: str) -> list[dict[str, str]]:
    """Return the rows of a list's export."""
    answer = client.get(url_of(f"{name}_export"), query)
    assert answer.status_code == 200, name
    text = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined] # an answer that streams
    return list(csv.DictReader(io.StringIO(text)))

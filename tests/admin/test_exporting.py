"""The filtered lists as CSV."""

from __future__ import annotations

import csv
import io
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import AsyncClient
from django.utils import timezone

from livereferrals.admin import exporting
from livereferrals.tracking.models import ReferralHit
from tests.admin.people import browser_of, colleague, list_url
from tests.dashboard import makers as happened
from tests.factories import (
    home_link,
    make_confirmation,
    make_delivery,
    make_hit,
    make_link,
    make_partner,
    make_staff,
    make_user,
)

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

MODELS = ("partner", "referralhit", "confirmation", "delivery")


def export_url(model: str) -> str:
    return f"{list_url(model)}export/"


def export(browser: Client, model: str, query: str = "") -> list[dict[str, str]]:
    """Return the rows of an export as a spreadsheet reads them."""
    answer: Any = browser.post(f"{export_url(model)}?{query}")
    assert answer.status_code == 200
    assert answer.streaming
    text = b"".join(answer.streaming_content).decode("utf-8")
    assert text.startswith("\N{BOM}")
    return list(csv.DictReader(io.StringIO(text.removeprefix("\N{BOM}"), newline="")))


def test_button_exports_the_list_as_it_is_filtered(staff: Client) -> None:
    """D-24: the button keeps filters and search."""
    acme = make_partner(name="Acme")
    hit = make_hit(link=home_link(acme))
    make_hit()
    page = staff.get(list_url("referralhit"), {"partner": "Acme"}).content.decode()
    assert f'action="{export_url("referralhit")}?partner=Acme"' in page
    assert [row["id"] for row in export(staff, "referralhit", "partner=Acme")] == [str(hit.pk)]
    assert [row["id"] for row in export(staff, "referralhit", f"q={hit.visitor_id}")] == [str(hit.pk)]
    assert len(export(staff, "referralhit")) == 2


def test_export_of_each_list_has_its_columns(staff: Client) -> None:
    """D-24: partners, hits, confirmations, deliveries."""
    partner = make_partner(name="Acme", active=True)
    user = make_user(username="bob")
    hit = make_hit(link=home_link(partner), user=user, created_at=datetime(2026, 3, 5, 22, 30, tzinfo=UTC))
    confirmation = make_confirmation(hit=hit, amount="1234.50", reference="A-1")
    delivery = make_delivery(confirmation=confirmation)

    [row] = export(staff, "referralhit")
    assert (row["link"], row["partner"], row["partner_uid"], row["user"]) == (partner.uid, "Acme", partner.uid, "bob")
    assert row["time"] == "2026-03-05T23:30:00+01:00"
    assert row["bot"] == "no"
    [row] = export(staff, "confirmation")
    assert (row["amount"], row["currency"], row["reversed_amount"]) == ("1234.50", "EUR", "0.00")
    assert (row["reference"], row["link"], row["hit"]) == ("A-1", partner.uid, str(hit.pk))
    [row] = export(staff, "delivery")
    assert (row["id"], row["state"], row["reference"], row["trigger"]) == (
        str(delivery.pk),
        "waiting",
        "A-1",
        "Order paid",
    )
    happened.confirmed(home_link(partner))
    [row] = export(staff, "partner")
    assert (row["uid"], row["name"], row["active"], row["confirmations_30_days"]) == (partner.uid, "Acme", "yes", "1")


def test_numbers_of_currencies_are_theirs(staff: Client) -> None:
    """D-24: a dot, the currency's own digits, and the currency in a column of its own."""
    make_confirmation(amount="1250", currency="JPY", reference="yen")
    make_confirmation(amount="1.25", currency="KWD", reference="dinar")
    make_confirmation(reference="none")
    rows = {row["reference"]: (row["amount"], row["currency"]) for row in export(staff, "confirmation")}
    assert rows == {"yen": ("1250", "JPY"), "dinar": ("1.250", "KWD"), "none": ("", "")}


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"], ids=["=", "+", "-", "@", "tab", "cr"])
def test_cell_that_a_spreadsheet_would_run_is_made_harmless(staff: Client, start: str) -> None:
    """D-24: whoever can put a text into a link's query must not run anything on a colleague's machine."""
    evil = f'{start}HYPERLINK("https://evil.example")'
    make_hit(click_id=evil, sub1=f"{start}1", referer=evil)
    [row] = export(staff, "referralhit")
    assert row["click_id"] == f"'{evil}"
    assert row["sub1"] == f"'{start}1"
    assert all(not re.match(r"[=+\-@\t\r]", value) for value in row.values())


def test_cell_with_quotes_lines_and_unicode_survives(staff: Client) -> None:
    """D-24"""
    text = 'a "quoted", b;\nnext line, Grüße \N{PARTY POPPER}'
    make_hit(click_id=text)
    assert export(staff, "referralhit")[0]["click_id"] == text


def test_rows_are_read_piece_by_piece(staff: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    """D-24: streamed, and no row is lost or doubled where two pieces meet."""
    monkeypatch.setattr(exporting, "CHUNK", 10)
    link = make_link()
    ReferralHit.objects.bulk_create([ReferralHit(link=link, created_at=timezone.now()) for _ in range(30)])
    answer: Any = staff.post(export_url("referralhit"))
    pieces = list(answer.streaming_content)
    assert len(pieces) == 4
    ids = [row["id"] for row in export(staff, "referralhit")]
    assert sorted(ids) == sorted(map(str, ReferralHit.objects.values_list("pk", flat=True)))
    assert len(export(staff, "referralhit", "link=nowhere")) == 0


@pytest.mark.django_db(transaction=True)
async def test_export_streams_under_asgi_too() -> None:
    """D-24: an ASGI server gets it in pieces, without a warning that all of it was collected."""
    from channels.db import database_sync_to_async

    user = await database_sync_to_async(make_staff)()
    hit = await database_sync_to_async(make_hit)()
    client = AsyncClient()
    await client.aforce_login(user)
    answer: Any = await client.post(export_url("referralhit"))
    assert answer.is_async
    text = b"".join([piece async for piece in answer.streaming_content]).decode()
    assert str(hit.pk) in text


def test_export_is_in_the_admins_log(staff: Client) -> None:
    """D-27: who took which list away."""
    export(staff, "referralhit", "flag=bot")
    entry = LogEntry.objects.get()
    assert entry.object_repr == "Export of hits"
    assert "flag=bot" in entry.change_message
    assert staff.get("/admin/").status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_export_needs_its_permission(model: str) -> None:
    """D-24, D-25: no button without it, 403 by direct POST; and the list itself must be open to the user."""
    viewer = browser_of(colleague(f"view_{model}"))
    assert "export/" not in viewer.get(list_url(model)).content.decode()
    assert viewer.post(export_url(model)).status_code == 403
    assert browser_of(colleague("export_referrals")).post(export_url(model)).status_code == 403
    exporter = browser_of(colleague(f"view_{model}", "export_referrals"))
    assert export_url(model) in exporter.get(list_url(model)).content.decode()
    assert exporter.post(export_url(model)).status_code == 200
    assert exporter.get(export_url(model)).status_code == 405


def test_export_leaves_out_what_its_reader_may_not_see() -> None:
    """D-24, D-25: no people without `view_visitor`, no amounts without `view_amounts`."""
    make_confirmation(hit=make_hit(user=make_user(username="bob")), amount="49.90")
    rights = ("view_confirmation", "view_referralhit", "export_referrals")
    blind = browser_of(colleague(*rights))
    assert not {"user", "visitor", "amount", "currency", "reversed_amount"} & export(blind, "confirmation")[0].keys()
    assert not {"user", "visitor"} & export(blind, "referralhit")[0].keys()
    seeing = browser_of(colleague(*rights, "view_visitor", "view_amounts"))
    assert {"user", "visitor", "amount", "currency"} <= export(seeing, "confirmation")[0].keys()


def test_filter_that_nobody_can_mean_exports_nothing(staff: Client) -> None:
    """D-24: it leads back to the list."""
    assert staff.post(f"{export_url('partner')}?active__exact=maybe").status_code in {200, 302}
    assert staff.post(f"{export_url('delivery')}?nonsense=1").status_code in {302, 400}

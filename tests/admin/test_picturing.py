"""The QR code of a link."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest
import segno

from livereferrals.tracking.models import ReferralLink
from tests.admin.people import act_url, browser_of, change_url, colleague
from tests.factories import make_link

if TYPE_CHECKING:
    from django.test import Client

pytestmark = pytest.mark.django_db

SVG = "{http://www.w3.org/2000/svg}"


def dark_path(svg: bytes) -> str:
    """Return the shape of a picture's dark modules."""
    drawn = [path for path in ET.fromstring(svg).iter(f"{SVG}path") if path.get("class") == "qrline"]  # noqa: S314 - our own
    return drawn[0].attrib["d"]


def test_page_of_a_link_has_its_qr_code(staff: Client) -> None:
    """D-07: with words for those who cannot see it, and a file for print."""
    link = make_link(identifier="spring")
    page = staff.get(change_url(link)).content.decode()
    assert f'src="{act_url(link, "qr")}"' in page
    assert 'alt="QR code of the link spring"' in page
    assert 'download="spring.svg"' in page


def test_qr_code_leads_to_the_link_on_this_site(staff: Client) -> None:
    """D-07: what a camera reads is the whole address."""
    link = make_link(identifier="spring")
    answer = staff.get(act_url(link, "qr"), headers={"host": "shop.example"})
    assert answer["Content-Type"] == "image/svg+xml"
    expected = segno.make("http://shop.example/ref/spring", micro=False, error="m")
    assert dark_path(answer.content) == dark_path(
        expected.svg_inline(border=4, scale=8).encode().replace(b"<svg", b'<svg xmlns="http://www.w3.org/2000/svg"')
    )


def test_identifier_in_any_script_has_a_qr_code(staff: Client) -> None:
    """D-07, D-28"""
    assert staff.get(act_url(make_link(identifier="frühling_春"), "qr")).status_code == 200


def test_qr_code_needs_to_see_links() -> None:
    """D-25"""
    link = make_link()
    assert browser_of(colleague("view_partner")).get(act_url(link, "qr")).status_code == 403
    assert browser_of(colleague("view_referrallink")).get(act_url(link, "qr")).status_code == 200


@pytest.mark.parametrize("pk", [str(uuid.uuid4()), "nonsense"], ids=["unknown", "no-id"])
def test_unknown_link_has_no_qr_code(staff: Client, pk: str) -> None:
    """D-07"""
    assert staff.get(act_url(ReferralLink(pk=pk), "qr")).status_code == 404

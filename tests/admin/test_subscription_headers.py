"""A subscription's fixed headers on its page in the admin: one a line, secret values never shown again."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.views.debug import SafeExceptionReporterFilter

from livereferrals.callbacks.models import Subscription
from tests.factories import make_subscription, make_user

pytestmark = pytest.mark.django_db
VALUE = "pekoe-4711"
KEY = {"name": "X-Api-Key", "value": VALUE, "secret": True}
SHOP = {"name": "X-Shop", "value": "tea", "secret": False}
GOOD = "https://partner.example/hook?c={confirmation_id}"


def page_of(row: Subscription) -> str:
    return reverse("admin:livereferrals_subscription_change", args=[row.pk])


def post(staff: Client, row: Subscription, **values: str) -> Any:
    """Save the subscription's page with these values."""
    data = {"trigger": row.trigger, "callback_url": GOOD, "method": "POST", "timeout_s": 15, "max_in_flight": 4}
    return staff.post(page_of(row), {**data, **values})


def saved(staff: Client, row: Subscription, **values: str) -> list[dict[str, Any]]:
    assert post(staff, row, **values).status_code == 302
    row.refresh_from_db()
    found: list[dict[str, Any]] = row.headers
    return found


def test_headers_are_written_one_a_line(staff: Client) -> None:
    """callback-S7: however a browser ends lines; a name that says so makes the value secret wherever it was typed"""
    row = make_subscription()
    lines = f"X-Shop: tea\r\n\r\n  X-Api-Key :  {VALUE} \r\n"
    assert saved(staff, row, plain_headers=lines, secret_headers="X-House: a:b") == [
        SHOP,
        KEY,
        {"name": "X-House", "value": "a:b", "secret": True},
    ]
    assert saved(staff, row, plain_headers="", secret_headers="") == []


def test_a_secret_value_is_not_shown_again_and_can_be_kept(staff: Client) -> None:
    """callback-S11: nor in what is written down of the change"""
    row = make_subscription(headers=[SHOP, KEY])
    page = staff.get(page_of(row)).content.decode()
    assert "X-Shop: tea</textarea>" in page
    assert "X-Api-Key: ***</textarea>" in page
    assert VALUE not in page
    assert saved(staff, row, plain_headers="X-Shop: tea\r\n", secret_headers="x-api-key: ***") == [
        SHOP,
        KEY | {"name": "x-api-key"},
    ]
    assert saved(staff, row, plain_headers="", secret_headers="x-api-key: oolong-1") == [
        {"name": "x-api-key", "value": "oolong-1", "secret": True}
    ]
    told = " ".join(LogEntry.objects.values_list("change_message", flat=True))
    assert "Secret headers" in told
    assert VALUE not in told
    assert "oolong" not in told


def test_saving_the_page_as_it_is_changes_nothing(staff: Client) -> None:
    """callback-S11: line ends of a browser are no change, and a page without the fields takes nothing away"""
    row = make_subscription(headers=[SHOP, {"name": "X-House", "value": "tea", "secret": False}, KEY])
    before = row.headers
    lines = {"plain_headers": "X-Shop: tea\r\nX-House: tea", "secret_headers": "X-Api-Key: ***"}
    assert saved(staff, row, send_reversals="on", callback_url=row.callback_url, method=row.method, **lines) == before
    assert LogEntry.objects.latest("pk").change_message == "[]"
    assert saved(staff, row) == before


@pytest.mark.parametrize(
    ("field", "lines", "words"),
    [
        ("plain_headers", "X-Shop: tea\nX-House", "Line 2: Write a name, a colon and a value"),
        ("plain_headers", "X House: tea", "Line 1: “X House” is no name of a header."),
        ("plain_headers", "\nhost : tea", "Line 2: The header host is set by the system."),
        ("secret_headers", "X-A: tea\nX-B: thé", "Line 2: The value of X-B may hold up to 1024 printable ASCII"),
        ("secret_headers", "X-New: ***", "Line 1: No value of X-New is stored."),
        ("plain_headers", "X-Api-Key: ***", "Line 1: *** stands for the stored value of a secret header."),
        ("plain_headers", "X-Shop: tea\nx-shop: tea", "Each header can be given once."),
        ("plain_headers", "\n".join(f"X-{number}: tea" for number in range(11)), "At most 10 headers can be sent."),
    ],
    ids=["no colon", "name", "system's", "value", "nothing to keep", "revealed", "twice", "eleven"],
)
def test_each_mistake_is_told_at_its_line(staff: Client, field: str, lines: str, words: str) -> None:
    """callback-S7: by the rules that hold for the model and before sending"""
    row = make_subscription(headers=[KEY])
    response = post(staff, row, **{"plain_headers": "", "secret_headers": "", field: lines})
    assert response.status_code == 200
    errors = response.context["adminform"].form.errors
    assert list(errors) == [field]
    assert errors[field][0].startswith(words)
    row.refresh_from_db()
    assert row.headers == [KEY]


def test_several_mistakes_are_told_together(staff: Client) -> None:
    """callback-S7: one message for each line"""
    response = post(staff, make_subscription(), plain_headers="a\nb", secret_headers="c")
    errors = response.context["adminform"].form.errors
    assert [len(errors[name]) for name in ("plain_headers", "secret_headers")] == [2, 1]


def test_what_was_typed_is_not_in_what_a_report_of_an_error_says_was_posted(staff: Client) -> None:
    """callback-S11: as Django's own reports are made"""
    request = post(
        staff, make_subscription(), plain_headers=f"X-Tea: {VALUE}", secret_headers=f"X-A: {VALUE}"
    ).wsgi_request
    reported = SafeExceptionReporterFilter().get_post_parameters(request)
    assert VALUE in request.POST["secret_headers"]
    assert VALUE not in str(reported)
    assert reported["callback_url"] == GOOD


def test_who_may_only_look_sees_no_secret_value() -> None:
    """callback-S11: nor the column as it is stored"""
    row = make_subscription(headers=[SHOP, KEY])
    looker = make_user(is_staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_subscription"))
    client = Client()
    client.force_login(looker)
    page = client.get(page_of(row)).content.decode()
    assert "X-Shop: tea" in page
    assert "X-Api-Key: ***" in page
    assert VALUE not in page


def test_a_column_that_cannot_be_sent_is_told_and_can_be_mended(staff: Client) -> None:
    """callback-S6: a row changed by hand"""
    row = make_subscription()
    Subscription.objects.filter(pk=row.pk).update(headers=[{"name": "Host", "value": VALUE}])
    page = staff.get(page_of(row)).content.decode()
    assert "is replaced by what you write: The header Host is set by the system." in page
    assert VALUE not in page
    assert post(staff, row).context["adminform"].form.errors == {
        "plain_headers": ["The header Host is set by the system."]
    }
    assert saved(staff, row, plain_headers="X-Shop: tea", secret_headers="") == [SHOP]


def test_a_partners_page_tells_of_what_only_the_subscriptions_page_has(staff: Client) -> None:
    """callback-S6: and takes no headers away"""
    row = make_subscription(headers=[KEY])
    url = reverse("admin:livereferrals_partner_change", args=[row.partner_id])
    form = staff.get(url).context["adminform"].form
    data = {name: "" if value is None else value for name, value in form.initial.items()}
    inline = {
        "TOTAL_FORMS": 1,
        "INITIAL_FORMS": 1,
        "0-id": row.pk,
        "0-partner": row.partner_id,
        "0-trigger": row.trigger,
        "0-callback_url": GOOD,
        "0-method": "POST",
    }
    formset = {f"subscriptions-{name}": value for name, value in inline.items()}
    others = {"links-TOTAL_FORMS": 0, "links-INITIAL_FORMS": 0}
    assert staff.post(url, {**data, **formset, **others}).status_code == 302
    row.refresh_from_db()
    assert (row.callback_url, row.headers) == (GOOD, [KEY])
    Subscription.objects.filter(pk=row.pk).update(headers=[{"name": "Host", "value": "x"}])
    page = staff.post(url, {**data, **formset, **others})
    assert page.status_code == 200
    assert "headers: The header Host is set by the system." in page.content.decode()

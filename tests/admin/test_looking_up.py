"""Names that lead where nobody may call: staff are warned when they enter one, and may save it all the same."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from livereferrals.callbacks import looking_up
from livereferrals.models import Subscription
from tests.admin.people import change_url
from tests.factories import PASSWORD, make_staff, make_subscription
from tests.nameserver import Names, NameServer, name_server
from tests.ports import HOST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.test import Client

REFUSED = "cannot be called at present (refused: private address)"


@pytest.mark.once
@pytest.mark.parametrize(
    ("answer", "is_refused"),
    [
        (["10.0.0.7"], True),
        (["fd00::1", "169.254.169.254"], True),
        (["10.0.0.7", "93.184.216.34"], False),
        (["93.184.216.34"], False),
        ("unknown", False),
        ("fails", False),
        ([], False),
    ],
    ids=str,
)
def test_warning_is_of_names_without_any_allowed_address(answer: Any, is_refused: bool) -> None:
    """callback-S1, callback-S14: a name that is not there yet is no reason to warn; no address is told."""
    with name_server() as server:
        server.names["partner.example"] = answer
        said = looking_up.warning_about("https://partner.example/", plain_http=False, resolver=Names(server))
    assert (REFUSED in said) == is_refused
    assert "10.0.0.7" not in said


@pytest.mark.once
@pytest.mark.parametrize(
    "url", ["", "nonsense", "http://partner.example/", "https://10.0.0.1/", "https://93.184.216.34/"]
)
def test_nothing_is_looked_up_that_the_form_has_judged(url: str) -> None:
    """callback-S1: literal addresses, and what is no address at all."""
    with name_server() as server:
        assert looking_up.warning_about(url, plain_http=False, resolver=Names(server)) == ""
        assert not server.asked


@pytest.fixture
def name_servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    """Name servers of this machine."""
    with name_server() as server:
        monkeypatch.setattr(
            aiohttp, "AsyncResolver", partial(aiohttp.AsyncResolver, nameservers=[f"{HOST}:{server.port}"])
        )
        yield server


@pytest.mark.django_db(transaction=True)
def test_form_warns_and_saves(client: Client, name_servers: NameServer) -> None:
    """callback-S1: by the name servers of the machine, after the row is there; not again for what stays."""
    name_servers.names["partner.example"] = ["10.0.0.7"]
    client.login(username=make_staff(username="ann").get_username(), password=PASSWORD)
    row = make_subscription(callback_url="https://old.example/")
    data: dict[str, Any] = {"trigger": row.trigger, "callback_url": "https://partner.example/cb"}
    data |= {"method": "POST", "send_reversals": "on", "reversal_url": "", "timeout_s": 15, "max_in_flight": 4}
    page = client.post(change_url(row), data, follow=True).content.decode()
    assert f"partner.example {REFUSED}" in page
    assert Subscription.objects.get().callback_url == "https://partner.example/cb"
    assert REFUSED not in client.post(change_url(row), data, follow=True).content.decode()

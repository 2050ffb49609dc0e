"""The demo as its user meets it: started, used over HTTP, stopped, started again."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import stat
import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.project.running import Browser, Demo, calls, running_demo
from tests.servers import ROOT, postgres_server
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.once

Keys = dict[str, Any]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo without traffic that tests share; they leave it running."""
    with running_demo(tmp_path_factory.mktemp("shared") / "demo") as demo:
        demo.start()
        yield demo


@pytest.fixture
def keys(shared: Demo) -> Keys:
    """Access to the shared demo."""
    found: Keys = json.loads((shared.directory / "access.json").read_text())
    return found


@pytest.fixture
def demo(tmp_path: Any) -> Iterator[Demo]:
    """A demo that has not been started yet."""
    with running_demo(tmp_path / "demo") as demo:
        yield demo


def customer(keys: Keys, link: str) -> Browser:
    """Return the browser of somebody who has followed the link, signed up and bought."""
    browser = Browser()
    browser.open(link)
    password = secrets.token_hex(8)
    name = f"user-{secrets.token_hex(4)}"
    signed_up = browser.submit(keys["shop"]["signup_url"], username=name, password1=password, password2=password)
    assert name in signed_up
    bought = browser.submit(keys["shop"]["buy_url"])
    assert "paid" in bought
    return browser


def staff(keys: Keys) -> Browser:
    """Return a browser in which the staff user has logged in."""
    browser = Browser()
    browser.submit(keys["shop"]["login_url"], **keys["staff"])
    return browser


def test_access_has_every_key_and_absolute_urls(keys: Keys) -> None:
    shape = {key: set(value) if isinstance(value, dict) else str for key, value in keys.items()}
    assert shape == {
        "base_url": str,
        "dashboard_url": str,
        "admin_url": str,
        "staff": {"username", "password"},
        "shop": {"signup_url", "login_url", "logout_url", "buy_url"},
        "partner": {"uid", "name", "link_url", "param_url"},
        "user_link": {"link_url", "param_url"},
        "feed": {"ws_url", "sse_url", "poll_url", "ticket_url", "token"},
        "receiver": {"url", "log_url"},
    }
    base, uid = keys["base_url"], keys["partner"]["uid"]
    assert keys["partner"]["link_url"] == f"{base}/ref/{uid}"
    assert keys["partner"]["param_url"] == f"{base}/?affiliate_id={uid}"
    assert keys["feed"]["ws_url"].startswith("ws://")
    for group in keys.values():
        for name, text in group.items() if isinstance(group, dict) else ():
            assert not name.endswith("url") or re.match(r"(http|ws)://127\.0\.0\.1:\d+/", text), name


def test_first_page_is_ordinary_with_any_query(keys: Keys) -> None:
    """P-04"""
    browser = Browser()
    query = "?ref=nobody&x=1&x=&%ff=%00"
    assert "Tea" in browser.open(f"{keys['base_url']}/{query}")
    assert browser.url.endswith(query)
    assert not browser.cookies


@pytest.mark.parametrize("form", ["link_url", "param_url"])
def test_partner_is_called_for_a_sign_up_and_an_order(keys: Keys, form: str) -> None:
    """L-01 P-10 S-34"""
    before = len(calls(keys))
    customer(keys, keys["partner"][form])
    new = wait_until(lambda: calls(keys)[before:] if len(calls(keys)) >= before + 2 else [], what="Two calls")
    assert {json.loads(call["body"])["data"]["trigger"] for call in new} == {"User registered", "Order paid"}
    assert set(new[0]) == {"time", "method", "path", "query", "headers", "body"}
    order = next(call for call in new if "Order paid" in call["body"])
    assert json.loads(order["body"])["data"]["amount"] == "12.50"


def test_nobody_is_called_for_a_users_link(keys: Keys) -> None:
    """S-38"""
    before = len(calls(keys))
    customer(keys, keys["user_link"]["param_url"])
    customer(keys, keys["partner"]["link_url"])
    new = wait_until(lambda: calls(keys)[before:] if len(calls(keys)) >= before + 2 else [], what="Two calls")
    assert len(new) == 2


def test_greeting_names_the_partner(keys: Keys) -> None:
    """V-05"""
    assert keys["partner"]["name"] in Browser().open(keys["partner"]["link_url"])


def test_logging_out_takes_one_form(keys: Keys) -> None:
    browser = staff(keys)
    assert "Log out" in browser.open(keys["base_url"])
    assert "Log in" in browser.submit(keys["shop"]["logout_url"])


@pytest.mark.parametrize("place", ["dashboard_url", "admin_url"])
def test_staff_get_in_with_the_printed_password(keys: Keys, place: str) -> None:
    """dashboard-1"""
    browser = staff(keys)
    browser.open(keys[place])
    assert browser.url == keys[place]


def test_customer_who_is_not_logged_in_comes_back_to_the_page(keys: Keys) -> None:
    browser = Browser()
    browser.open(keys["shop"]["buy_url"])
    assert browser.url.endswith("/login/?next=/buy/")
    browser.submit(browser.url, **keys["staff"])
    assert browser.url == keys["shop"]["buy_url"]


@pytest.mark.parametrize("path", ["/static/shop/shop.css", "/static/admin/css/base.css"])
def test_static_files_are_served_without_debug(keys: Keys, path: str) -> None:
    browser = Browser()
    browser.open(f"{keys['base_url']}{path}")
    assert browser.headers["Content-Type"].startswith("text/css")


def test_readme_feed_example_prints_what_happens(keys: Keys, tmp_path: Any) -> None:
    """feed-18"""
    code = next(
        block
        for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
        if "FeedClient" in block
    )
    (tmp_path / ".demo").mkdir()
    (tmp_path / ".demo/access.json").write_text(json.dumps(keys))
    printed = tmp_path / "printed"

    def has_printed_a_hit() -> bool:
        Browser().open(keys["partner"]["link_url"])
        return " hit {" in printed.read_text()

    with printed.open("w") as output:
        reader = subprocess.Popen([sys.executable, "-u", "-c", code], cwd=tmp_path, stdout=output)  # noqa: S603 - ours
    try:
        wait_until(has_printed_a_hit, what="A hit on the feed")
    finally:
        reader.kill()
        reader.wait()


def test_sigterm_ends_it_with_0_and_leaves_no_process(demo: Demo) -> None:
    demo.start()
    demo.send(signal.SIGTERM)
    assert demo.wait() == 0, demo.output()
    assert demo.group_is_gone()
    assert not (demo.directory / "access.json").exists()
    assert "Fatal" not in (demo.directory / "server.log").read_text()


def test_ctrl_c_ends_it_with_0_and_the_next_start_keeps_data_password_and_token(demo: Demo) -> None:
    first = demo.start()
    customer(first, first["partner"]["link_url"])
    wait_until(lambda: len(calls(first)) == 2, what="Two calls")
    demo.press_ctrl_c()
    assert demo.wait() == 0, demo.output()
    assert demo.group_is_gone()
    second = demo.start()
    assert second == first
    assert len(calls(second)) == 2
    assert "A-1001" in staff(second).open(f"{second['admin_url']}livereferrals/confirmation/")


def test_killed_server_ends_the_demo_and_the_next_start_has_everything(demo: Demo) -> None:
    """L-10 callback-F31"""
    first = demo.start()
    customer(first, first["partner"]["link_url"])
    os.kill(demo.server_pid(), signal.SIGKILL)
    assert demo.wait() == 1
    assert "ended by itself" in demo.output()
    second = demo.start()
    wait_until(lambda: len({call["headers"]["webhook-id"] for call in calls(second)}) == 2, what="Both deliveries")


def test_killed_demo_takes_its_server_along(demo: Demo) -> None:
    demo.start()
    demo.send(signal.SIGKILL)
    wait_until(demo.group_is_gone, what="The end of the server")


@pytest.mark.parametrize("name", ["access.json", "secrets.json"])
def test_secrets_are_for_this_user_alone(shared: Demo, name: str) -> None:
    assert stat.S_IMODE((shared.directory / name).stat().st_mode) == 0o600


def test_visitors_follow_links_sign_up_and_buy_over_http(tmp_path: Any) -> None:
    with running_demo(tmp_path / "demo", TRAFFIC="on", TRAFFIC_PACE="20") as demo:
        keys = demo.start()
        for said in (r"\w+ followed /", r"\w+ signed up", r"\w+ bought \w+"):
            wait_until(partial(demo.has_printed, said), what=said)
        wait_until(lambda: calls(keys), what="A call to the partner")
        demo.send(signal.SIGTERM)
        assert demo.wait() == 0, demo.output()
        assert "turned away" not in demo.output()


def test_it_runs_on_postgresql_and_valkey(tmp_path: Any, valkey_url: str) -> None:
    with (
        postgres_server() as database,
        running_demo(tmp_path / "demo", DATABASE_URL=database, REDIS_URL=valkey_url) as demo,
    ):
        keys = demo.start()
        customer(keys, keys["partner"]["link_url"])
        wait_until(lambda: len(calls(keys)) == 2, what="Two calls")
        assert not (demo.directory / "db.sqlite3").exists()
        demo.send(signal.SIGTERM)
        assert demo.wait() == 0, demo.output()


def test_taken_port_is_told_with_what_to_do(shared: Demo, tmp_path: Any) -> None:
    with running_demo(tmp_path / "demo", PORT=str(shared.port)) as demo:
        demo.launch()
        assert demo.wait() == 1
        assert f"make demo PORT={shared.port + 1}" in demo.output()

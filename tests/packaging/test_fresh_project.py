"""The wheel in an empty environment, and a new project made by following the tutorial to the letter: it works."""

from __future__ import annotations

import json
import re
import socket
from html import unescape
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest

from tests.browsing import TOKEN, Browser
from tests.docs.pages import DOCS
from tests.packaging.building import build
from tests.packaging.following import PASSWORD, Reader, ctrl_c, section_of, serving
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tests.browsing import Page

pytestmark = pytest.mark.once

TUTORIAL = DOCS / "tutorial.md"
SUBSCRIPTION = re.compile(r"(/admin/livereferrals/subscription/\d+/)change/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = build(tmp_path_factory.mktemp("wheel"), "--wheel").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def reader(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has followed the tutorial until there is a partner; the server runs."""
    someone = Reader(tmp_path_factory.mktemp("reader"), wheel)
    someone.follow(TUTORIAL, "1. A project")
    someone.follow(TUTORIAL, "2. A shop that knows nothing of referrals")
    said = someone.follow(TUTORIAL, "3. Five edits")
    assert "System check identified no issues (0 silenced)." in said
    assert "Superuser created successfully." in said
    log = tmp_path_factory.mktemp("log") / "server.log"
    with serving(someone, log):
        assert "Starting ASGI/Daphne" in log.read_text()
        uid, path = someone.follow(TUTORIAL, "4. A partner").split()
        assert path == f"/ref/{uid}"
        someone.given["<uid>"] = uid
        yield someone


def staff(reader: Reader) -> Browser:
    browser = Browser(reader.base)
    form = "/admin/login/?next=/referrals/"
    answer = browser.submit(form, username="staff", password=PASSWORD, next="/referrals/")
    assert answer.status == 302, answer.text
    return browser


def number(page: Page, name: str) -> int:
    """Return a number of the dashboard's counters."""
    counters = page.text.partition('id="counters"')[2].partition("</dl>")[0]
    found = re.search(rf"<dt[^>]*>(?:<[^>]+>|\s)*{name}.*?<dd[^>]*>(?:<[^>]+>|\s)*(\d+)", counters, re.DOTALL)
    assert found is not None, counters
    return int(found[1])


def test_the_tutorial_leads_to_live_conversions(reader: Reader) -> None:
    """O-08 From the fifth section on: watch, ask, tell the partner, call it, greet, test."""
    uid = reader.given["<uid>"]
    watching = staff(reader)
    before = number(watching.visit("/referrals/"), "Hits")

    # 5. Watch
    visitor = Browser(reader.base)
    followed = visitor.request(f"/ref/{uid}")
    assert (followed.status, followed.headers["Location"]) == (302, "/")
    wait_until(lambda: number(watching.visit("/referrals/"), "Hits") == before + 1, what="The hit on the dashboard")
    assert visitor.submit("/signup/", username="ann", password1=PASSWORD, password2=PASSWORD).status == 302
    buy(visitor)
    wait_until(lambda: number(watching.visit("/referrals/"), "Confirmations") == 2, what="Both on the dashboard")
    shown = watching.visit("/referrals/").text
    for text in ("User registered", "Order paid", "12.50", "Acme"):
        assert text in shown, text

    # 6. Ask why; a person takes longer than a server that has just begun to say that it has a worker.
    wait_until(
        lambda: "1 makes deliveries" in reader.run("python manage.py livereferrals doctor || true"), what="A worker"
    )
    said = reader.follow(TUTORIAL, "6. Ask why")
    assert re.search(r"^0 errors", said, re.MULTILINE)
    assert "Acme" in said

    # 7. Tell the partner
    create, client = section_of(TUTORIAL, "7. Tell the partner")
    reader.given["<token>"] = reader.type(reader.filled_in(create.code.strip())).split()[0]
    export, command = (reader.filled_in(line) for line in client.code.splitlines())
    reader.type(export)
    place = reader.directory / "feed.cursor"

    def stored(line: str) -> None:  # a person is not faster than the client
        wait_until(lambda: place.exists() and json.loads(line)["cursor"] in place.read_text(), what="The cursor")

    events = [json.loads(line) for line in reader.lines_of(command, until='"Order paid"', then=stored)]
    types = [event["type"] for event in events]
    assert "hit" in types
    assert (types.count("claim"), types.count("confirmation")) == (1, 2)
    buy(visitor)
    (event,) = map(json.loads, reader.lines_of(command, until='"Order paid"', then=stored))
    assert event["cursor"] not in {known["cursor"] for known in events}

    # 8. Call the partner
    assert_partner_is_called(reader, watching, visitor)

    # 9. Greet people, give them links
    reader.follow(TUTORIAL, "9. Greet people, give them links")
    wait_until(lambda: "Welcome, reader of Acme." in visitor.visit("/").text, what="The greeting")
    assert re.search(rf"Share your own link: {reader.base}/ref/[\w-]+", visitor.visit("/").text)

    # 10. Test it
    assert "OK" in reader.follow(TUTORIAL, "10. Test it")


def assert_partner_is_called(reader: Reader, admin: Browser, visitor: Browser) -> None:
    """Follow the section of the partner's server: a test callback, then an order; Ctrl-C ends it without a traceback."""
    receiver, setting, commands = section_of(TUTORIAL, "8. Call the partner")
    (found,) = set(SUBSCRIPTION.findall(admin.visit("/admin/livereferrals/subscription/?q=Order+paid").text))
    reader.put(receiver)
    reader.put(setting)  # the server starts anew
    url = f"http://127.0.0.1:{reader.partner_port}/"
    fields = {
        "trigger": "Order paid",
        "method": "POST",
        "send_reversals": "on",
        "timeout_s": "15",
        "max_in_flight": "4",
    }
    wait_until(
        lambda: is_saved(admin, f"{found}change/", **fields, callback_url=url, allow_plain_http="on"),
        what="The server with the new setting",
    )
    shown = admin.submit(f"{found}secrets/", act="reveal").text
    (reader.given["<secret>"],) = re.findall(r"whsec_[\w+/=]+", unescape(shown))
    activate, start = (reader.filled_in(line) for line in commands.code.splitlines())
    reader.type(activate)
    with reader.started(start) as process:
        assert process.stdout is not None
        wait_until(lambda: is_open(reader.partner_port), what="The partner's server")
        sent = admin.submit(f"{found}endpoint/test/")
        assert next_call(process.stdout)["test"] is True
        wait_until(lambda: "204" in admin.visit(sent.headers["Location"]).text, what="The answer")
        buy(visitor)
        assert next_call(process.stdout)["data"]["trigger"] == "Order paid"
        process.send_signal(ctrl_c())
        assert "Traceback" not in process.stdout.read()


def is_saved(browser: Browser, form: str, **fields: str) -> bool:
    """Save a form; not while the server starts anew, nor before it has the setting."""
    try:
        return browser.submit(form, **fields).status == HTTPStatus.FOUND
    except OSError:
        return False


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def next_call(output: Iterable[str]) -> Any:
    """Return the next event that the receiver prints and takes for genuine."""
    line = next(line for line in output if "genuine:" in line)
    assert line.startswith("genuine: "), line
    return json.loads(line.removeprefix("genuine: "))


def buy(visitor: Browser) -> None:
    token = TOKEN.search(visitor.visit("/").text)
    assert token is not None
    answer = visitor.request("/buy/", data={"csrfmiddlewaretoken": token[1]})
    assert "Thank you for order" in answer.text, answer.text


def test_the_code_is_that_of_the_wheel(reader: Reader) -> None:
    """O-08 Nothing of this checkout is in sight of the fresh project."""
    place = reader.run("python -c 'import livereferrals; print(livereferrals.__file__)'").strip()
    assert place.startswith(str(reader.bin).removesuffix("/bin"))


def test_migrations_are_complete(reader: Reader) -> None:
    """O-13 The host has nothing to generate for us."""
    assert "No changes" in reader.run("python manage.py makemigrations livereferrals --check --dry-run")
    assert len(reader.given["<uid>"]) == 8


def test_a_parameter_is_followed_and_taken_away(reader: Reader) -> None:
    """L-01 A partner's uid on any address: the visitor's cookie is set, and the address is clean."""
    visitor = Browser(reader.base)
    page = visitor.visit(f"/?affiliate_id={reader.given['<uid>']}")
    assert page.status == 200
    assert page.url == f"{reader.base}/"
    assert visitor.cookies()


def test_the_dashboard_and_its_files_are_answered(reader: Reader) -> None:
    """dashboard-1 Templates and static files are found in the installed package."""
    browser = staff(reader)
    page = browser.visit("/referrals/")
    assert page.status == 200
    assert 'id="counters"' in page.text
    files = re.findall(r'(?:src|href)="(/static/livereferrals/[^"]+)"', page.text)
    assert {name.rpartition(".")[2] for name in files} >= {"js", "css"}
    for name in files:
        assert browser.request(name).status == 200, name


def test_the_admin_shows_our_tables(reader: Reader) -> None:
    """D-01 Partners, links and subscriptions are in the admin's list."""
    assert "/admin/livereferrals/partner/" in staff(reader).visit("/admin/").text

"""What the guide tells partners and hosts to run, run: verifying in three languages, a role of the database, encryption."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from cryptography.fernet import Fernet
from django.db import connection
from django.db.backends.signals import connection_created
from django.test import RequestFactory

from livereferrals.callbacks.models import DeliveryState, SecretField, SigningSecret
from tests.callbacks.running import owe, running_worker, subscribe, wait_for_state
from tests.callbacks.sending import make_job, send
from tests.test_docs import ROOT, blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.partner import Call, PartnerSink

GUIDE: Final = ROOT / "docs/callbacks.md"
FOR_PARTNERS: Final = ROOT / "docs/for-partners.md"
OLD: Final = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
NEW: Final = "whsec_QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
OTHER: Final = "whsec_" + "A" * 43 + "="
OLD_TIME: Final = {"webhook-timestamp": str(int(time.time()) - 301)}

Case = dict[str, Any]


def example(language: str, word: str, *, page: Path = FOR_PARTNERS) -> str:
    """Return a page's block of a language that has this word in it."""
    (found,) = [block for block in blocks(page, language) if word in block]
    return found


async def calls_of(sink: PartnerSink) -> tuple[Call, Call]:
    """Make a POST and a GET, signed with a new and an old secret."""
    await send(make_job(sink.url("/hook"), secrets=(NEW, OLD)))
    await send(make_job(sink.url("/get?d={delivery_id}"), method="GET", secrets=(NEW, OLD)))
    post, get = sink.calls
    return post, get


async def cases(sink: PartnerSink) -> list[tuple[Case, bool]]:
    """Return what a verifier is asked, and what it has to say."""
    post, get = await calls_of(sink)
    target = f"GET {get.target}".encode()

    def case(call: Call, content: bytes, *, secret: str = NEW, **headers: str) -> Case:
        return {"secret": secret, "headers": {**call.headers, **headers}, "content": content.decode()}

    lone = post.headers["webhook-signature"].split()[1]
    return [
        (case(post, post.body), True),
        (case(post, post.body, secret=OLD), True),
        (case(post, post.body, secret=OLD, **{"webhook-signature": lone}), True),
        (case(get, target), True),
        (case(post, post.body, secret=OTHER), False),
        (case(post, post.body + b" "), False),
        (case(get, target + b"&admin=1"), False),
        (case(post, target), False),
        (case(get, b""), False),
        (case(post, post.body, **OLD_TIME), False),
        (case(post, post.body, **{"webhook-timestamp": "soon"}), False),
        (case(post, post.body, **{"webhook-id": "another"}), False),
        (case(post, post.body, **{"webhook-signature": "v1,"}), False),
        (case(post, post.body, **{"webhook-signature": ""}), False),
        ({"secret": NEW, "headers": {}, "content": "{}"}, False),
    ]


def by_python(asked: list[Case], _directory: Path) -> list[bool]:
    space: dict[str, Any] = {}
    exec(example("python", "def is_genuine"), space)  # noqa: S102 - our own guide
    return [space["is_genuine"](case["secret"], case["headers"], case["content"].encode()) for case in asked]


def by_node(asked: list[Case], directory: Path) -> list[bool]:
    program = directory / "verify.mjs"
    program.write_text(
        example("js", "isGenuine")
        + """
import { readFileSync } from "node:fs";
const asked = JSON.parse(readFileSync(0));
console.log(JSON.stringify(asked.map((one) => isGenuine(one.secret, one.headers, Buffer.from(one.content)))));
"""
    )
    return run(["node", str(program)], asked)


def by_php(asked: list[Case], directory: Path) -> list[bool]:
    program = directory / "verify.php"
    program.write_text(
        example("php", "is_genuine")
        + """
$asked = json_decode(file_get_contents("php://stdin"), true);
echo json_encode(array_map(fn ($one) => is_genuine($one["secret"], $one["headers"], $one["content"]), $asked));
"""
    )
    return run(["php", str(program)], asked)


def run(command: list[str], asked: list[Case]) -> list[bool]:
    done = subprocess.run(  # noqa: S603 - our own program
        command, input=json.dumps(asked), capture_output=True, text=True, check=True, timeout=240
    )
    answers: list[bool] = json.loads(done.stdout)
    return answers


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.mark.once
@pytest.mark.parametrize(
    "verify",
    [by_python, pytest.param(by_node, marks=needs("node")), pytest.param(by_php, marks=needs("php"))],
    ids=["python", "node", "php"],
)
async def test_verifiers_of_the_guide_tell_genuine_calls(
    sink: PartnerSink, tmp_path: Path, verify: Callable[[list[Case], Path], list[bool]]
) -> None:
    """callback-S13, callback-F55: genuine by either secret; not if body, target, id, time, kind or secret is another's."""
    asked, wanted = zip(*await cases(sink), strict=True)
    assert verify(list(asked), tmp_path) == list(wanted)


@pytest.mark.once
async def test_view_of_the_guide_takes_a_call_once_and_refuses_a_forged_one(sink: PartnerSink) -> None:
    """callback-S13: with the library, as a Django view."""
    post, _ = await calls_of(sink)
    seen: set[str] = set()
    taken: list[Any] = []

    def seen_before(name: str) -> bool:
        is_known = name in seen
        seen.add(name)
        return is_known

    space: dict[str, Any] = {"SECRET": NEW, "seen_before": seen_before, "enqueue": taken.append}
    exec(example("python", "def receive"), space)  # noqa: S102 - our own guide

    signed = {name: value for name, value in post.headers.items() if name.startswith("webhook-")}

    def receive(body: bytes, **headers: str) -> int:
        request = RequestFactory().post("/hook", body, content_type="application/json", headers={**signed, **headers})
        status: int = space["receive"](request).status_code
        return status

    assert [receive(post.body), receive(post.body)] == [204, 204]
    assert [event["type"] for event in taken] == ["confirmation"]
    assert receive(post.body + b" ") == 401
    assert receive(post.body, **{"webhook-signature": "nonsense"}) == 401
    assert receive(post.body, **OLD_TIME) == 401


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no roles")
@pytest.mark.django_db(transaction=True)
def test_worker_needs_the_role_of_the_guide_and_no_more(sink: PartnerSink) -> None:
    """callback-S27: the tables of livereferrals, and none of the host's."""
    with connection.cursor() as cursor:
        cursor.execute("DROP ROLE IF EXISTS referrals_worker")
        cursor.execute(example("sql", "CREATE ROLE", page=GUIDE))
    main = threading.get_ident()

    def become(connection: Any, **kwargs: Any) -> None:
        if threading.get_ident() != main:
            with connection.cursor() as cursor:
                cursor.execute("SET ROLE referrals_worker")

    connection_created.connect(become)
    try:
        delivery = owe(subscribe(sink.url()))
        with running_worker():
            wait_for_state(delivery, DeliveryState.DELIVERED)
    finally:
        connection_created.disconnect(become)
        with connection.cursor() as cursor:
            cursor.execute("SELECT has_table_privilege('referrals_worker', 'auth_user', 'SELECT')")
            (may_read_users,) = cursor.fetchone()
            cursor.execute("DROP OWNED BY referrals_worker; DROP ROLE referrals_worker")
    assert not may_read_users


@pytest.fixture
def _plain_again(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take back what the guide's example does to the field's class."""
    monkeypatch.setattr(SecretField, "get_prep_value", SecretField.get_prep_value)
    monkeypatch.setattr(SecretField, "from_db_value", None, raising=False)
    monkeypatch.delattr(SecretField, "from_db_value")
    yield
    monkeypatch.delattr(SecretField, "from_db_value", raising=False)


@pytest.mark.usefixtures("_plain_again")
@pytest.mark.django_db(transaction=True)
def test_secrets_are_encrypted_by_the_example_of_the_guide(sink: PartnerSink, settings: Any) -> None:
    """callback-S27: the table shows nothing, calls are signed all the same."""
    settings.REFERRAL_SECRET_KEYS = [Fernet.generate_key(), Fernet.generate_key()]
    space: dict[str, Any] = {"__name__": "mysite.apps"}
    exec(example("python", "SecretField.get_prep_value", page=GUIDE), space)  # noqa: S102 - our own guide
    space["MySiteConfig"].ready(None)
    subscription = subscribe(sink.url())
    secret = SigningSecret.objects.get(subscription=subscription).value
    with connection.cursor() as cursor:
        cursor.execute("SELECT value FROM livereferrals_signingsecret")
        (stored,) = cursor.fetchone()
    assert secret.startswith("whsec_")
    assert "whsec_" not in stored
    delivery = owe(subscription)
    with running_worker():
        wait_for_state(delivery, DeliveryState.DELIVERED)
    space = {}
    exec(example("python", "def is_genuine"), space)  # noqa: S102 - our own guide
    assert space["is_genuine"](secret, sink.calls[0].headers, sink.calls[0].body)

"""The doctor tries each part, tells what is wrong with it, and explains what would become of somebody."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from livereferrals import api, ids
from livereferrals.callbacks import embedded
from livereferrals.callbacks.models import Delivery, Endpoint
from livereferrals.callbacks.processes import this_process
from livereferrals.events.models import Event, ProcessStatus
from livereferrals.management import diagnosis
from livereferrals.tracking.reasons import Reason
from livereferrals.triggers import Trigger
from livereferrals.triggers.models import TriggerFiring
from tests.factories import (
    home_link,
    make_delivery,
    make_event,
    make_hit,
    make_partner,
    make_subscription,
    make_user,
    make_visitor,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_django import Settings

pytestmark = pytest.mark.django_db
PAID = "Order paid"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def well(settings: Settings) -> None:
    """A project in which everything is in order: a trigger, its subscriber, and a worker."""
    trigger = Trigger(
        PAID, signal="tests.shop.signals.order_paid", receiver="livereferrals.triggers.signal_sent", sender="shop.Order"
    )
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [trigger], "CALLBACKS": {"WORKER": "external"}}
    make_subscription(trigger=PAID)
    make_worker()


def make_worker(**overrides: Any) -> ProcessStatus:
    values = {"worker": True, "kind": "worker", "started_at": timezone.now(), "seen_at": timezone.now()}
    row, _ = ProcessStatus.objects.update_or_create(pk=this_process(), defaults=values | overrides)
    return row


def findings(about: str) -> list[str]:
    """Return what is wrong with one part, as the doctor words it."""
    return [each.text for each in diagnosis.examine() if each.about == about and each.level > diagnosis.Level.OK]


def doctor(*arguments: str) -> str:
    out = StringIO()
    call_command("livereferrals", "doctor", *arguments, stdout=out)
    return out.getvalue()


def test_a_healthy_project_has_no_error_and_says_what_was_tried() -> None:
    """O-01"""
    make_server("elsewhere:1:1", interface="asgi")
    told = doctor()
    assert "ok       Worker: 1 makes deliveries." in told
    assert "ok       Servers: 1 under ASGI." in told
    for about in (
        "Settings",
        "Database",
        "Migrations",
        "Clock",
        "Channel layer",
        "URLs",
        "ASGI",
        "WebSocket",
        "Static files",
        "Events",
        "Hubs",
        "Totals",
        "Worker",
        "Deliveries",
        "Triggers",
    ):
        assert f"{about}: " in told
    assert "ok       ASGI: tests.asgi.application, asked in this process, is wrapped and answers /healthz." in told
    assert "WebSocket: /referrals/feed/v1/ws, asked in this process, answers." in told
    assert "is connected and has not fired lately" in told
    assert "0 errors" in told


def test_trying_the_application_starts_nothing(settings: Settings) -> None:
    """O-01: the doctor is no worker"""
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"CALLBACKS": {"WORKER": "embedded"}}
    doctor()
    assert not embedded.is_well()


def test_a_doubt_ends_with_one_only_if_strict() -> None:
    """O-01"""
    make_subscription(trigger="Forgotten")
    told = doctor()
    assert "WARNING  Triggers: Partners are subscribed to 'Forgotten'" in told
    with pytest.raises(CommandError, match=r"0 errors, \d+ warnings?"):
        doctor("--strict")


def break_worker(settings: Settings) -> None:
    make_worker(seen_at=timezone.now() - HOUR)


def break_numbering(settings: Settings) -> None:
    old = ids.new_uuid()
    event = make_event()
    Event.objects.filter(pk=event.pk).update(seq=None, id=old.__class__(int=old.int - ((3600 * 1000) << 80)))


def break_migrations(settings: Settings) -> None:
    MigrationRecorder(connection).record_unapplied("livereferrals", "0001_initial")


def break_urls(settings: Settings) -> None:
    settings.ROOT_URLCONF = "tests.tracking.bare_urls"


def break_asgi(settings: Settings) -> None:
    settings.ASGI_APPLICATION = "tests.management.bare.application"


def break_application(settings: Settings) -> None:
    settings.ASGI_APPLICATION = "mysite.asgi.application"


def break_static(settings: Settings) -> None:
    settings.STATICFILES_FINDERS = ["django.contrib.staticfiles.finders.FileSystemFinder"]


def break_trigger(settings: Settings) -> None:
    trigger = Trigger(PAID, signal="tests.shop.signals.nothing", receiver="livereferrals.triggers.signal_sent")
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [trigger]}


def break_layer(settings: Settings) -> None:
    from tests.ports import own_port

    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "channels_redis.core.RedisChannelLayer",
            "CONFIG": {"hosts": [f"redis://127.0.0.1:{own_port()}/0"]},
        }
    }


@pytest.mark.parametrize(
    ("breaking", "line"),
    [
        (break_worker, "Worker: No worker makes deliveries"),
        (break_numbering, "Events: 1 waits for a number"),
        (break_migrations, "Migrations: Not applied: 0001_initial."),
        (break_urls, "URLs: Links have no URL."),
        (break_asgi, "ASGI: tests.management.bare.application is not wrapped"),
        (break_application, "ASGI: mysite.asgi.application cannot be imported: No module named 'mysite'."),
        (break_static, "Static files: livereferrals/app.js, livereferrals/app.css cannot be found."),
        (break_trigger, "Triggers: 'Order paid'"),
        (break_layer, "Channel layer: channels_redis.core.RedisChannelLayer does not carry a message"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_is_broken_is_an_error_with_what_to_do(
    settings: Settings, breaking: Callable[[Settings], None], line: str
) -> None:
    """O-01"""
    breaking(settings)
    out = StringIO()
    with pytest.raises(CommandError, match=r"errors?"):
        call_command("livereferrals", "doctor", stdout=out)
    lines = out.getvalue().splitlines()
    (index,) = (number for number, each in enumerate(lines) if f"ERROR    {line}" in each)
    assert lines[index + 1].startswith("         -> ")


def make_server(name: str, **overrides: Any) -> ProcessStatus:
    values = {"kind": "server", "started_at": timezone.now(), "seen_at": timezone.now()}
    return ProcessStatus.objects.create(id=name, **values | overrides)


def test_a_server_under_wsgi_is_a_doubt() -> None:
    """O-01: the application that was asked here says nothing of the server that runs"""
    assert findings("Servers") == ["None says that it runs; one under WSGI does so at its first request."]
    make_server("vm/abc:3494:1", interface="wsgi")
    assert findings("Servers") == ["A server (vm 3494) runs under WSGI: nothing is live."]
    assert '-> Put "daphne" first in INSTALLED_APPS' in doctor()
    make_server("vm/abc:3495:1", interface="asgi")
    assert findings("Servers") == []
    assert "ok       Servers: 1 under ASGI, 1 under WSGI, where nothing is live: lead the dashboard" in doctor()


def test_nobody_asks_after_servers_that_are_to_say_nothing(settings: Settings) -> None:
    """O-01"""
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"CALLBACKS": {"WORKER": "off"}}
    assert findings("Servers") == []


def test_deliveries_that_nothing_holds_are_overdue() -> None:
    """O-01"""
    late = make_delivery(due_at=timezone.now() - HOUR)
    assert findings("Deliveries") == ["1 is overdue, the oldest for 1\N{NO-BREAK SPACE}hour."]
    Endpoint.objects.update(gate_until=timezone.now() + HOUR)
    assert findings("Deliveries") == []
    Endpoint.objects.update(gate_until=None, state="paused")
    assert findings("Deliveries") == ["2 endpoints are paused or disabled."]
    assert Delivery.objects.get(pk=late.pk).state == "waiting"


def test_a_trigger_that_nobody_subscribes_to_is_a_doubt(settings: Settings) -> None:
    """O-01"""
    other = Trigger(
        "Review written", signal="tests.shop.signals.order_paid", receiver="livereferrals.triggers.signal_sent"
    )
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [*settings.LIVEREFERRALS["TRIGGERS"], other]}
    (doubt,) = findings("Triggers")
    assert doubt.startswith("No partner is subscribed to 'Review written'")


def test_a_trigger_that_fires_in_vain_is_a_doubt() -> None:
    """O-01: what it decided lately, a mistake in its settings above all; not what was mended long ago"""
    fired = {"trigger": PAID, "receiver": "r", "fired_at": timezone.now()}
    TriggerFiring.objects.create(**fired, reason="no-hits")
    TriggerFiring.objects.create(**fired | {"fired_at": timezone.now() - 25 * HOUR}, reason="bad-mapping")
    assert findings("Triggers") == []
    for reason in ("bad-mapping", "bad-mapping", "error"):
        TriggerFiring.objects.create(**fired, reason=reason)
    assert findings("Triggers") == [
        f"'Order paid' confirmed nothing {times} in the last day, because {Reason(reason).label} ({reason})."
        for times, reason in (("2 times", "bad-mapping"), ("1 time", "error"))
    ]
    assert "look for trigger.bad-mapping. Then mend LIVEREFERRALS['TRIGGERS'][0]." in doctor()


def test_clocks_that_disagree_are_a_doubt() -> None:
    """O-01"""
    make_worker(seen_at=timezone.now() + timedelta(seconds=20))
    (doubt,) = findings("Clock")
    assert doubt.startswith("Another process is")


@pytest.mark.once
def test_a_real_layer_carries_a_message(valkey_layer: str) -> None:
    """O-01"""
    (told,) = (each.text for each in diagnosis.examine() if each.about == "Channel layer")
    assert told.startswith("channels_redis.core.RedisChannelLayer carries a message there and back in ")


def test_it_explains_what_a_trigger_would_do_for_somebody() -> None:
    """O-02"""
    user = make_user(username="bob")
    assert doctor("--trigger", PAID, "--user", "bob").startswith("No hit was credited: ")
    partner = make_partner(name="Acme")
    make_subscription(partner=partner, trigger=PAID)
    hit = make_hit(link=home_link(partner), user=user)
    told = doctor("--trigger", PAID, "--user", "bob")
    assert told.startswith("A hit was credited.\n")
    assert f"- {hit.link.identifier} (Acme), " in told
    visitor = make_visitor()
    assert "No hit was credited" in doctor("--trigger", PAID, "--user", str(visitor.pk))


def test_it_asks_for_the_next_success_where_each_has_a_reference_of_its_own(settings: Settings) -> None:
    """O-02 Whoever has bought once may buy again, and it is credited again."""
    (trigger,) = settings.LIVEREFERRALS["TRIGGERS"]
    settings.LIVEREFERRALS = settings.LIVEREFERRALS | {"TRIGGERS": [replace(trigger, reference="number")]}
    user, partner = make_user(username="bob"), make_partner(name="Acme")
    make_subscription(partner=partner, trigger=PAID)
    make_hit(link=home_link(partner), user=user)
    assert api.confirm(PAID, user=user, reference="1").created
    assert doctor("--trigger", PAID, "--user", "bob").startswith("A hit was credited.\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--trigger", PAID], "belong together"),
        (["--user", "bob"], "belong together"),
        (["--trigger", "Nothing", "--user", "bob"], "No trigger is named 'Nothing'. There are: 'Order paid'"),
        (["--trigger", PAID, "--user", "nobody"], "no user and no visitor 'nobody'"),
    ],
    ids=["no user", "no trigger", "unknown trigger", "unknown user"],
)
def test_a_question_that_means_nothing_is_refused(arguments: list[str], message: str) -> None:
    """O-02"""
    with pytest.raises(CommandError, match=message):
        doctor(*arguments)

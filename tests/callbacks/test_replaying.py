"""Replay of a span of time: paced, stoppable, with the same ids, from the page or the command line."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from livereferrals.callbacks import replaying
from livereferrals.callbacks.models import Delivery, Endpoint, Replay
from tests.callbacks.running import owe, running_worker, subscribe, wait_for_state
from tests.factories import make_delivery, make_subscription
from tests.waiting import wait_until

if TYPE_CHECKING:
    from livereferrals.callbacks.models import Subscription
    from tests.servers import PartnerSink

pytestmark = pytest.mark.django_db
PAYLOAD = {"type": "confirmation", "cursor": "e.1", "time": "2026-05-01T12:30:00.000Z", "data": {}}
HOUR = timedelta(hours=1)


def ended(subscription: Subscription, count: int = 1, **values: Any) -> list[Delivery]:
    made = timezone.now() - HOUR
    defaults = {"state": "dead", "end_reason": "exhausted", "finished_at": made, "payload": PAYLOAD, "attempts": 12}
    return [
        make_delivery(subscription=subscription, **defaults | {"created_at": made + timedelta(seconds=number)} | values)
        for number in range(count)
    ]


def span(subscription: Subscription, **values: Any) -> replaying.Span:
    now = timezone.now()
    wanted: dict[str, Any] = {"subscription": subscription.pk, "since": now - 2 * HOUR, "until": now}
    return replaying.Span(**wanted | values)


def a_second_later(replay: Replay, seconds: float = 1) -> None:
    Replay.objects.filter(pk=replay.pk).update(stepped_at=timezone.now() - timedelta(seconds=seconds))


def due(subscription: Subscription) -> int:
    return Delivery.objects.filter(subscription=subscription, state="waiting").count()


def test_preview_counts_what_was_given_up_and_what_was_delivered_only_if_asked() -> None:
    """callback-F57: no tests, nothing cancelled, nothing erased, nothing of other times or subscriptions."""
    subscription = make_subscription()
    ended(subscription, 2)
    ended(subscription, state="delivered", end_reason="")
    ended(subscription, state="cancelled", end_reason="reversed")
    ended(subscription, payload=None)
    ended(subscription, kind="test")
    ended(subscription, created_at=timezone.now() - 3 * HOUR)
    ended(make_subscription())
    make_delivery(subscription=subscription, created_at=timezone.now() - HOUR)
    preview = replaying.preview(span(subscription))
    assert (preview.count, len(preview.first)) == (2, 2)
    assert replaying.preview(span(subscription, with_delivered=True)).count == 3
    assert preview.takes(2) == timedelta(seconds=1)


def test_replay_is_paced_and_ends_with_its_span() -> None:
    """callback-F57: so many a second, each once, by a fresh schedule."""
    subscription = make_subscription()
    rows = ended(subscription, 5)
    replay = replaying.begin(span(subscription), per_second=2, by=None)
    assert [replaying.step_all(), due(subscription)] == [2, 2]
    assert [replaying.step_all(), due(subscription)] == [0, 2]
    a_second_later(replay, 1.1)
    assert replaying.step_all() == 2
    # What has failed again in the meantime is not taken again.
    Delivery.objects.filter(pk=rows[0].pk).update(state="dead", finished_at=timezone.now(), end_reason="gone")
    a_second_later(replay)
    assert replaying.step_all() == 1
    replay.refresh_from_db()
    assert (replay.state, replay.done, replay.counted) == ("finished", 5, 5)
    assert replaying.step_all() == 0
    again = Delivery.objects.get(pk=rows[1].pk)
    assert (again.schedule_from, again.attempts, again.lost) == (12, 12, 0)


def test_replay_waits_while_the_endpoint_is_held_or_has_enough_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """callback-F57: ordinary traffic keeps its share; held time is not made up for."""
    subscription = make_subscription()
    ended(subscription, 5)
    monkeypatch.setattr(replaying, "AHEAD", 1)
    replay = replaying.begin(span(subscription), per_second=1, by=None)
    Endpoint.objects.update(state="paused")
    assert replaying.step_all() == 0
    Endpoint.objects.update(state="active")
    assert replaying.step_all() == 0
    a_second_later(replay, 1.5)
    assert replaying.step_all() == 1
    a_second_later(replay, 1.5)
    assert replaying.step_all() == 1
    a_second_later(replay, 100)
    assert [replaying.step_all(), due(subscription)] == [0, 2]


def test_replay_is_stopped_and_another_may_begin() -> None:
    """callback-F57: one at a time for a subscription."""
    subscription = make_subscription()
    ended(subscription, 5)
    replay = replaying.begin(span(subscription), per_second=1, by=None)
    with pytest.raises(replaying.ReplayRefusedError, match="running already"):
        replaying.begin(span(subscription), per_second=1, by=None)
    assert replaying.stop(replay, by=None) is True
    assert replaying.stop(replay, by=None) is False
    assert [replaying.step_all(), due(subscription)] == [0, 0]
    replaying.begin(span(subscription), per_second=1, by=None)


@pytest.mark.parametrize("case", ["rate", "backwards", "nothing", "archived", "too-much"])
def test_replay_that_cannot_be_is_refused_with_a_reason(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """callback-F57, callback-S16: also one of more calls than the limit."""
    subscription = make_subscription(archived_at=timezone.now() if case == "archived" else None)
    if case != "nothing":
        ended(subscription, 2)
    if case == "too-much":
        monkeypatch.setattr(replaying, "MOST", 1)
        assert replaying.preview(span(subscription)).is_too_much
    asked = span(subscription, until=timezone.now() - 5 * HOUR) if case == "backwards" else span(subscription)
    with pytest.raises(replaying.ReplayRefusedError):
        replaying.begin(asked, per_second=0 if case == "rate" else 1, by=None)
    assert not Replay.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_worker_replays_with_the_same_ids(sink: PartnerSink) -> None:
    """callback-F57, O-06: the partner can tell that they are repeats."""
    subscription = subscribe(sink.url())
    rows = [owe(subscription) for _ in range(3)]
    with running_worker():
        for row in rows:
            wait_for_state(row, "delivered")  # type: ignore[arg-type] # its value
        since, until = timezone.now() - HOUR, timezone.now() + HOUR
        wanted = span(subscription, since=since, until=until, with_delivered=True)
        replay = replaying.begin(wanted, per_second=2, by=None)
        wait_until(lambda: Replay.objects.get(pk=replay.pk).state == "finished")
        sink.wait_for(6)
    ids = [call.headers["webhook-id"] for call in sink.calls]
    assert sorted(ids) == sorted([str(row.pk) for row in rows] * 2)


def test_command_says_what_it_would_do_and_does_it_when_told() -> None:
    """callback-F57: a preview, then a replay, its list and its end."""
    subscription = make_subscription()
    ended(subscription, 2)
    uid = subscription.partner.uid
    wanted = ["replay", "--partner", uid, "--since", (timezone.now() - 2 * HOUR).isoformat(), "--rate", "3"]

    def said(*words: str) -> str:
        out = StringIO()
        call_command("livereferrals", *words, stdout=out)
        return out.getvalue()

    assert "2 calls" in said(*wanted)
    assert not Replay.objects.exists()
    said(*wanted, "--yes")
    replay = Replay.objects.get()
    assert (replay.per_second, replay.with_delivered) == (3, False)
    assert f"{replay.pk}  {subscription}  0 of 2, 3 a second" in said("replay", "--list")
    assert "Stopped." in said("replay", "--stop", str(replay.pk))
    assert "ended already" in said("replay", "--stop", str(replay.pk))
    assert "nothing to replay" in said("replay", "--partner", uid, "--since", "2020-01-01", "--until", "2020-01-02")
    assert "2 calls" in said("replay", "--partner", uid, "--since", "2020-01-01", "--trigger", subscription.trigger)
    assert "2 calls" in said("replay", "--subscription", str(subscription.pk), "--since", "2020-01-01")


@pytest.mark.parametrize(
    ("answer", "begun"), [("y\n", True), ("n\n", False), ("", False)], ids=["yes", "no", "nothing"]
)
def test_command_asks_whoever_sits_at_the_terminal(answer: str, begun: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """O-06: it shows the number first"""
    subscription = make_subscription()
    ended(subscription, 2)
    terminal = StringIO(answer)
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", terminal)
    out = StringIO()
    call_command("livereferrals", "replay", "--subscription", str(subscription.pk), "--since", "2020-01-01", stdout=out)
    assert out.getvalue().index("2 calls") < out.getvalue().index("Make these calls? [y/N]")
    assert Replay.objects.exists() is begun


@pytest.mark.parametrize(
    "words",
    [
        ["--partner", "nobody99", "--since", "2020-01-01"],
        ["--since", "2020-01-01"],
        ["--partner", "{uid}", "--since", "soon"],
        ["--partner", "{uid}", "--since", "2020-13-01"],
        ["--partner", "{uid}", "--since", "2020-01-01", "--trigger", "No such"],
        ["--partner", "{uid}", "--since", "2020-01-01", "--yes", "--rate", "0"],
        ["--stop", "x"],
        ["--subscription", "999999", "--since", "2020-01-01"],
    ],
    ids=["partner", "nobody", "time", "month", "trigger", "rate", "stop", "subscription"],
)
def test_command_that_cannot_be_done_says_why(words: list[str]) -> None:
    """callback-F57: a clear error, and nothing is begun."""
    subscription = make_subscription()
    ended(subscription)
    with pytest.raises(CommandError):
        call_command("livereferrals", "replay", *(word.format(uid=subscription.partner.uid) for word in words))
    assert not Replay.objects.exists()

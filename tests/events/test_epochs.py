"""A new epoch after a restore."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from livereferrals.dashboard import rollups
from livereferrals.dashboard.models import HourlyTotal, RollupState
from livereferrals.events import epochs, hints, log
from tests.factories import make_event, make_partner

pytestmark = pytest.mark.django_db


def test_new_epoch_keeps_the_numbers_and_wakes_the_readers(django_capture_on_commit_callbacks: Any) -> None:
    """feed-31"""
    for _ in range(3):
        make_event()
    before, woken = log.bounds(), []
    listener = lambda: woken.append(1)  # noqa: E731 - added and removed
    hints.add_listener(listener)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            now = epochs.begin_new_epoch()
    finally:
        hints.remove_listener(listener)
    assert now == log.bounds()
    assert now.epoch != before.epoch
    assert (now.head, now.oldest) == (before.head, before.oldest) == (3, 0)
    assert woken
    assert make_event().seq == 4


def test_totals_stay_right_over_a_new_epoch() -> None:
    """feed-31: rollups go by numbers, which go on"""
    partner = make_partner()
    make_event(partner=partner)
    rollups.advance()
    make_event(partner=partner)
    epochs.begin_new_epoch()
    make_event(partner=partner)
    assert rollups.advance() == 2
    assert HourlyTotal.objects.get().hits == 3
    assert RollupState.objects.get().epoch == log.bounds().epoch


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_command_asks_first(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """feed-31: it makes every stored cursor useless"""
    before, out = log.bounds().epoch, StringIO()
    monkeypatch.setattr("builtins.input", lambda: answer)
    if answer == "yes":
        call_command("livereferrals", "new-epoch", stdout=out)
    else:
        with pytest.raises(CommandError, match="Nothing was changed"):
            call_command("livereferrals", "new-epoch", stdout=out)
    assert before in out.getvalue()
    assert (log.bounds().epoch == before) == (answer == "no")


def test_command_does_not_ask_where_it_is_told_so() -> None:
    """feed-31"""
    before, out = log.bounds().epoch, StringIO()
    call_command("livereferrals", "new-epoch", "--no-input", stdout=out)
    assert log.bounds().epoch != before
    assert f"The epoch was {before} and is {log.bounds().epoch}" in out.getvalue()

"""All that is stored about one user."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from livereferrals import api
from livereferrals.tracking.models import ReferralLink
from tests.callbacks.test_erasing import _shop as _shop
from tests.callbacks.test_erasing import make_story
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


def test_export_has_everything_about_the_user() -> None:
    """Y-06: in words a layman can follow"""
    story = make_story(make_user(username="ann"))
    link = ReferralLink.objects.for_user(story.user)
    api.reverse(story.confirmation, reason="refund", amount="2.50", note="for colleagues only")
    out = StringIO()
    call_command("livereferrals", "export-user", "ann", stdout=out)
    found = json.loads(out.getvalue())
    assert [browser["id_in_the_cookie"] for browser in found["browsers"]] == [str(story.visitor.pk)]
    followed = found["links_followed"][0]
    assert (followed["partner"], followed["internet_address"]) == (story.partner.name, "203.0.113.0")
    assert followed["page_you_came_from"] == "https://anns.example.org/about"
    success = found["successes_credited_to_partners"][0]
    assert (success["what"], success["amount"], success["currency"]) == ("Order paid", "12.50", "EUR")
    assert success["stored_with_it"] == {"is": "secret of ann"}
    assert [(back["reason"], back["amount"]) for back in success["taken_back"]] == [("refund", "2.50")]
    assert {call["what_it_says"]["type"] for call in found["calls_to_partners"]} >= {"confirmation"}
    assert {event["kind"] for event in found["events_kept_for_partners"]} == {
        "hit",
        "claim",
        "confirmation",
        "reversal",
    }
    assert [own["link"] for own in found["your_own_links"]] == [link.identifier]
    assert "for colleagues only" not in out.getvalue()


def test_export_has_nobody_elses_data_and_no_secrets() -> None:
    """Y-06"""
    story, other = make_story(), make_story()
    text = json.dumps(api.export_user(story.user))
    assert str(other.visitor.pk) not in text
    assert other.confirmation.reference not in text
    assert other.partner.name not in text
    for secret in (story.subscription.secrets.get().value, story.partner.user_key, story.user.password):
        assert secret not in text


def test_export_after_an_erasure_is_empty() -> None:
    """Y-06 Y-03: nothing leads to the user any more"""
    story = make_story()
    api.erase_user(story.user)
    found = api.export_user(story.user)
    assert not any(value for name, value in found.items() if name not in {"about", "made_at"})


def test_export_of_nobody_is_a_clear_error() -> None:
    """Y-06"""
    with pytest.raises(CommandError, match="no user whose username is 'nobody'"):
        call_command("livereferrals", "export-user", "nobody")

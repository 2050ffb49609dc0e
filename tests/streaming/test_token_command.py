"""`manage.py livereferrals token`."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from livereferrals.events.models import ProcessStatus
from livereferrals.exceptions import FeedError
from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedToken
from tests.factories import home_link, make_partner

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("livereferrals", "token", *arguments, stdout=out)
    return out.getvalue()


def test_created_token_opens_the_feed() -> None:
    """feed-6"""
    partner = make_partner()
    token = run("create", "warehouse", "--partner", partner.uid, "--scopes", "hits,amounts", "--days", "30").split()[0]
    grant = tokens.verify(token)
    assert (grant.partner, grant.types) == (partner.uid, frozenset({"hit"}))
    expires_at = FeedToken.objects.get().expires_at
    assert expires_at is not None
    assert 29 <= (expires_at - timezone.now()).days <= 30


def test_token_of_the_house_and_of_some_links() -> None:
    """feed-17"""
    partner = make_partner()
    link = home_link(partner)
    assert tokens.verify(run("create", "all", "--house").split()[0]).partner is None
    narrow = run("create", "one link", "--partner", partner.uid, "--links", str(link.pk)).split()[0]
    assert tokens.verify(narrow).links == frozenset({link.pk})


def test_list_shows_no_secret() -> None:
    """feed-6"""
    partner = make_partner()
    row, text = tokens.issue(name="warehouse", partner=partner)
    tokens.issue(name="other", partner=make_partner())
    listed = run("list", "--partner", partner.uid)
    assert row.pk in listed
    assert "valid" in listed
    assert "never used" in listed
    assert text.rpartition("_")[2] not in listed
    assert "other" not in listed
    assert len(run("list").splitlines()) == 2


def test_revoked_token_is_refused() -> None:
    """feed-8"""
    row, text = tokens.issue(name="warehouse", partner=make_partner())
    assert "warehouse" in run("revoke", row.pk)
    with pytest.raises(FeedError, match="revoked"):
        tokens.verify(text)
    assert "revoked" in run("list")


def test_rotated_token_allows_the_same_and_the_old_one_ends() -> None:
    """feed-8"""
    partner = make_partner()
    row, old = tokens.issue(name="warehouse", partner=partner, scopes=["hits"])
    said = run("rotate", row.pk)
    assert tokens.verify(said.split()[0]).types == {"hit"}
    assert f"{row.pk}, is revoked" in said
    with pytest.raises(FeedError, match="revoked"):
        tokens.verify(old)


def test_old_token_works_until_its_day() -> None:
    """feed-8: with `--days` its user has time to switch over"""
    row, old = tokens.issue(name="warehouse", partner=make_partner())
    assert "ends at" in run("rotate", old, "--days", "7")
    assert tokens.verify(old).token == row.pk
    assert "valid until" in run("list")
    with pytest.raises(CommandError, match="rotated already"):
        run("rotate", row.pk)
    run("revoke", row.pk)
    with pytest.raises(FeedError, match="revoked"):
        tokens.verify(old)


def test_list_tells_open_connections() -> None:
    """feed-47: of all processes that are still there"""
    row, _ = tokens.issue(name="warehouse", partner=make_partner())
    now = timezone.now()
    for name, seen_at, count in (("a", now, 2), ("b", now, 1), ("gone", now - timedelta(minutes=5), 4)):
        ProcessStatus.objects.create(
            id=name, kind="server", started_at=now, seen_at=seen_at, connections={row.pk: count, "other": 9}
        )
    assert "3 open" in run("list")


@pytest.mark.parametrize(
    "arguments",
    [
        ("create", "x"),
        ("create", "x", "--partner", "nobody00"),
        ("create", "x", "--house", "--scopes", "everything"),
        ("create", "x", "--house", "--days", "0"),
        ("create", "x", "--house", "--links", "no-uuid"),
        ("create", "x", "--house", "--links", "01a3c1f0-7b1e-7c3a-9d52-0b6f0e6f1a11"),
        ("revoke", "nothing"),
        ("rotate", "nothing"),
        ("rotate", "nothing", "--days", "-1"),
        ("list", "--partner", "nobody00"),
    ],
    ids=" ".join,
)
def test_mistakes_are_told(arguments: tuple[str, ...]) -> None:
    """feed-36"""
    with pytest.raises(CommandError):
        run(*arguments)

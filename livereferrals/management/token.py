"""`manage.py livereferrals token`: make, list and revoke feed tokens."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

from django.core.management.base import CommandError
from django.utils import timezone

from livereferrals.streaming import tokens
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.protocol import SCOPES
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    import argparse

HELP = "Make, list and revoke the tokens with which partners read the feed."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="issue | list | revoke")
    issue = actions.add_parser("issue", help="Make a token and print it, once.")
    issue.add_argument("name", help="What it is for, as your colleagues will read it.")
    reads = issue.add_mutually_exclusive_group(required=True)
    reads.add_argument("--partner", metavar="UID", help="The partner whose events it reads.")
    reads.add_argument("--house", action="store_true", help="Reads everything: for your own data pipeline.")
    issue.add_argument("--scopes", default=",".join(SCOPES), help="Comma list; default: %(default)s.")
    issue.add_argument("--links", metavar="IDS", help="Comma list of the only links that it reads.")
    issue.add_argument("--days", type=int, help="Days until it expires; default: never.")
    listing = actions.add_parser("list", help="Print all tokens, without their secrets.")
    listing.add_argument("--partner", metavar="UID", help="Only this partner's.")
    revoke = actions.add_parser("revoke", help="End a token; its open connections are closed within 10 s.")
    revoke.add_argument("id", help="Its id, as `list` prints it (or the whole token).")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Do what the command line says.

    Raises:
        CommandError: something that it names does not exist or cannot be.
    """
    {"issue": _issue, "list": _list, "revoke": _revoke}[options["action"]](options, stdout)


def _issue(options: dict[str, Any], stdout: TextIO) -> None:
    partner = None if options["partner"] is None else _partner(options["partner"])
    days = options["days"]
    if days is not None and days < 1:
        raise CommandError("A token lives at least one day.")
    try:
        row, text = tokens.issue(
            name=options["name"],
            partner=partner,
            scopes=[scope.strip() for scope in options["scopes"].split(",")],
            links=None if options["links"] is None else _links(options["links"], partner),
            expires_at=None if days is None else timezone.now() + timedelta(days=days),
        )
    except ValueError as error:
        raise CommandError(str(error)) from error
    stdout.write(f"{text}\n")
    stdout.write(f"This is the only time that it is shown. To take it back: livereferrals token revoke {row.pk}\n")


def _list(options: dict[str, Any], stdout: TextIO) -> None:
    rows = FeedToken.objects.select_related("partner").order_by("created_at")
    if options["partner"] is not None:
        rows = rows.filter(partner=_partner(options["partner"]))
    for row in rows:
        reads = "house" if row.partner is None else row.partner.uid
        used = "never used" if row.last_used_at is None else f"used {row.last_used_at:%Y-%m-%d %H:%M}"
        stdout.write(f"{row.pk}  {reads:8}  {_state(row)}  {used}  {','.join(row.scopes)}  {row.name}\n")


def _revoke(options: dict[str, Any], stdout: TextIO) -> None:
    token_id = options["id"].removeprefix("lrf_").partition("_")[0]
    row = FeedToken.objects.filter(pk=token_id).first()
    if row is None:
        raise CommandError(f"There is no token {token_id!r}.")
    tokens.revoke(row)
    stdout.write(f"Revoked: {row.name}\n")


def _state(row: FeedToken) -> str:
    refusal = tokens.refusal_of(row, now=timezone.now())
    return "valid" if refusal is None else refusal.code.removeprefix("token_")


def _partner(uid: str) -> Partner:
    partner = Partner.objects.filter(uid=uid).first()
    if partner is None:
        raise CommandError(f"There is no partner {uid!r}.")
    return partner


def _links(text: str, partner: Partner | None) -> list[uuid.UUID]:
    try:
        wanted = [uuid.UUID(part.strip()) for part in text.split(",")]
    except ValueError as error:
        raise CommandError(f"{text!r} is no comma list of link ids.") from error
    links = ReferralLink.objects.all() if partner is None else ReferralLink.objects.filter(partner=partner)
    known = set(links.filter(pk__in=wanted).values_list("pk", flat=True))
    if unknown := [link for link in wanted if link not in known]:
        raise CommandError(f"There is no such link: {unknown[0]}.")
    return wanted

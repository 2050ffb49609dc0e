"""`manage.py livereferrals token`: make, list, rotate and revoke feed tokens."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TextIO

from django.core.management.base import CommandError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from livereferrals.streaming import token_use, tokens
from livereferrals.streaming.models import FeedToken
from livereferrals.streaming.protocol import SCOPES
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    import argparse

HELP = "Make, list, rotate and revoke the tokens with which partners read the feed."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="create | list | rotate | revoke")
    create = actions.add_parser("create", help="Make a token and print it, once.")
    create.add_argument("name", help="What it is for, as your colleagues will read it.")
    reads = create.add_mutually_exclusive_group(required=True)
    reads.add_argument("--partner", metavar="UID", help="The partner whose events it reads.")
    reads.add_argument("--house", action="store_true", help="Reads everything: for your own data pipeline.")
    create.add_argument("--scopes", default=",".join(SCOPES), help="Comma list; default: %(default)s.")
    create.add_argument("--links", metavar="IDS", help="Comma list of the only links that it reads.")
    create.add_argument("--days", type=int, help="Days until it expires; default: never.")
    listing = actions.add_parser("list", help="Print all tokens, without their secrets.")
    listing.add_argument("--partner", metavar="UID", help="Only this partner's.")
    rotate = actions.add_parser("rotate", help="Make a token that allows the same, print it once, and end the old one.")
    rotate.add_argument("id", help="The old one's id, as `list` prints it (or the whole token).")
    rotate.add_argument("--days", type=int, default=0, help="Days for which the old one still works; default: none.")
    revoke = actions.add_parser("revoke", help="End a token; its open connections are closed within 10 s.")
    revoke.add_argument("id", help="Its id, as `list` prints it (or the whole token).")


def handle(options: dict[str, Any], stdout: TextIO) -> None:
    """Do what the command line says.

    Raises:
        CommandError: something that it names does not exist or cannot be.
    """
    {"create": _create, "list": _list, "rotate": _rotate, "revoke": _revoke}[options["action"]](options, stdout)


@sensitive_variables("text")
def _create(options: dict[str, Any], stdout: TextIO) -> None:
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
    _show(row, text, stdout)


@sensitive_variables("text")
def _rotate(options: dict[str, Any], stdout: TextIO) -> None:
    if options["days"] < 0:
        raise CommandError("The old token cannot end in the past.")
    old = _token(options["id"])
    ends_at = timezone.now() + timedelta(days=options["days"]) if options["days"] else None
    try:
        row, text = tokens.rotate(old, ends_at=ends_at)
    except ValueError as error:
        raise CommandError(str(error)) from error
    _show(row, text, stdout)
    stdout.write(
        f"The old one, {old.pk}, {'is revoked' if ends_at is None else f'ends at {ends_at:%Y-%m-%d %H:%M} UTC'}.\n"
    )


@sensitive_variables("text")
def _show(row: FeedToken, text: str, stdout: TextIO) -> None:
    stdout.write(f"{text}\n")
    stdout.write(f"This is the only time that it is shown. To take it back: livereferrals token revoke {row.pk}\n")


def _list(options: dict[str, Any], stdout: TextIO) -> None:
    rows = FeedToken.objects.select_related("partner").order_by("created_at")
    if options["partner"] is not None:
        rows = rows.filter(partner=_partner(options["partner"]))
    open_now = token_use.open_by_token(now=timezone.now())
    for row in rows:
        reads = "house" if row.partner is None else row.partner.uid
        used = "never used" if row.last_used_at is None else f"used {row.last_used_at:%Y-%m-%d %H:%M}"
        stdout.write(
            f"{row.pk}  {reads:8}  {_state(row)}  {used}  {open_now.get(row.pk, 0)} open  {','.join(row.scopes)}  {row.name}\n"
        )


def _revoke(options: dict[str, Any], stdout: TextIO) -> None:
    row = _token(options["id"])
    tokens.revoke(row)
    stdout.write(f"Revoked: {row.name}\n")


def _token(text: str) -> FeedToken:
    token_id = text.removeprefix("lrf_").partition("_")[0]
    row = FeedToken.objects.filter(pk=token_id).first()
    if row is None:
        raise CommandError(f"There is no token {token_id!r}.")
    return row


def _state(row: FeedToken) -> str:
    refusal = tokens.refusal_of(row, now=timezone.now())
    if refusal is not None:
        return refusal.code.removeprefix("token_")
    return "valid" if row.revoked_at is None else f"valid until {row.revoked_at:%Y-%m-%d %H:%M}"


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

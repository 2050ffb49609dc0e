"""Migrate the database, fill an empty one with what the demo shows, and print the names and secrets as JSON.

Running it again changes nothing but what no longer fits: the receiver's address, the staff user's password.
"""

from __future__ import annotations

import io
import json
import secrets
from typing import TYPE_CHECKING

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction

from livereferrals.models import FeedToken, Partner, ReferralLink, Subscription
from project import kept

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

STAFF = "staff"
PARTNER = "The Tea Letter"
FEED_PARTNER = "Gift Finder"
SHARING_USER = "ann"
TRIGGERS = ("User registered", "Order paid")


class Command(BaseCommand):
    """Make the demo's partners, links, users and feed token, unless they are there."""

    help = __doc__

    def add_arguments(self, parser: CommandParser) -> None:
        """Take the address that plays the partner's server."""
        parser.add_argument("callback_url")

    def handle(self, *, callback_url: str, **options: object) -> None:
        """Migrate, fill and print."""
        call_command("migrate", verbosity=0)
        with transaction.atomic():
            partner = _partner(PARTNER, home="Footer of every letter", campaign="spring")
            for trigger in TRIGGERS:
                _subscribe(partner, trigger, callback_url)
            # A partner without an address is not called back: it reads the feed.
            other = _partner(FEED_PARTNER, home="Gift list", campaign="teatime")
            _subscribe(other, "Order paid", "")
            ann, _ = User.objects.get_or_create(username=SHARING_USER)
            user_link, _ = ReferralLink.objects.get_or_create(
                user=ann, defaults={"identifier": SHARING_USER, "name": "Ann's own link"}
            )
            password = _staff()
        made = {
            "staff": {"username": STAFF, "password": password},
            "partner": {"uid": partner.uid, "name": partner.name},
            "user_link": user_link.identifier,
            "links": list(
                ReferralLink.objects.filter(partner__in=[partner, other]).values_list("identifier", flat=True)
            ),
            "token": _token(partner),
        }
        self.stdout.write(json.dumps(made))


def _partner(name: str, *, home: str, campaign: str) -> Partner:
    partner, created = Partner.objects.get_or_create(name=name, defaults={"active": True})
    if created:
        partner.links.filter(home=True).update(name=home)
        partner.links.create(identifier=campaign, name=f"{campaign} campaign", target="/")
    return partner


def _subscribe(partner: Partner, trigger: str, callback_url: str) -> None:
    """Subscribe the partner; only an address of the demo's own receiver is moved, never what somebody has typed in."""
    subscription, created = Subscription.objects.get_or_create(
        partner=partner,
        trigger=trigger,
        archived_at=None,
        defaults={"callback_url": callback_url, "allow_plain_http": bool(callback_url)},
    )
    before = kept.recall("callback_url")
    if not created and callback_url and subscription.callback_url == before != callback_url:
        subscription.callback_url = callback_url
        subscription.save()


def _staff() -> str:
    """Make sure that the staff user can log in with the password that is printed, and return it."""
    password = kept.recall_or_keep("staff_password", lambda: secrets.token_urlsafe(9))
    staff, _ = User.objects.get_or_create(username=STAFF, defaults={"is_staff": True, "is_superuser": True})
    if not staff.check_password(password):
        staff.set_password(password)
        staff.save()
    return password


def _token(partner: Partner) -> str:
    """Return the partner's feed token, whose text is known only when it is made."""
    token = kept.recall("feed_token")
    if token is None or not FeedToken.objects.filter(pk=token.split("_")[1], revoked_at=None).exists():
        printed = io.StringIO()
        call_command("livereferrals", "token", "create", "Demo", "--partner", partner.uid, stdout=printed)
        token = printed.getvalue().split()[0]
        kept.keep("feed_token", token)
    return str(token)

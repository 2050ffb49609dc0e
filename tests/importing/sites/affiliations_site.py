"""A site with django-affiliate-tracking 0.12: people land through its middleware. Run with the file of its database.

Needs Django 1.11, the newest that the package works with, which is older than Python 3.10. What it misses there is put
back first: the names that `collections` had; translations stay off. Nor does it know that SQLite has come to rename what
refers to a table together with the table. Prints what is in its tables as JSON.
"""

from __future__ import annotations

import collections
import collections.abc
import json
import sys
from typing import Any

for name in ("Callable", "Iterable", "Iterator", "Mapping", "MutableMapping", "Sequence"):
    setattr(collections, name, getattr(collections.abc, name))

import django  # noqa: E402
from django.conf import settings  # noqa: E402

settings.configure(
    SECRET_KEY="old" * 20,
    USE_TZ=True,
    USE_I18N=False,
    TIME_ZONE="Europe/Berlin",
    ALLOWED_HOSTS=["*"],
    AFFILIATE_TRIGGERS=[],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=[
        "django.contrib.contenttypes",
        "django.contrib.auth",
        "django.contrib.sessions",
        "affiliations.apps.AffiliateTrackingConfig",
    ],
)
django.setup()


def main() -> None:
    """Make partners and subscriptions, land, and succeed."""
    from affiliations.middleware import AffiliateVisitorsRegistrationMiddleware  # type: ignore[import-not-found]
    from affiliations.models import Partner, Subscription, Visitor  # type: ignore[import-not-found]
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.http import HttpResponse
    from django.test import RequestFactory

    connection.cursor().execute("PRAGMA legacy_alter_table = ON")
    call_command("migrate", verbosity=0)
    ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
    acme, other = Partner.objects.create(name="Acme", active=True), Partner.objects.create(name="Other", active=True)
    Partner.objects.create(name="Asleep")
    for url in ("https://acme.example/?v={visitor_id}", "https://acme.example/second?v={visitor_id}"):
        Subscription.objects.create(partner=acme, trigger="User registered", callback_url=url)
    Subscription.objects.create(partner=other, trigger="Order paid", callback_url="http://10.0.0.1/?v={visitor_id}")
    Subscription.objects.create(partner=other, trigger="User registered", callback_url="https://o.example/{visitor_id}")
    middleware = AffiliateVisitorsRegistrationMiddleware()
    for partner, user, query in ((acme, ann, "b=1"), (acme, bob, "token=secret"), (other, bob, "")):
        request: Any = RequestFactory().get(f"/shop/?{query}&affiliate_id={partner.uid}")
        request.user, request.session = user, {}
        middleware.process_response(request, HttpResponse())
        if user == bob:
            Visitor.objects.latest("pk").succeed(user)
    visitors = [
        {
            "id": visitor.pk,
            "partner": visitor.partner.uid,
            "user": visitor.user.username,
            "created": visitor.referred_on.isoformat(),
            "successful": visitor.successful_on and visitor.successful_on.isoformat(),
            "entry": visitor.entry_point,
        }
        for visitor in Visitor.objects.order_by("pk")
    ]
    partners = {partner.uid: [partner.name, partner.active] for partner in Partner.objects.all()}
    sys.stdout.write(json.dumps({"partners": partners, "visitors": visitors}, indent=1) + "\n")


if __name__ == "__main__":
    main()

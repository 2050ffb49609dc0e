"""A site with django-hype 1.0: people follow links through its views and middleware. Run with the file of its database.

Needs nothing but Django and django-hype; prints what is in its tables as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path
from django.utils import timezone

settings.configure(
    SECRET_KEY="old" * 20,
    DEBUG=True,
    USE_TZ=True,
    TIME_ZONE="Europe/Berlin",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "hype"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "hype.middleware.AnonymousReferralMiddleware",
        "hype.middleware.ReferralLinkMiddleware",
    ],
)
django.setup()

urlpatterns = [path("ref/", include("hype.urls")), path("", lambda request: HttpResponse("shop"))]


def main() -> None:
    """Make users and links, and follow them."""
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.test import Client
    from hype.models import ReferralHit, ReferralLink  # type: ignore[import-not-found] # in its own environment

    call_command("migrate", verbosity=0)
    ann, bob = (User.objects.create_user(name) for name in ("ann", "bob"))
    ReferralLink.objects.create(identifier="ann1", user=ann)
    ReferralLink.objects.create(identifier="shut", user=bob, disabled=True)
    ReferralLink.objects.create(identifier="nobody")
    agent: dict[str, Any] = {
        "HTTP_USER_AGENT": "Mozilla/5.0 (iPhone) Mobile",
        "HTTP_REFERER": "https://blog.example/p?token=secret",
    }
    stranger, claimed, known = Client(**agent), Client(**agent), Client(**agent)
    stranger.get("/ref/ann1", {"next": "/shop/"})
    stranger.get("/ref/shut")
    stranger.get("/", {"ref": "nobody"}, follow=True)
    claimed.get("/ref/ann1", REMOTE_ADDR="2001:db8:1:2::3")
    claimed.force_login(bob)
    claimed.get("/")  # the middleware ties the cookie's hit to Bob
    known.force_login(bob)
    known.get("/ref/ann1")
    ReferralHit.objects.filter(hit_user=bob, authenticated=True).update(confirmed=timezone.now())
    hits = [
        {
            "id": str(hit.pk),
            "link": hit.referral_link.identifier,
            "user": hit.hit_user and hit.hit_user.username,
            "created": hit.created.isoformat(),
            "confirmed": hit.confirmed and hit.confirmed.isoformat(),
            "next": hit.next,
        }
        for hit in ReferralHit.objects.order_by("id")
    ]
    sys.stdout.write(json.dumps({"hits": hits, "cookie": stranger.cookies["django-hype__rk"].value}, indent=1) + "\n")


if __name__ == "__main__":
    main()

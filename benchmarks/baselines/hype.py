"""django-hype 1.0.0 with the middleware of `startproject` and its own: `python -m benchmarks.baselines.hype` makes its tables."""

from __future__ import annotations

from django.conf import settings  # noqa: TID251 - this project is its own
from django.urls import include, path

from benchmarks.host import IDENTIFIER, startproject

values = startproject.values()
values["INSTALLED_APPS"] = [*values["INSTALLED_APPS"], "hype"]
values["MIDDLEWARE"] = [
    *values["MIDDLEWARE"],
    "hype.middleware.AnonymousReferralMiddleware",
    "hype.middleware.ReferralLinkMiddleware",
]
settings.configure(**values, ROOT_URLCONF=__name__)

from django.core.asgi import get_asgi_application  # noqa: E402 - after the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402

application = get_asgi_application()
wsgi = get_wsgi_application()
# Its models can be imported now.
urlpatterns = [path("ref/", include("hype.urls"))]


def prepare() -> None:
    """Make the tables and a link."""
    from django.core.management import call_command
    from hype.models import ReferralLink

    call_command("migrate", verbosity=0)
    ReferralLink.objects.create(identifier=IDENTIFIER)


if __name__ == "__main__":
    prepare()

"""The wheel in an empty environment, a new project, the five edits of the documentation: it works."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.browsing import Browser
from tests.packaging.building import build, empty_environment
from tests.ports import own_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.once

APPS = """INSTALLED_APPS = [
    "daphne",
    "channels",
    "django_htmx",
    "livereferrals",
    "shop",
"""
SETTINGS = """
ASGI_APPLICATION = "mysite.asgi.application"
LIVEREFERRALS = {
    "TRIGGERS": [
        Trigger("User registered", signal="django.db.models.signals.post_save",
                receiver="livereferrals.triggers.object_created", sender="auth.User"),
        Trigger("Order paid", signal="shop.signals.order_paid", sender="shop.Order",
                receiver="livereferrals.triggers.signal_sent",
                user="customer", reference="number", amount="total", currency="currency"),
    ],
}
DATABASES["default"]["OPTIONS"] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}
"""
URLS = """
from django.http import HttpResponse
from django.urls import include

urlpatterns += [
    path("", lambda request: HttpResponse("home")),
    path("ref/", include("livereferrals.urls")),
    path("referrals/", include("livereferrals.dashboard.urls")),
]
"""
ASGI = """
from livereferrals.asgi import referral_application

application = referral_application(application)
"""
MODELS = """
from django.conf import settings
from django.db import models


class Order(models.Model):
    customer = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    number = models.CharField(max_length=20)
    total = models.DecimalField(max_digits=10, decimal_places=2)
    currency = models.CharField(max_length=3)
"""
SIGNALS = "from django.dispatch import Signal\n\norder_paid = Signal()\n"
FILL = """
from django.contrib.auth.models import User
from livereferrals.models import Partner
User.objects.create_superuser("staff", password="sesame")
print(Partner.objects.create(name="Acme", active=True).uid)
"""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")


@dataclass(frozen=True)
class Host:
    """A project made with `startproject`, whose Python is that of the empty environment."""

    bin: Path
    directory: Path

    def run(self, *arguments: str, check: bool = True) -> str:
        """Run a command of the environment in the project; return what it printed."""
        done = subprocess.run(  # noqa: S603 - our own commands
            [str(self.bin / "python"), *arguments],
            cwd=self.directory,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    @staticmethod
    def environment() -> dict[str, str]:
        return {name: os.environ[name] for name in PASSED_ON if name in os.environ} | {"PYTHONUNBUFFERED": "1"}

    def edit(self, name: str, change: tuple[str, str] | None = None, *, append: str = "") -> None:
        """Replace a text that must be there, or append."""
        path = self.directory / name
        content = path.read_text() if path.exists() else ""
        if change is not None:
            assert change[0] in content, f"{change[0]!r} is not in {name}"
            content = content.replace(*change)
        path.write_text(content + append)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (path,) = build(tmp_path_factory.mktemp("wheel"), "--wheel").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def host(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """A fresh project with a small shop of its own, and the five edits."""
    place = tmp_path_factory.mktemp("host")
    bin_directory = empty_environment(place / "venv", wheel)
    made = Host(bin_directory, place / "mysite")
    made.directory.mkdir()
    made.run("-m", "django", "startproject", "mysite", ".")
    made.run("manage.py", "startapp", "shop")
    made.edit("shop/models.py", append=MODELS)
    made.edit("shop/signals.py", append=SIGNALS)
    middleware = '    "django.contrib.auth.middleware.AuthenticationMiddleware",\n'.replace('"', "'")
    made.edit("mysite/settings.py", ("INSTALLED_APPS = [\n", APPS))
    made.edit("mysite/settings.py", (middleware, f"{middleware}    'livereferrals.middleware.ReferralMiddleware',\n"))
    made.edit(
        "mysite/settings.py",
        ("from pathlib import Path\n", "from pathlib import Path\n\nfrom livereferrals.triggers import Trigger\n"),
    )
    made.edit("mysite/settings.py", append=SETTINGS)
    made.edit("mysite/urls.py", append=URLS)
    made.edit("mysite/asgi.py", append=ASGI)
    return made


@pytest.fixture(scope="module")
def uid(host: Host) -> str:
    """The uid of a partner, in migrated tables."""
    host.run("manage.py", "makemigrations", "shop")
    host.run("manage.py", "migrate")
    return host.run("manage.py", "shell", "--verbosity", "0", "--command", FILL).split()[-1]


@pytest.fixture(scope="module")
def base(host: Host, uid: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of `runserver`, which is daphne's."""
    port = own_port()
    log = tmp_path_factory.mktemp("log") / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own command
            [str(host.bin / "python"), "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"],
            cwd=host.directory,
            env=host.environment(),
            stdout=output,
            stderr=output,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until(lambda: process.poll() is not None or answers(address), what="The server")
        assert process.poll() is None, log.read_text()
        assert "daphne" in log.read_text().lower()
        yield address
    finally:
        # Not SIGINT: whoever runs in the background of a shell ignores it, and so do its children.
        process.terminate()
        process.wait(240)


def answers(address: str) -> bool:
    try:
        return Browser(address).request("/healthz").status == 200
    except OSError:
        return False


def test_the_code_is_that_of_the_wheel(host: Host) -> None:
    """O-08 Nothing of this checkout is in sight of the fresh project."""
    place = host.run("-c", "import livereferrals; print(livereferrals.__file__)").strip()
    assert place.startswith(str(host.bin.parent))


def test_check_finds_nothing_to_say(host: Host) -> None:
    """O-08 After the five edits `check` is content."""
    assert "no issues" in host.run("manage.py", "check", "--fail-level", "WARNING")


def test_migrations_are_complete(host: Host, uid: str) -> None:
    """O-13 The host has nothing to generate for us."""
    assert "No changes" in host.run("manage.py", "makemigrations", "livereferrals", "--check", "--dry-run")
    assert len(uid) == 8


def test_a_link_is_followed(base: str, uid: str) -> None:
    """L-01 The partner's link leads on, sets the visitor's cookie, and the hit is there."""
    visitor = Browser(base)
    followed = visitor.request(f"/ref/{uid}")
    assert followed.status == 302
    assert visitor.cookies()
    assert visitor.visit("/?affiliate_id=" + uid).text == "home"


def test_the_dashboard_and_its_files_are_answered(host: Host, base: str, uid: str) -> None:
    """dashboard-1 Templates and static files are found in the installed package."""
    visitor = Browser(base)
    visitor.request(f"/ref/{uid}")
    staff = Browser(base)
    assert staff.visit("/referrals/").status in (200, 403)
    assert (
        staff.submit("/admin/login/?next=/referrals/", username="staff", password="sesame", next="/referrals/").status
        == 302
    )
    page = staff.visit("/referrals/")
    assert page.status == 200
    assert 'id="counters"' in page.text
    files = re.findall(r'(?:src|href)="(/static/livereferrals/[^"]+)"', page.text)
    assert {name.rpartition(".")[2] for name in files} >= {"js", "css"}
    for name in files:
        assert staff.request(name).status == 200, name


def test_the_admin_shows_our_tables(host: Host, base: str) -> None:
    """D-01 Partners, links and subscriptions are in the admin's list."""
    staff = Browser(base)
    staff.submit("/admin/login/?next=/admin/", username="staff", password="sesame", next="/admin/")
    assert "/admin/livereferrals/partner/" in staff.visit("/admin/").text

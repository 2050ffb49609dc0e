"""Who is measured by following a link: a server with an application, on a database of its own."""

from __future__ import annotations

import contextlib
import functools
import http.client
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import load
from benchmarks.clients.http import BROWSER
from benchmarks.host import IDENTIFIER, PARTNER
from benchmarks.servers import HOST, Server
from benchmarks.templates import copied

if TYPE_CHECKING:
    from benchmarks.load import Seen
    from benchmarks.outcomes import Conditions
    from benchmarks.templates import Database

HOST_PROJECT = "benchmarks.host.prepare"
HYPE_PROJECT = "benchmarks.baselines.hype"
HOST_ASGI = "benchmarks.host.asgi:application"
APPLICATIONS: dict[str, tuple[str, str, dict[str, str]]] = {
    "livereferrals": (HOST_ASGI, HOST_PROJECT, {}),
    "livereferrals, front off": (HOST_ASGI, HOST_PROJECT, {"BENCH_FRONT": "off"}),
    "livereferrals, links first": (HOST_ASGI, HOST_PROJECT, {"BENCH_FRONT": "off", "BENCH_LINKS_FIRST": "on"}),
    "empty async view": ("benchmarks.baselines.empty_async:application", "", {}),
    "empty sync view": ("benchmarks.baselines.empty_sync:application", "", {}),
    "raw ASGI": ("benchmarks.baselines.raw_asgi:application", "", {}),
    "django-hype": ("benchmarks.baselines.hype:application", HYPE_PROJECT, {}),
}
"""By name: the application, what makes its tables, and what its process is told."""
PATHS = {"livereferrals, links first": f"/?affiliate_id={PARTNER}"}
"""What is asked for where it is not the link: the middleware answers a parameter, whatever stands behind it."""
WSGI = {HOST_ASGI: "benchmarks.host.wsgi:application"}
"""The same for gunicorn; elsewhere it lies beside the other."""


@dataclass(slots=True)
class Contender:
    """A server with an application that follows a link."""

    name: str
    server: Server
    database_url: str

    @property
    def path(self) -> str:
        """What is asked for."""
        return PATHS.get(self.name, f"/ref/{IDENTIFIER}")

    @property
    def url(self) -> str:
        """The address of the link."""
        return self.server.url(self.path)

    def put(self, *, connections: int, seconds: int, cookie: str = "") -> Seen:
        """Load it; of ours a single answer that is an error makes the round worthless."""
        seen = load.put(self.url, connections=connections, seconds=seconds, cookie=cookie)
        if not seen.rate or (self.name.startswith("livereferrals") and (seen.wrong or seen.failed)):
            raise RuntimeError(f"{self.name} on {self.server.kind}: {seen}")
        return seen

    def cookie(self) -> str:
        """Follow the link once and return the cookie of the visitor."""
        conversation = http.client.HTTPConnection(HOST, self.server.port, timeout=10)
        with contextlib.closing(conversation):
            conversation.request("GET", self.path, headers={"User-Agent": BROWSER})
            return (conversation.getresponse().getheader("Set-Cookie") or "").partition(";")[0]

    def hits(self) -> int:
        """Return how many hits the database holds."""
        query = "SELECT count(*) FROM livereferrals_referralhit"
        if self.database_url.startswith("sqlite"):
            import sqlite3

            with contextlib.closing(sqlite3.connect(self.database_url.removeprefix("sqlite:///"))) as connection:
                return int(connection.execute(query).fetchone()[0])
        import psycopg

        with psycopg.connect(self.database_url) as postgres:
            return int(postgres.execute(query).fetchall()[0][0])


def contenders(conditions: Conditions, kind: str, names: list[str], *, database: Database) -> dict[str, Contender]:
    """Return the contenders by name, each ready to be started on the database of its project."""
    found: dict[str, Contender] = {}
    for number, name in enumerate(names):
        application, project, told = APPLICATIONS[name]
        if kind == "gunicorn":
            application = WSGI.get(application, application.replace(":application", ":wsgi"))
        url = prepared(conditions, project, database) if project else ""
        server = Server(
            kind,
            application,
            log=conditions.scratch / f"{kind}-{number}.log",
            environment=told | ({"BENCH_DATABASE_URL": url} if url else {}),
        )
        found[name] = Contender(name, server, url)
    return found


@functools.cache
def prepared(conditions: Conditions, project: str, database: Database) -> str:
    """Return the address of a project's database, one a measurement: of the servers on it only one is ever under load."""

    def make(url: str) -> None:
        subprocess.run([sys.executable, "-m", project], check=True, env=os.environ | {"BENCH_DATABASE_URL": url})  # noqa: S603 - our own command

    return copied(conditions, project.split(".")[1], database, make)

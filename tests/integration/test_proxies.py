"""The proxies' configuration that we give away, at work before a real server. Only where nginx or Caddy is installed."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from websockets import Subprotocol
from websockets.sync.client import ClientConnection, connect

from livereferrals.tracking.models import ReferralHit
from tests.browsing import USER_AGENT
from tests.certificates import issue
from tests.factories import make_link
from tests.ports import own_port
from tests.servers import ROOT, HostServer, host_server
from tests.streaming.conftest import make_reader
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

DEPLOY = ROOT / "project/deploy"
CLIENT = "203.0.113.9"
NGINX_MAIN = "{user} daemon off; pid {place}/nginx.pid; error_log {place}/error.log; events {{}} http {{ {temporary} include {place}/shop.conf; }}"
SETTINGS = {
    "TRUSTED_PROXIES": 1,
    "FEED_REQUIRE_TLS": True,
    "IP": "full",
    "FEED_POLL_INTERVAL": 0.05,
    "CALLBACKS": {"WORKER": "off"},
}


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """A proxy before the server, as browsers see it; its certificate is believed."""

    port: int

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        """Make a request; the answer is open."""
        conversation = http.client.HTTPSConnection("localhost", self.port, context=believing(), timeout=60)
        conversation.request("GET", path, headers={"User-Agent": USER_AGENT, "Connection": "close"} | headers)
        return conversation.getresponse()

    def socket(self, path: str, **headers: str) -> ClientConnection:
        """Open a WebSocket of the feed."""
        return connect(
            f"wss://localhost:{self.port}{path}",
            ssl=believing(),
            subprotocols=[Subprotocol("livereferrals.v1")],
            additional_headers=headers,
        )


def believing() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@pytest.fixture
def server(transactional_db: None) -> Iterator[HostServer]:
    proxied: dict[str, Any] = {"SECURE_PROXY_SSL_HEADER": ["HTTP_X_FORWARDED_PROTO", "https"]}
    with host_server("uvicorn", LIVEREFERRALS=SETTINGS, **proxied) as running:
        yield running


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, server: HostServer, tmp_path: Path) -> Iterator[Proxy]:
    kind = request.param
    if shutil.which(kind) is None:
        pytest.skip(f"{kind} is not installed")
    static = tmp_path / "static"
    static.mkdir()
    (static / "app.0123.css").write_text("body {}\n")
    port = own_port()
    start = {"nginx": nginx, "caddy": caddy}[kind]
    log = tmp_path / "proxy.log"
    with log.open("wb") as output:
        process = start(tmp_path, port=port, upstream=server.port, output=output)
    try:
        wait_until(lambda: process.poll() is not None or listens(port), what=kind)
        assert process.poll() is None, log.read_text()
        yield Proxy(port=port)
    finally:
        process.terminate()
        process.wait(60)


def nginx(place: Path, *, port: int, upstream: int, output: Any) -> subprocess.Popen[bytes]:
    """Start nginx with our file, in which names, ports and paths are this test's, as it says at its top."""
    identity = issue("localhost")
    pem, unsealed = serialization.Encoding.PEM, serialization.NoEncryption()
    (place / "fullchain.pem").write_bytes(identity.pem())
    (place / "privkey.pem").write_bytes(identity.key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unsealed))
    text = (DEPLOY / "nginx.conf").read_text()
    text = text.replace("listen 80;", f"listen 127.0.0.1:{own_port()};").replace(
        "listen 443 ", f"listen 127.0.0.1:{port} "
    )
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{upstream}").replace("shop.example", "localhost")
    text = (
        text.replace("/etc/ssl/localhost", str(place))
        .replace("/var/log/nginx", str(place))
        .replace("/srv/static", f"{place}/static")
    )
    (place / "shop.conf").write_text(text)
    temporary = "".join(
        f"{name}_temp_path {place}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Its workers change to a user of their own, who may not look into a test's directory.
    user = "user root;" if os.geteuid() == 0 else ""
    (place / "nginx.conf").write_text(NGINX_MAIN.format(user=user, place=place, temporary=temporary))
    command = ["nginx", "-p", str(place), "-c", str(place / "nginx.conf"), "-e", str(place / "error.log")]
    return subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 - ours


def caddy(place: Path, *, port: int, upstream: int, output: Any) -> subprocess.Popen[bytes]:
    """Start Caddy with our file as it is; its own certificate authority is not made known to the machine."""
    options = f"http_port {own_port()}\n\tskip_install_trust\n\tadmin off\n\tgrace_period 1s"
    (place / "Caddyfile").write_text((DEPLOY / "Caddyfile").read_text().replace("grace_period 10s", options))
    given = {
        "SITE_ADDRESS": f"https://localhost:{port}",
        "UPSTREAM": f"127.0.0.1:{upstream}",
        "STATIC_ROOT": f"{place}/static",
    }
    environment = {"PATH": os.environ["PATH"], "HOME": str(place)} | given
    command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(place / "Caddyfile")]
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output)  # noqa: S603 - ours


def listens(port: int) -> bool:
    done = subprocess.run(["bash", "-c", f"exec 3<>/dev/tcp/127.0.0.1/{port}"], capture_output=True, check=False)  # noqa: S603, S607
    return done.returncode == 0


def test_everything_passes_the_proxy(proxy: Proxy) -> None:
    """L-01, feed-1 Links, addresses, static files, and the feed over each transport."""
    make_link(owner="house", identifier="spring")
    reader = make_reader()
    wait_until(lambda: is_ready(proxy), what="A proxy that knows of the server")
    with proxy.get("/ref/spring", **{"X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "http"}) as answer:
        assert answer.status == HTTPStatus.FOUND
        assert "Secure" in str(answer.headers["Set-Cookie"])
    # What the client has claimed is of no account.
    assert ReferralHit.objects.get().ip in {"127.0.0.1", "::1"}
    with proxy.get("/static/app.0123.css") as answer:
        assert answer.read() == b"body {}\n"
        assert "immutable" in str(answer.headers["Cache-Control"])

    bearer = {"Authorization": f"Bearer {reader.token}"}
    with proxy.socket("/referrals/feed/v1/ws", **bearer) as socket:
        assert json.loads(socket.recv(timeout=60))["type"] == "hello"
        reader.append(3)
        while json.loads(socket.recv(timeout=60))["type"] != "events":
            pass
    with proxy.get("/referrals/feed/v1/sse?cursor=oldest", **bearer) as stream:
        assert stream.headers["Content-Encoding"] in {None, "identity"}
        # What follows this is a heartbeat, after twenty seconds: what was held back would come with it at the earliest.
        seen = []
        while b"caught_up" not in (line := stream.readline()):
            seen.append(line)
        assert not [line for line in seen if line.startswith(b"event: heartbeat")]
    with proxy.get("/referrals/feed/v1/poll?cursor=oldest&wait=0", **bearer) as poll:
        assert len(json.loads(poll.read())["events"]) == 3


def is_ready(proxy: Proxy) -> bool:
    with proxy.get("/healthz?ready") as answer:
        return answer.status == HTTPStatus.OK

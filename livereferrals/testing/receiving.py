"""A partner's server: records the callbacks it gets, and answers as it is told."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import parse_qs, urlsplit

from standardwebhooks import Webhook, WebhookVerificationError

from livereferrals import conf
from livereferrals.testing.isolation import overridden_callbacks

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

HOST: Final = "127.0.0.1"
LOOPBACK: Final = "127.0.0.0/8:*"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCall:
    """One callback, as it came in."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    """Decoded parameters, empty ones included."""
    headers: Mapping[str, str]
    """By lower-case name."""
    body: bytes

    def json(self) -> Any:
        """Return the decoded body: the event object, as in the feed."""
        return json.loads(self.body)

    def is_signed_with(self, secret: str) -> bool:
        """Whether the signature was made with this secret (Standard Webhooks), and lately."""
        try:
            Webhook(secret).verify(self.body, dict(self.headers))
        except WebhookVerificationError:
            return False
        return True


class CallbackReceiver:
    """A real HTTP server on a free port of 127.0.0.1, for as long as a `with` block runs; meanwhile it may be called.

    with CallbackReceiver() as receiver:
        make_partner(triggers=["Order paid"], callback_url=f"{receiver.url}?click={{click_id}}")
        ...
        deliver_callbacks()
        (call,) = receiver.calls
    """

    def __init__(self) -> None:
        self.calls: list[ReceivedCall] = []
        """In the order of arrival."""
        self._answers: deque[tuple[int, bytes]] = deque()
        self._server = ThreadingHTTPServer((HOST, 0), _handler_of(self), bind_and_activate=False)
        self._thread = threading.Thread(target=self._server.serve_forever, name="callback-receiver", daemon=True)
        self._permission = overridden_callbacks(ALLOW=[*conf.callbacks.ALLOW, LOOPBACK])

    @property
    def url(self) -> str:
        """Where it is called; any path and query below it will do."""
        return f"http://{HOST}:{self._server.server_address[1]}/callback"

    def answer_with(self, status: int, body: bytes = b"") -> None:
        """Answer the next call so, once; calls are else answered with 200."""
        self._answers.append((status, body))

    def __enter__(self) -> Self:
        self._server.server_bind()
        self._server.server_activate()
        self._thread.start()
        self._permission.enable()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._permission.disable()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, call: ReceivedCall) -> tuple[int, bytes]:
        """Note a call, and return status and body of its answer."""
        self.calls.append(call)
        return self._answers.popleft() if self._answers else (200, b"")


def _handler_of(receiver: CallbackReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Take a callback by GET."""
            self._take()

        def do_POST(self) -> None:
            """Take a signed one."""
            self._take()

        def _take(self) -> None:
            target = urlsplit(self.path)
            status, body = receiver.take(
                ReceivedCall(
                    method=self.command,
                    path=target.path,
                    query=parse_qs(target.query, keep_blank_values=True),
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(int(self.headers.get("Content-Length", "0"))),
                )
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class names it so
            """Say nothing on the terminal."""

    return Handler

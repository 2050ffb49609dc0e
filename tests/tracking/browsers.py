"""A browser that keeps its cookies, on each way into the host project: WSGI, ASGI with async middleware, and the front."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from asgiref.sync import async_to_sync
from django.core.handlers.asgi import ASGIRequest
from django.db import connection
from django.http import HttpResponse
from django.test import AsyncClient, Client
from django.test.client import AsyncClientHandler
from django.test.utils import CaptureQueriesContext

from livereferrals.front import front
from livereferrals.tracking import visitors

if TYPE_CHECKING:
    from livereferrals.tracking.visitors import Carried

HOST = "shop.example"
COOKIE = "livereferrals_visitor"
KINDS = ("wsgi", "asgi", "front")
TRANSACTION = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE")


class AsgiClient(AsyncClient):
    """Django's client with a scope as servers make it: the path also raw, decoded as UTF-8, one host, a query of bytes."""

    peer: list[Any] | None = ["127.0.0.1", 0]

    def _get_path(self, parsed: Any) -> str:
        self._raw_path = parsed.path.encode()
        return unquote(parsed.path)

    def _base_scope(self, **request: Any) -> dict[str, Any]:
        scope: dict[str, Any] = super()._base_scope(**request)  # type: ignore[misc] # not in the stubs
        hosts = [header for header in scope["headers"] if header[0] == b"host"]
        scope["headers"] = [hosts[-1], *(header for header in scope["headers"] if header[0] != b"host")]
        return scope | {"client": self.peer, "raw_path": self._raw_path, "query_string": scope["query_string"].encode()}


class FrontHandler(AsyncClientHandler):
    """The front before Django: what it does not answer goes on."""

    async def __call__(self, scope: dict[str, Any]) -> Any:
        sent: list[dict[str, Any]] = []

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        if not await front.answered(scope, send):
            return await super().__call__(scope)
        start, body = sent
        return as_response(scope, start, body["body"])


class FrontClient(AsgiClient):
    """The same by way of the front."""

    def __init__(self, enforce_csrf_checks: bool = False, **options: Any) -> None:
        super().__init__(enforce_csrf_checks, **options)
        self.handler = FrontHandler(enforce_csrf_checks)


def as_response(scope: dict[str, Any], start: dict[str, Any], body: bytes) -> HttpResponse:
    """Return what was sent as tests know answers."""
    assert all(isinstance(part, bytes) for pair in start["headers"] for part in pair)
    pairs = [(name.decode("ascii"), value.decode("latin-1")) for name, value in start["headers"]]
    assert len(dict(pairs)) == len(pairs)
    cookie = dict(pairs).pop("Set-Cookie", "")
    response = HttpResponse(body, status=start["status"], headers={n: v for n, v in pairs if n != "Set-Cookie"})
    response.cookies.load(cookie)
    for morsel in response.cookies.values():
        morsel["max-age"] = int(morsel["max-age"])
    response.asgi_request = ASGIRequest(scope, BytesIO())  # type: ignore[attr-defined] # as Django's test client does
    return response


ASYNC: dict[str, type[AsgiClient]] = {"asgi": AsgiClient, "front": FrontClient}


class Browser:
    """One browser at `https://shop.example`."""

    def __init__(self, kind: str = "wsgi", *, secure: bool = True, **defaults: Any) -> None:
        self.secure = secure
        self._sync = Client(headers={"host": HOST}, **defaults) if kind == "wsgi" else None
        self._async = ASYNC[kind](host=HOST, **defaults) if kind in ASYNC else None
        self.client: Any = self._sync or self._async

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Send a request, and return the response without following it."""
        send = getattr(self.client, method.lower())
        if self._async is not None:
            send = async_to_sync(send)
        return send(path, secure=self.secure, **options)

    def get(self, path: str, **options: Any) -> Any:
        """Send a GET."""
        return self.request("get", path, **options)

    def post(self, path: str, **options: Any) -> Any:
        """Send a POST."""
        return self.request("post", path, **options)

    def log_in(self, user: Any) -> None:
        """Log in through the host's own form, as a person does."""
        from tests.factories import PASSWORD

        response = self.post("/login/", data={"username": user.username, "password": PASSWORD})
        assert response.status_code == 302, response.content

    def log_out(self) -> None:
        """Log out."""
        assert self.post("/logout/").status_code == 302

    @property
    def cookie(self) -> str | None:
        """The visitor's cookie, or nothing."""
        morsel = self.client.cookies.get(COOKIE)
        return None if morsel is None else morsel.value

    @cookie.setter
    def cookie(self, value: str) -> None:
        self.client.cookies[COOKIE] = value

    @property
    def carried(self) -> Carried | None:
        """What the visitor's cookie proves."""
        return visitors.read_cookie(self.cookie or "")


class Statements(CaptureQueriesContext):
    """The statements that a block makes, without those that only begin and end transactions."""

    def __init__(self) -> None:
        super().__init__(connection)

    @property
    def made(self) -> list[str]:
        """Our statements: also without those that number the log, which a server does in a thread of its own."""
        return [sql for sql in self._before_numbering() if not sql.startswith(TRANSACTION)]

    @property
    def transactions(self) -> int:
        """How many transactions were committed."""
        return sum(sql.startswith("COMMIT") for sql in self._before_numbering())

    @property
    def savepoints(self) -> int:
        """How many transactions were opened inside another one."""
        return sum(sql.startswith("SAVEPOINT") for sql in self._before_numbering())

    def _before_numbering(self) -> list[str]:
        sqls = [query["sql"].lstrip() for query in self.captured_queries]
        # It begins with its plan, or the log's own row, neither of which anything that records a hit asks for.
        begin = ("set_config", "livereferrals_eventlog")
        numbering = next((place for place, sql in enumerate(sqls) if any(word in sql for word in begin)), len(sqls))
        return sqls[:numbering]

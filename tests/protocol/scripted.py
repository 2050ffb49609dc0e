"""A server of the feed that follows a script: it cuts, delays, repeats, reorders and refuses as `scenarios.json` says.

Both reference clients are driven against it. It speaks all three transports, and tells afterwards what it was asked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp import WSMsgType, web

from tests.protocol.scripts import GOLDEN, SCENARIOS, STAGES, Asked, Run, cursor, message
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.protocol.scripts import Message, Step

PROTOCOL = "livereferrals.v1"
HOST = "127.0.0.1"
TICKET = "livereferrals.ticket."


class ScriptedServer:
    """The server, on a thread of its own. `url(...)` is where one client runs one scenario."""

    def __init__(self) -> None:
        self.port = 0
        self._runs: dict[str, Run] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="scripted-feed", daemon=True)
        self._runner: web.AppRunner | None = None

    def start(self) -> ScriptedServer:
        """Listen on a free port."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(60)
        return self

    def stop(self) -> None:
        """End the server and its thread."""
        assert self._runner is not None
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def url(self, scripts: list[list[Step]] | str) -> str:
        """Return the feed's address for a new run of a scenario's connections, or of a stage."""
        name = uuid.uuid4().hex
        self._runs[name] = Run(scripts=STAGES[scripts] if isinstance(scripts, str) else scripts)
        return f"http://{HOST}:{self.port}/{name}/feed/v1"

    def run(self, url: str) -> Run:
        """Return what is known of the run at an address."""
        return self._runs[url.split("/")[3]]

    async def _listen(self) -> None:
        app = web.Application()
        app.router.add_post("/runs/{name}", self._begin)
        app.router.add_get("/{run}/report", self._report)
        app.router.add_get("/{run}/feed/v1/ws", self._ws)
        app.router.add_get("/{run}/feed/v1/sse", self._sse)
        app.router.add_get("/{run}/feed/v1/poll", self._poll)
        app.router.add_post("/{run}/feed/v1/ticket", self._ticket)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _begin(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({"url": self.url(name if name in STAGES else SCENARIOS[int(name)]["connections"])})

    async def _report(self, request: web.Request) -> web.Response:
        run = self._runs[request.match_info["run"]]
        return web.json_response({"tickets": run.tickets, "asked": [vars(one) for one in run.asked]})

    async def _ticket(self, request: web.Request) -> web.Response:
        run = self._runs[request.match_info["run"]]
        run.tickets += 1
        return web.json_response({"ticket": f"lrt_{run.tickets}", "expires_at": "2026-11-21T09:01:00Z"}, status=201)

    def _note(self, request: web.Request, transport: str) -> tuple[Run, Asked]:
        run = self._runs[request.match_info["run"]]
        offered = request.headers.get("Sec-WebSocket-Protocol", "").replace(" ", "").split(",")
        tickets = [name.removeprefix(TICKET) for name in offered if name.startswith(TICKET)]
        asked = Asked(
            transport=transport,
            query=dict(request.query),
            authorization=request.headers.get("Authorization"),
            ticket=tickets[0] if tickets else request.query.get("ticket"),
        )
        run.asked.append(asked)
        return run, asked

    # --- WebSocket -------------------------------------------------------------------------------------------------------

    async def _ws(self, request: web.Request) -> web.StreamResponse:
        run, asked = self._note(request, "ws")
        steps = run.script()
        if refused := _bare(request, steps):
            return refused
        socket = web.WebSocketResponse(protocols=(PROTOCOL,), autoping=True)
        await socket.prepare(request)
        listening = asyncio.ensure_future(_listen_to(socket, asked))
        try:
            for step in steps:
                await _ws_step(step, socket, asked, request)
            await listening
        except ConnectionError:
            pass  # the client has gone, as clients may
        finally:
            listening.cancel()
        return socket

    # --- Server-Sent Events ----------------------------------------------------------------------------------------------

    async def _sse(self, request: web.Request) -> web.StreamResponse:
        run, asked = self._note(request, "sse")
        steps = run.script()
        if refused := _bare(request, steps) or _refusal(steps):
            return refused
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        await response.write(b"retry: 3100\n\n")
        try:
            for step in steps:
                if await _sse_step(step, response, asked, request):
                    return response
            await asyncio.Event().wait()
        except ConnectionError:
            pass
        return response

    # --- long poll -------------------------------------------------------------------------------------------------------

    async def _poll(self, request: web.Request) -> web.StreamResponse:
        run, asked = self._note(request, "poll")
        place = asked.query.get("cursor", "")
        while True:
            if not run.polled:
                if run.polled is not None and run.is_last:
                    await asyncio.Event().wait()
                run.polled = run.script()
            step = run.polled.pop(0)
            if step[0] == "hello" and "." not in place:
                told = message(step, asked=place)
                return _polled({"prev": told["cursor"], "cursor": told["cursor"], "events": []}, run)
            if answer := await _poll_step(step, place, request, run):
                return answer


def _polled(told: Message, run: Run) -> web.Response:
    more = bool(run.polled) and run.polled is not None and run.polled[0][0] == "batch"
    found = {"type": "events", "events": []} | told | {"more": more, "oldest": "k3f9.1", "newest": told["cursor"]}
    return web.json_response(found, headers={"ETag": f'"{told["cursor"]}"'})


async def _poll_step(step: Step, place: str, request: web.Request, run: Run) -> web.StreamResponse | None:
    if answer := _bare(request, [step]) or _refusal([step]):
        run.polled = None if not run.is_last else []
        return answer
    name = step[0]
    if name == "cut":
        _abort(request)
    if name in {"cut", "close", "goodbye"}:
        run.polled = None
    elif name == "pause":
        await asyncio.sleep(step[1])
    elif name == "silence":
        await asyncio.Event().wait()
    elif name in {"batch", "heartbeat"}:
        told = message(step, asked=place)
        return _polled({key: told[key] for key in ("prev", "cursor", "events") if key in told}, run)
    return web.Response() if name == "cut" else None


def _bare(request: web.Request, steps: list[Step]) -> web.Response | None:
    """Return what is answered in place of a connection."""
    step: list[Any] = steps[0] if steps else [""]
    if step[0] == "hang_up":
        _abort(request)
        return web.Response()
    if step[0] == "http":
        return web.Response(status=step[1], headers=step[2] if len(step) > 2 else {}, text="A proxy's page.")
    return None


def _refusal(steps: list[Step]) -> web.Response | None:
    """Return an error as HTTP says it, where there is no connection yet."""
    if not steps or steps[0][0] != "error":
        return None
    told = message(steps[0], asked="")
    status = GOLDEN["endings"][told["code"]][1] or 503
    return web.json_response(told, status=status)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()


async def _listen_to(socket: web.WebSocketResponse, asked: Asked) -> None:
    async for received in socket:
        if received.type is WSMsgType.TEXT:
            said = json.loads(received.data)
            asked.said.append(said["type"])
            if said["type"] == "ack":
                asked.acks.append(said["cursor"])


async def _ws_step(step: Step, socket: web.WebSocketResponse, asked: Asked, request: web.Request) -> None:
    if await _ws_act(step, socket, asked, request) or await _waited(step):
        return
    told = message(step, asked=asked.query.get("cursor", ""))
    await socket.send_str(json.dumps(told))
    asked.last = told.get("cursor", "") if told.get("events") else asked.last
    if step[0] == "error":
        await socket.close(code=told["close"])


async def _ws_act(step: Step, socket: web.WebSocketResponse, asked: Asked, request: web.Request) -> bool:
    """Do what is no message; return whether it was that."""
    name = step[0]
    if name == "raw":
        await socket.send_str(step[1])
    elif name == "binary":
        await socket.send_bytes(b"\0")
    elif name == "cut":
        # A reset takes away what the client's system has received and its program has not yet read.
        await eventually(lambda: asked.is_acknowledged or socket.closed)
        _abort(request)
    elif name == "close":
        await socket.close(code=step[1])
    elif name == "acked":
        await eventually(lambda: cursor(step[1]) in asked.acks or socket.closed)
    elif name == "flood":
        await _flood(socket)
    else:
        return False
    return True


async def _flood(socket: web.WebSocketResponse) -> None:
    beat = json.dumps(message(["heartbeat", 10, 10], asked=""))
    while not socket.closed:
        await socket.send_str(beat)
        await asyncio.sleep(0.01)  # the pace of the flood


async def _sse_step(step: Step, response: web.StreamResponse, asked: Asked, request: web.Request) -> bool:
    """Do a step; return whether the stream ends with it."""
    name = step[0]
    if name == "cut":
        if request.transport is not None:
            request.transport.close()  # not a reset: what was sent arrives
        return True
    if name == "raw":
        await response.write(f"data: {step[1]}\n\n".encode())
        return False
    if name == "close":
        return True
    if name == "acked" or await _waited(step):
        return False
    told = message(step, asked=asked.query.get("cursor", ""))
    kind = "problem" if name == "error" else told["type"]
    head = f"event: {kind}\n" + (f"id: {told['cursor']}\n" if told.get("cursor") else "")
    await response.write(f"{head}data: {json.dumps(told)}\n\n".encode())
    return bool(name == "error")


async def _waited(step: Step) -> bool:
    if step[0] == "silence":
        await asyncio.Event().wait()
    if step[0] == "pause":
        await asyncio.sleep(step[1])
    return bool(step[0] in {"silence", "pause"})


if __name__ == "__main__":
    server = ScriptedServer().start()
    sys.stdout.write(f"http://{HOST}:{server.port}\n")
    sys.stdout.flush()
    sys.stdin.read()
    server.stop()

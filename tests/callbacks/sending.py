"""Making one request in tests: a job, a sender, and a name server that gives fixed answers."""

from __future__ import annotations

import socket
import uuid
from typing import TYPE_CHECKING, Any

from aiohttp.abc import AbstractResolver, ResolveResult
from django.utils import timezone

from livereferrals.callbacks import calls, checking
from livereferrals.callbacks.calls import Job
from livereferrals.callbacks.connector import Flight
from livereferrals.callbacks.payload import Facts
from livereferrals.callbacks.sender import Reply, Sender

if TYPE_CHECKING:
    from livereferrals.callbacks.openings import Rules

EVENT: dict[str, Any] = {
    "type": "confirmation",
    "time": "2026-11-21T09:00:00Z",
    "partner": "p",
    "link": None,
    "data": {},
}
DELIVERY = uuid.UUID("018f0000-0000-7000-8000-000000000001")


def make_job(url: str, **overrides: Any) -> Job:
    values: dict[str, Any] = {
        "delivery": DELIVERY,
        "endpoint": 1,
        "token": uuid.uuid4(),
        "number": 1,
        "lost": 0,
        "payload": EVENT,
        "facts": Facts(delivery=DELIVERY, attempt=1),
        "method": "POST",
        "url": url,
        "plain_http": True,
        "headers": [],
        "secrets": (),
        "timeout_s": 1,
        "config_version": 1,
    }
    return Job(**values | overrides)


async def send(job: Job, *, resolver: AbstractResolver | None = None, rules: Rules | None = None) -> Reply:
    rules = rules or checking.rules()
    call = calls.prepare(job, rules=rules, at=timezone.now())
    async with Sender(resolver=resolver) as sender:
        return await sender.send(call, Flight(origin=call.origin, rules=rules))


class FixedNames(AbstractResolver):
    """A name server that gives these addresses for every name, a list for each look-up."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[Any]:
        self.asked.append(host)
        addresses = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if not addresses:
            raise OSError(None, "no such name")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=0, flags=0)
            for address in addresses
        ]

    async def close(self) -> None:
        """There is nothing to close."""

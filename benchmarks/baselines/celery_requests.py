"""Celery with requests: one task a delivery, a Valkey or Redis broker, prefork with 4 processes, late acknowledgement.

    python -m benchmarks.baselines.celery_requests fill --broker URL --requests 20000 --port PORT ...
    python -m benchmarks.baselines.celery_requests work --broker URL --requests 20000

`fill` queues the tasks; `work` runs a worker until the queue is empty and prints the CPU time of its processes as JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import requests
from celery import Celery

PROCESSES = 4
BODY = json.dumps({"v": 1, "type": "confirmation", "data": dict.fromkeys("abcdefgh", "x" * 36)})

app = Celery("deliveries", broker=os.environ.get("CELERY_BROKER", "redis://127.0.0.1:6379/0"))
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="deliver")  # not after the module, which is `__main__` where the tasks are queued
def deliver(url: str) -> None:
    """Make one delivery."""
    requests.post(url, data=BODY, timeout=15).raise_for_status()


def fill(*, ports: list[int], number: int) -> None:
    """Queue the tasks."""
    with app.producer_pool.acquire() as producer:
        for place, port in zip(range(number), itertools.cycle(ports), strict=False):
            deliver.apply_async((f"http://127.0.0.1:{port}/hook/{place}-{uuid.uuid4()}",), producer=producer)


def waiting(broker: str) -> int:
    """Return how many tasks are queued or not acknowledged."""
    import redis

    client = redis.Redis.from_url(broker)
    return int(client.llen("celery")) + int(client.hlen("unacked"))


def work(broker: str) -> None:
    """Run a worker until nothing is left, and say what CPU time it took after its start."""
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.baselines.celery_requests", "worker"]
    options = ["--pool", "prefork", "--concurrency", str(PROCESSES), "--without-gossip", "--without-mingle"]
    process = subprocess.Popen([*command, *options, "--loglevel", "ERROR"], env={**os.environ, "CELERY_BROKER": broker})  # noqa: S603 - our own command
    while waiting(broker):
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    process.wait(60)
    spent = os.times()
    print(json.dumps({"cpu_s": spent.children_user + spent.children_system}), flush=True)  # noqa: T201


def main() -> None:
    """Do what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fill", "work"])
    parser.add_argument("--port", type=int, action="append", dest="ports", default=[])
    parser.add_argument("--broker", required=True)
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args()
    app.conf.broker_url = options.broker
    if options.what == "fill":
        fill(ports=options.ports, number=options.requests)
    else:
        work(options.broker)


if __name__ == "__main__":
    main()

"""The files for production say what is there: commands, paths, ports and settings."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from livereferrals import asgi
from livereferrals.feed_limits import FeedLimits
from tests.docs.pages import DOCS, ROOT
from tests.docs.test_commands import by_uvicorn, managed

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.once

DEPLOY = ROOT / "project/deploy"
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("build") == "."}
SECRETS = {
    "SECRET_KEY": "a-key-of-more-than-fifty-characters-for-this-test-alone-4711",
    "POSTGRES_PASSWORD": "sesame",
}
PROBED_S = 20.0
"""How often a quiet connection gets a heartbeat."""


def environment(service: dict[str, Any]) -> dict[str, str]:
    """Return a service's variables as Compose fills them in from `.env`."""
    return {name: filled_in(value) for name, value in service["environment"].items()}


def filled_in(text: str) -> str:
    def value(found: re.Match[str]) -> str:
        name, operator, default = found[1], found[2], found[3]
        return SECRETS[name] if operator == ":?" else default

    return re.sub(r"\$\{(\w+)(:\?|:-)([^}]*)\}", value, text)


def test_services_are_the_ones_that_production_needs() -> None:
    assert set(SERVICES) == {"proxy", "web", "worker", "prepare", "postgres", "valkey"}
    assert set(OURS) == {"web", "worker", "prepare"}


def test_no_secret_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    for name in SECRETS:
        assert set(re.findall(rf"\$\{{{name}(:.)", text)) == {":?"}, name
    assert ".env" in (ROOT / ".gitignore").read_text().splitlines()
    assert (ROOT / ".dockerignore").read_text().splitlines()[0] == "*"


def test_whoever_is_waited_for_is_there_and_says_that_it_is_healthy() -> None:
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            if wanted["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[name] or name == "web"  # the image's own


def test_volumes_that_are_mounted_are_declared_or_files_of_ours() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.partition(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / source).is_file(), mount


@pytest.mark.parametrize("name", ["worker", "prepare"])
def test_commands_of_services_can_be_run(name: str) -> None:
    command = OURS[name]["command"]
    lines = command[2].split(" && ") if command[0] == "sh" else [shlex.join(command)]
    for line in lines:
        words = shlex.split(line)
        assert words[:2] == ["python", "manage.py"]
        managed(words[2:])


def test_the_images_server_is_started_with_options_that_it_has() -> None:
    command = re.findall(r"^CMD (\[.*?\])$", DOCKERFILE.replace("\\\n", ""), re.MULTILINE)[-1]
    words = yaml.safe_load(command)
    assert words[:2] == ["uvicorn", "project.asgi:application"]
    by_uvicorn(words[2:])
    assert words[words.index("--port") + 1] == re.findall(r"^EXPOSE (\d+)$", DOCKERFILE, re.MULTILINE)[0]


def test_the_image_is_built_of_files_that_are_there_and_runs_as_nobody_in_particular() -> None:
    lines = DOCKERFILE.splitlines()
    for line in lines:
        if line.startswith("COPY "):
            assert all((ROOT / name).exists() for name in line.split()[1:-1]), line
            assert all(f"!{name}" in (ROOT / ".dockerignore").read_text() for name in line.split()[1:-1]), line
    assert next(number for number, line in enumerate(lines) if line.startswith("USER ")) < lines.index("EXPOSE 8000")


def test_health_is_asked_for_where_it_is_answered() -> None:
    texts = {DOCKERFILE, (DEPLOY / "Caddyfile").read_text(), (DOCS / "howto/behind-a-proxy.md").read_text()}
    for text in texts:
        assert set(re.findall(r"/health\w*", text)) == {asgi.HEALTH_PATH}
    assert f"http://127.0.0.1:8000{asgi.HEALTH_PATH}?ready" in DOCKERFILE


def test_the_workers_health_file_is_the_one_that_is_looked_at() -> None:
    worker = OURS["worker"]
    path = worker["command"][worker["command"].index("--health-file") + 1]
    assert f"'{path}'" in worker["healthcheck"]["test"][-1]
    compile(worker["healthcheck"]["test"][-1], "healthcheck", "exec")


def test_processes_get_the_time_that_they_need_to_end() -> None:
    for name in ("web", "worker"):
        assert OURS[name]["stop_grace_period"] == "30s"


@pytest.mark.parametrize("name", ["Caddyfile", "nginx.conf"])
def test_proxies_wait_for_longer_than_a_heartbeat_and_a_poll(name: str) -> None:
    """L-01 Streams are not cut, and static files lie where they are collected."""
    text = (DEPLOY / name).read_text()
    waits = [int(found) for found in re.findall(r"read_timeout (\d+)s", text)]
    assert waits
    assert min(waits) > max(PROBED_S, 30) < FeedLimits().silence_timeout_s
    assert "/srv/static" in text
    assert "127.0.0.1:8000" in text or "web:8000" in text


def test_every_file_of_the_page_on_proxies_is_named_on_it() -> None:
    page = (DOCS / "howto/behind-a-proxy.md").read_text()
    for path in [*DEPLOY.iterdir(), ROOT / "docker-compose.yml", ROOT / "project/production.py"]:
        assert path.name in page, path


def in_production(*arguments: str, scratch: Path, **extra: str) -> subprocess.CompletedProcess[str]:
    """Run the demo's `manage.py` with what Compose gives to `web`; the services are not asked."""
    given = environment(OURS["web"]) | {"DEMO_DIR": str(scratch), "STATIC_ROOT": str(scratch)}
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]} | given | extra,
        capture_output=True,
        text=True,
        check=False,
    )


def test_production_refuses_to_start_without_its_secrets(tmp_path: Path) -> None:
    names = ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "REDIS_URL")
    done = in_production("check", scratch=tmp_path, **dict.fromkeys(names, ""))
    assert done.returncode != 0
    assert f"Set {' and '.join(names)} in the environment" in done.stderr


def test_production_has_nothing_for_check_deploy_to_say(tmp_path: Path) -> None:
    done = in_production("check", "--deploy", "--fail-level", "WARNING", scratch=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no issues (0 silenced)" in done.stdout


@pytest.mark.skipif(shutil.which("caddy") is None, reason="Caddy is not installed")
def test_caddy_takes_its_file(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 - ours
    assert done.returncode == 0, done.stderr

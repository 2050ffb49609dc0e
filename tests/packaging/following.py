"""A reader who follows a page of the docs to the letter: makes the files that it shows and types the commands that it gives.

What differs from a person: the port, which is this test's own; the package, which comes from a wheel of this checkout and has
its dependencies from here; and waiting, which is for what a person would see.
"""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from tests.browsing import Browser
from tests.docs.pages import Block, blocks_of
from tests.packaging.building import empty_environment
from tests.ports import own_port
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PASSWORD = "pekoe-and-milk"
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
PLACE = re.compile(r"(?:#|\{#) (\S+), (new file|at the end|instead)(?: #\})?\n")
DJANGO_ADMIN = (
    "#!{python}\nfrom django.core.management import execute_from_command_line\n\nexecute_from_command_line()\n"
)


@dataclass
class Reader:
    """Somebody with a terminal, who is in some folder."""

    directory: Path
    wheel: Path
    port: int = field(default_factory=own_port)
    given: dict[str, str] = field(default_factory=dict)
    """What stands for the page's placeholders: `<uid>`."""
    partner_port: int = field(default_factory=own_port)
    """Where the reader plays a partner's server."""
    exported: dict[str, str] = field(default_factory=dict)
    bin: Path | None = None

    @property
    def base(self) -> str:
        """The address at which the reader's site is."""
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        path = passed_on["PATH"] if self.bin is None else f"{self.bin}:{passed_on['PATH']}"
        return passed_on | {"PATH": path, "PYTHONUNBUFFERED": "1"} | self.exported

    def follow(self, page: Path, section: str) -> str:
        """Do what a section says; return what was printed. It ends where a command would not: at the server."""
        printed = ""
        for block in section_of(page, section):
            if block.language == "sh":
                for line in block.code.splitlines():
                    if line == "python manage.py runserver":
                        return printed
                    printed += self.type(self.filled_in(line))
            elif block.language != "text":
                self.put(block)
        return printed

    def filled_in(self, line: str) -> str:
        for placeholder, value in self.given.items():
            line = line.replace(placeholder, value)
        return line.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}").replace("9377", str(self.partner_port))

    def put(self, block: Block) -> None:
        """Write a block into its file, as the first line of it says."""
        found = PLACE.match(block.code)
        assert found is not None, f"{block} does not say where it goes"
        file, way = self.directory / found[1], found[2]
        assert file.exists() is (way != "new file"), f"{block}: {file.name} is {'' if file.exists() else 'not '}there"
        file.parent.mkdir(parents=True, exist_ok=True)
        code = self.filled_in(block.code)
        file.write_text(f"{file.read_text()}\n{code}" if way == "at the end" else code)

    def type(self, line: str) -> str:
        """Type a command; return what it printed."""
        if line.startswith("cd "):
            self.directory /= line.removeprefix("cd ")
        elif line.startswith("export "):
            self.exported |= dict([line.removeprefix("export ").split("=", 1)])
        elif line == "python3 -m venv .venv":
            self.bin = empty_environment(self.directory / ".venv", self.wheel)
            (self.bin / "django-admin").write_text(DJANGO_ADMIN.format(python=self.bin / "python"))
            (self.bin / "django-admin").chmod(0o755)
        elif line in (". .venv/bin/activate", "pip install livereferrals"):
            assert self.bin is not None, "there is no environment yet"
        elif " createsuperuser " in line:
            return self.answer(line, prompt="Password", text=PASSWORD)
        else:
            return self.run(line)
        return ""

    def run(self, line: str) -> str:
        """Run a command and return what it printed, errors too."""
        done = subprocess.run(  # noqa: S603 - our own page
            ["bash", "-c", line],  # noqa: S607 - wherever it is
            cwd=self.directory,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    def answer(self, line: str, *, prompt: str, text: str) -> str:
        """Run a command at a terminal and give it this text at each prompt."""
        keyboard, terminal = pty.openpty()
        with os.fdopen(keyboard, "r+b", buffering=0) as screen, self.started(line, terminal=terminal) as process:
            os.close(terminal)
            said = ""
            with suppress(OSError):  # Linux' way to say that nobody has the terminal any more
                while part := screen.read(1000):
                    said += part.decode()
                    if re.search(rf"{prompt}[^\n]*: $", said):
                        screen.write(f"{text}\n".encode())
            assert process.wait() == 0, said
        return said

    @contextmanager
    def started(self, line: str, *, terminal: int | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start a command in a session of its own, and end it with whatever it has started."""
        with subprocess.Popen(  # noqa: S603 - our own page
            ["bash", "-c", f"exec {line}"],  # noqa: S607 - wherever it is
            cwd=self.directory,
            env=self.environment(),
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE if terminal is None else terminal,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGTERM)
                process.wait(240)

    def lines_of(self, line: str, *, until: str, then: Callable[[str], object]) -> list[str]:
        """Run a command until a line of its output has a text, do something with it, then press Ctrl-C; return the lines."""
        with self.started(line) as process:
            assert process.stdout is not None
            seen = []
            for text in process.stdout:
                seen.append(text)
                if until in text:
                    then(text)
                    process.send_signal(signal.SIGINT)
                    process.wait(240)
                    return seen
        raise AssertionError(f"{line} ended without {until!r}: {''.join(seen)}")


def ctrl_c() -> signal.Signals:
    """Return the signal of Ctrl-C, or of a plain end where it is ignored: in the background of a shell, and in children."""
    return signal.SIGTERM if signal.getsignal(signal.SIGINT) is signal.SIG_IGN else signal.SIGINT


def section_of(page: Path, title: str) -> list[Block]:
    """Return the code blocks below a heading of a page."""
    lines = page.read_text().splitlines()
    begin = lines.index(f"## {title}") + 1
    end = next(
        (number for number, line in enumerate(lines, 1) if number > begin and line.startswith("## ")), len(lines) + 1
    )
    return [block for block in blocks_of(page) if begin < block.line < end]


@contextmanager
def serving(reader: Reader, log: Path) -> Iterator[None]:
    """Run `runserver` as the page says, until it is no longer needed."""
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - our own page
            ["bash", "-c", f"exec python manage.py runserver 127.0.0.1:{reader.port}"],  # noqa: S607 - wherever it is
            cwd=reader.directory,
            env=reader.environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        wait_until(lambda: process.poll() is not None or is_answered(reader.base), what="The server")
        assert process.poll() is None, log.read_text()
        yield
    finally:
        # Not SIGINT: whoever runs in the background of a shell ignores it, and so do its children.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(240)


def is_answered(base: str) -> bool:
    try:
        return Browser(base).request("/healthz").status == HTTPStatus.OK
    except OSError:
        return False

"""The demo's server process: daphne on one port, which also ends when the demo that started it is gone.

    python -m project.server 8000

Standard input is a pipe from the demo: its end means that nobody is left to stop this process.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from daphne.cli import CommandLineInterface  # type: ignore[import-untyped] # daphne has no types


def _end_with_parent() -> None:
    # Not `sys.stdin.read`: Python aborts when it ends while a thread holds the lock of a buffered stream.
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(port: str) -> None:
    """Serve until SIGTERM. Ctrl-C reaches the whole terminal; the demo hears it and stops this process in its turn."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="end-with-parent", daemon=True).start()
    # Verbosity 0: problems are logged, not each request.
    CommandLineInterface().run(["--verbosity", "0", "--bind", "127.0.0.1", "--port", port, "project.asgi:application"])


if __name__ == "__main__":
    main(sys.argv[1])

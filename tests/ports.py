"""Ports of loopback that are a test's own: nobody else gets one while its server is down, or not yet up.

A port that is merely free goes to the next who asks: while a killed server starts again, its clients would speak to
another test's server, and that one would count their calls. So a socket stays bound to it, which never listens: the
system then gives the port to nobody who asks for any, while a server that asks for this one by its number gets it, as
servers share it by SO_REUSEADDR.
"""

from __future__ import annotations

import socket
import sys

HOST = "127.0.0.1"

_held: list[socket.socket] = []


def hold_port(host: str = HOST) -> socket.socket:
    """Return a socket that holds a port until it is closed."""
    holder = socket.socket()
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    return holder


def own_port() -> int:
    """Return a port that nobody else gets for as long as this process lives."""
    holder = hold_port()
    port: int = holder.getsockname()[1]
    if sys.platform == "linux":
        _held.append(holder)
    else:  # SO_REUSEADDR shares no ports there
        holder.close()
    return port

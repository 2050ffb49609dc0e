"""Sessions of the database that a test has ended, in the hands of threads that outlive it."""

from __future__ import annotations

from asgiref.sync import SyncToAsync
from django.db import connections


def close_cut_sessions() -> None:
    """Close what asgiref's thread holds, which asynchronous tests of this process share: it would not notice by itself."""
    SyncToAsync.single_thread_executor.submit(connections.close_all).result()

"""What the fault tests share: loopback may be called, and one process forks the workers that are to die."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.callbacks.conftest import _loopback
from tests.faults.killing import Nursery, nursery

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["_loopback"]


@pytest.fixture(scope="session")
def _nursery(django_db_setup: None) -> Iterator[Nursery]:
    with nursery() as running:
        yield running


@pytest.fixture
def dying(_nursery: Nursery) -> Iterator[Nursery]:
    """Workers that are to be killed, one at a time; what a test leaves running ends with it."""
    yield _nursery
    _nursery.kill()

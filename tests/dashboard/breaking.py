"""Trouble in one region of a page: real statements that fail, and real templates that cannot be drawn."""

from __future__ import annotations

import copy
import re
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.test import override_settings

from livereferrals.dashboard import pages

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from livereferrals.dashboard.pages import Page

PART = pages.Moment.part.__code__
MOMENT = pages.one_moment.__wrapped__.__code__  # type: ignore[attr-defined] # what the decorator wraps
NOWHERE = "SELECT 1 FROM livereferrals_nowhere"


@dataclass
class Broken:
    """What was done to the statements."""

    statements: int = 0


@contextmanager
def statements_of(page: Page, region: str) -> Iterator[Broken]:
    """Have each statement by which this region is read ask for a table that is not there."""
    broken = Broken()

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if _is_for(page, region):
            broken.statements += 1
            sql, params, many = NOWHERE, None, False
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield broken


@contextmanager
def subject_of(page: Page) -> Iterator[Broken]:
    """Have the first statement of the page that is of no region ask for a table that is not there."""
    broken = Broken()

    def execute(run: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if _is_of_no_region(page):
            broken.statements += 1
            sql, params, many = NOWHERE, None, False
        return run(sql, params, many, context)

    with connection.execute_wrapper(execute):
        yield broken


@contextmanager
def template_of(settings: Any, region: str) -> Iterator[None]:
    """Have a host's own template of this region include one that is not there."""
    engines = copy.deepcopy(settings.TEMPLATES)
    name = f"livereferrals/dashboard/_{region}.html"
    engines[0].pop("APP_DIRS", None)
    engines[0].setdefault("OPTIONS", {})["loaders"] = [
        ("django.template.loaders.locmem.Loader", {name: '{% include "nowhere.html" %}'}),
        "django.template.loaders.filesystem.Loader",
        "django.template.loaders.app_directories.Loader",
    ]
    with override_settings(TEMPLATES=engines):
        yield


def failed_regions(markup: str) -> dict[str, str]:
    """Return the regions that say that they could not be read, each with the reference that it gives."""
    parts = re.findall(r'<div id="(\w+)" class="lr-failed".*?Reference (\w+)', markup, re.DOTALL)
    return dict(parts)


def _is_of_no_region(page: Page) -> bool:
    """Whether the statement that is just run reads the page, and none of its regions."""
    frame: FrameType | None = sys._getframe(2)
    while frame is not None:
        if frame.f_code in (MOMENT, PART):
            return False
        if frame.f_code is page.read.__code__:
            return True
        frame = frame.f_back
    return False


def _is_for(page: Page, region: str) -> bool:
    """Whether the statement that is just run reads this region."""
    only = page.regions == (region, pages.CURSOR)
    frame: FrameType | None = sys._getframe(2)
    inside = False
    while frame is not None:
        if frame.f_code is MOMENT:
            return False
        if frame.f_code is PART and frame.f_locals["region"] == region:
            return True
        inside = inside or (only and frame.f_code is page.read.__code__)
        frame = frame.f_back
    return inside

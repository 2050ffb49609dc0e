"""The SQL of the docs runs on PostgreSQL, with the tables that are there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from django.db import connection

from tests.docs.pages import PAGES, ROOT, blocks_of

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.django_db

WITH_SQL = [page for page in PAGES if any(block.language == "sql" for block in blocks_of(page))]


@pytest.mark.parametrize("page", WITH_SQL, ids=lambda page: str(page.relative_to(ROOT)))
def test_statements_of_a_page_run_one_after_the_other(page: Path) -> None:
    """In the test's own transaction, which is rolled back; tables of the older packages are made to be dropped."""
    if connection.vendor != "postgresql":
        pytest.skip("the page has statements for PostgreSQL")
    with connection.cursor() as cursor:
        there = set(connection.introspection.table_names(cursor))
        for block in blocks_of(page):
            if block.language != "sql":
                continue
            for table in re.findall(r"^DROP TABLE (\w+);", block.code, re.MULTILINE):
                if table not in there and not table.startswith("livereferrals_"):
                    cursor.execute(f"CREATE TABLE {table} (id integer)")
            cursor.execute(re.sub(r"^(BEGIN|COMMIT);$", "", block.code, flags=re.MULTILINE))

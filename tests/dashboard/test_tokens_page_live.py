"""Revoking a token from its page cuts its client off, and the page shows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from channels.db import database_sync_to_async
from django.test import Client
from django.urls import reverse

from livereferrals.streaming import tokens
from tests.dashboard.makers import make_viewer, metrics
from tests.factories import make_partner
from tests.servers import host_server
from tests.streaming.clients import feed
from tests.waiting import eventually

if TYPE_CHECKING:
    from livereferrals.streaming.models import FeedToken

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]
PAGE = reverse("livereferrals_dashboard:tokens")
SOON_S = 60.0
PROMISED_S = 10.0
SLACK_S = 30.0
"""For a machine that does much else."""


def made() -> tuple[FeedToken, str, Client]:
    row, text = tokens.issue(name="Warehouse", partner=make_partner(name="Acme"))
    client = Client()
    client.force_login(make_viewer("view_dashboard", "manage_tokens"))
    return row, text, client


async def test_revoked_token_is_cut_off_and_the_list_shows_it() -> None:
    """dashboard-37: within 10 s, in a server that nobody tells of it"""
    row, text, client = await database_sync_to_async(made)()

    def open_now() -> str:
        return metrics(client.get(PAGE).content.decode())[f"open-{row.pk}"]

    async def shows(count: str) -> bool:
        return await database_sync_to_async(open_now)() == count

    with host_server("daphne") as server:
        async with feed(server, text) as connection:
            await connection.until("hello")
            await eventually(lambda: shows("1"), timeout_s=SOON_S, what="The connection on the page")
            revoke = reverse("livereferrals_dashboard:token_revoke", args=[row.pk])
            began = time.monotonic()
            answer = await database_sync_to_async(client.post)(revoke)
            assert answer.status_code == 302
            problem, code = await connection.ending()
            assert time.monotonic() - began < PROMISED_S + SLACK_S
            assert problem is not None
            assert (problem["code"], code) == ("token_revoked", 4501)
        await eventually(lambda: shows("0"), timeout_s=SOON_S, what="The page without the connection")
        page = await database_sync_to_async(lambda: client.get(PAGE).content.decode())()
        assert "Revoked" in page

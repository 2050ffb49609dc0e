"""Somebody with a browser follows a link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import sync_to_async
from django.db import router
from django.urls import reverse

from livereferrals.tracking.models import ReferralHit, ReferralLink

if TYPE_CHECKING:
    from django.http import HttpResponse
    from django.test import AsyncClient, Client

    from livereferrals.tracking.models import Visitor

BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
"""The user agent that the helpers send; Django's test client names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """What came of following a link."""

    hit: ReferralHit
    response: HttpResponse
    """The redirect; the client keeps its cookie."""

    @property
    def visitor(self) -> Visitor | None:
        """Who followed; nobody where there is no consent."""
        return self.hit.visitor


def follow(client: Client | AsyncClient, link: ReferralLink | str, **query: str) -> Followed:
    """Follow a link's own URL as a person with a browser does.

    Args:
        client: Django's test client, for `afollow` the async one; afterwards it is the visitor's browser.
        link: the link, or its identifier.
        query: parameters of the URL: `next`, `click_id`, `sub1` to `sub5`.

    Raises:
        AssertionError: no hit was recorded; the message has the answer.
    """
    before = _newest()
    response: Any = client.get(_url(link), query, headers={"user-agent": BROWSER})
    return _followed(response, before=before)


async def afollow(client: Client | AsyncClient, link: ReferralLink | str, **query: str) -> Followed:
    """Async form of `follow`."""
    before = await sync_to_async(_newest)()
    answering: Any = client.get(_url(link), query, headers={"user-agent": BROWSER})
    response = await answering
    return await sync_to_async(_followed)(response, before=before)


def _url(link: ReferralLink | str) -> str:
    identifier = link.identifier if isinstance(link, ReferralLink) else link
    return reverse("livereferrals:link", args=[identifier])


def _newest() -> ReferralHit | None:
    """Return the hit that was written last: ids are in the order of time."""
    hits = ReferralHit.objects.using(router.db_for_write(ReferralHit))
    return hits.select_related("link", "partner", "visitor").order_by("pk").last()


def _followed(response: HttpResponse, *, before: ReferralHit | None) -> Followed:
    hit = _newest()
    if hit is None or hit == before:
        where = response.get("Location", "nowhere")
        raise AssertionError(
            f"Following recorded no hit: the answer is {response.status_code}, leading to {where}. Is the link's"
            " identifier right, is the link enabled and its partner active?"
        )
    return Followed(hit=hit, response=response)

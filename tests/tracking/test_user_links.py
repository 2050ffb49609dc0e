"""Links of users, the addresses of links, and the template tags that show them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.template import Context, RequestContext, Template
from django.test import RequestFactory
from django.test.utils import override_script_prefix
from django.urls import NoReverseMatch
from django.utils.functional import SimpleLazyObject

from livereferrals.models import ReferralLink
from tests.factories import home_link, make_link, make_partner, make_user

if TYPE_CHECKING:
    from pytest_django import DjangoAssertNumQueries

pytestmark = pytest.mark.django_db


def request_of(user: Any) -> Any:
    request = RequestFactory(headers={"host": "shop.example"}).get("/", secure=True)
    request.user = user
    return request


def rendered(source: str, *, user: Any = None, **values: Any) -> str:
    request = request_of(user or AnonymousUser())
    context = RequestContext(request, values | {"request": request})
    return Template("{% load livereferrals %}" + source).render(context)


# --- for_user -------------------------------------------------------------------------------------------------------------


def test_users_link_is_made_at_first_use(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    """L-60"""
    ann, bob = make_user(), make_user()
    link = ReferralLink.objects.for_user(ann)
    assert (link.user, link.owner, link.disabled) == (ann, "user", False)
    with django_assert_num_queries(1):
        assert ReferralLink.objects.for_user(ann) == link
    assert ReferralLink.objects.for_user(bob) != link
    assert ReferralLink.objects.count() == 2


def test_link_that_staff_made_is_the_users_link() -> None:
    """L-60: the oldest of several, also when it was disabled, or the user would have another one by asking"""
    ann = make_user()
    first = make_link(user=ann, disabled=True)
    make_link(user=ann)
    assert ReferralLink.objects.for_user(ann) == first


def test_lazy_user_of_a_request_has_a_link() -> None:
    """L-60: `request.user`"""
    ann = make_user()
    lazy: Any = SimpleLazyObject(lambda: User.objects.get(pk=ann.pk))
    assert ReferralLink.objects.for_user(lazy).user == ann


@pytest.mark.django_db(transaction=True)
def test_two_calls_at_once_give_one_link() -> None:
    """L-60"""
    for _round in range(10):
        user = make_user()
        start = threading.Barrier(4)
        found: list[ReferralLink] = []

        def ask(user: User = user, start: threading.Barrier = start, found: list[ReferralLink] = found) -> None:
            start.wait()
            found.append(ReferralLink.objects.for_user(user))
            connection.close()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4
        assert {link.pk for link in found} == {ReferralLink.objects.get(user=user).pk}


# --- addresses ------------------------------------------------------------------------------------------------------------


def test_path_of_a_link_is_its_url() -> None:
    """L-61"""
    link = make_link(identifier="abc123")
    assert link.get_absolute_url() == "/ref/abc123"
    with override_script_prefix("/sub/"):
        assert link.get_absolute_url() == "/sub/ref/abc123"


@pytest.mark.urls("tests.tracking.bare_urls")
def test_path_without_the_link_url_is_the_parameter_on_the_start_page(settings: Any) -> None:
    """L-61, P-03"""
    link = make_link(identifier="abc123")
    assert link.get_absolute_url() == "/?ref=abc123"
    assert link.build_url(request_of(None), next="/x") == "https://shop.example/?ref=abc123&next=%2Fx"
    settings.LIVEREFERRALS = {"PARAMETERS": {"affiliate_id": "partner"}}
    with pytest.raises(NoReverseMatch):
        link.get_absolute_url()


def test_absolute_url_is_on_the_host_of_the_request() -> None:
    """L-61: with `next` escaped"""
    link = make_link(identifier="abc123")
    request = request_of(None)
    assert link.build_url(request) == "https://shop.example/ref/abc123"
    built = link.build_url(request, next="/x?a=1&b=é#part", sub1="news letter")
    assert built == "https://shop.example/ref/abc123?next=%2Fx%3Fa%3D1%26b%3D%C3%A9%23part&sub1=news+letter"
    assert link.build_url(request, next="") == "https://shop.example/ref/abc123?next="


def test_absolute_url_without_a_request_is_on_base_url_or_an_error_that_says_so(settings: Any) -> None:
    """L-61, X-24"""
    link = make_link(identifier="Grüße")
    with pytest.raises(ImproperlyConfigured, match="BASE_URL"):
        link.build_url()
    for base in ("https://www.example.com", "https://www.example.com/"):
        settings.LIVEREFERRALS = {"BASE_URL": base}
        assert link.build_url(next="/x") == "https://www.example.com/ref/Gr%C3%BC%C3%9Fe?next=%2Fx"


# --- template tags --------------------------------------------------------------------------------------------------------


def test_tag_shows_the_logged_in_users_link() -> None:
    """L-62"""
    ann = make_user()
    shown = rendered('{% referral_url next="/x" %}', user=ann)
    link = ReferralLink.objects.get(user=ann)
    assert shown == f"https://shop.example/ref/{link.identifier}?next=%2Fx"
    assert rendered("{% referral_url as url %}{{ url }}", user=ann) == f"https://shop.example/ref/{link.identifier}"


def test_tag_is_empty_for_everybody_else(settings: Any) -> None:
    """L-62"""
    assert rendered("{% referral_url %}") == ""
    assert Template("{% load livereferrals %}{% referral_url %}").render(Context()) == ""
    assert ReferralLink.objects.count() == 0


def test_tag_shows_a_link_a_partners_and_a_users() -> None:
    """L-62: without a request on the host of `BASE_URL`"""
    link, partner, ann = make_link(identifier="abc123"), make_partner(), make_user()
    assert rendered("{% referral_link it sub1='a' %}", it=link) == "https://shop.example/ref/abc123?sub1=a"
    assert rendered("{% referral_link it %}", it=partner) == f"https://shop.example/ref/{home_link(partner).identifier}"
    assert rendered("{% referral_link it %}", it=ann).endswith(ReferralLink.objects.get(user=ann).identifier)
    with pytest.raises(TypeError, match="a link, a partner or a user"):
        rendered("{% referral_link it %}", it="abc123")


def test_addresses_are_escaped_in_html() -> None:
    """L-62"""
    shown = rendered("{% referral_link it sub1='<b>' sub2='a' %}", it=make_link(identifier="abc123"))
    assert shown.endswith("?sub1=%3Cb%3E&amp;sub2=a")

"""Addresses of links in templates.

{% load livereferrals %}
{% referral_url next="/offers/" %}      the logged-in user's link, made at first use; empty for everybody else
{% referral_link link %}                a link's address, or that of a user's link or a partner's home link
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.contrib.auth import get_user_model

from livereferrals.tracking import visitors
from livereferrals.tracking.models import Partner, ReferralLink

if TYPE_CHECKING:
    from django.template import Context

register = template.Library()


@register.simple_tag(takes_context=True)
def referral_url(context: Context, **params: str) -> str:
    """Return the address of the logged-in user's link; nothing where nobody is logged in (L-62). One query."""
    request = context.get("request")
    user = visitors.person(context.get("user") or getattr(request, "user", None))
    return "" if user is None else ReferralLink.objects.for_user(user).build_url(request, **params)


@register.simple_tag(takes_context=True)
def referral_link(context: Context, shared: Any, **params: str) -> str:
    """Return the address of a link, of a user's link or of a partner's home link (L-62).

    Raises:
        TypeError: it is none of them.
    """
    return _link(shared).build_url(context.get("request"), **params)


def _link(shared: Any) -> ReferralLink:
    if isinstance(shared, ReferralLink):
        return shared
    if isinstance(shared, Partner):
        return shared.links.get(home=True)
    if isinstance(shared, get_user_model()):
        return ReferralLink.objects.for_user(shared)
    raise TypeError(f"referral_link takes a link, a partner or a user, not {type(shared).__name__}.")

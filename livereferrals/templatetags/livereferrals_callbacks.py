"""What pages say of callbacks: `{% load livereferrals_callbacks %}`.

{% lr_attention %}      the banner: endpoints that need somebody, for those who may see subscriptions
{{ span|lr_span }}      a span of time in words: "4 minutes 10 seconds"
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import template
from django.utils import timezone
from django.utils.translation import ngettext

from livereferrals import routes
from livereferrals.callbacks import attention

if TYPE_CHECKING:
    from datetime import timedelta

    from django.template import Context

register = template.Library()
PERMISSION = "livereferrals.view_subscription"


@register.inclusion_tag("livereferrals/_attention.html", takes_context=True)
def lr_attention(context: Context) -> dict[str, Any]:
    """Return what needs somebody now; nothing, and no query, for whoever may not see subscriptions."""
    request = context.get("request")
    user = getattr(request, "user", None)
    if user is None or not user.has_perm(PERMISSION):
        return {"needs": []}
    return {"needs": [(need, _address(need)) for need in attention.needs(now=timezone.now())]}


def _address(need: attention.Need) -> str:
    return routes.path_of("admin:livereferrals_subscription_change", need.subscription.pk) or ""


@register.filter
def lr_span(span: timedelta) -> str:
    """Return a span of time in its two largest units."""
    left = max(0, round(span.total_seconds()))
    days, left = divmod(left, 86400)
    hours, left = divmod(left, 3600)
    minutes, seconds = divmod(left, 60)
    parts = [
        ngettext("%(n)s day", "%(n)s days", days) % {"n": days} if days else "",
        ngettext("%(n)s hour", "%(n)s hours", hours) % {"n": hours} if hours else "",
        ngettext("%(n)s minute", "%(n)s minutes", minutes) % {"n": minutes} if minutes else "",
        ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds} if seconds else "",
    ]
    found = [part for part in parts if part]
    return " ".join(found[:2]) or ngettext("%(n)s second", "%(n)s seconds", 0) % {"n": 0}

"""A link as a QR code, for print (D-07)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from livereferrals.admin.copying import link_path
from livereferrals.admin.listing import as_uuid
from livereferrals.tracking import picturing
from livereferrals.tracking.models import ReferralLink

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin
    from django.http import HttpRequest
    from django.urls import URLPattern
    from django.utils.safestring import SafeString

NAME = "livereferrals_referrallink_qr"


def url_pattern(model_admin: ModelAdmin) -> URLPattern:
    """Return the picture's place below the link's."""

    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        return picture(model_admin, request, object_id)

    return path("<path:object_id>/qr.svg", model_admin.admin_site.admin_view(view), name=NAME)


def picture(model_admin: ModelAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Answer with the code of the link's address on this site, as SVG, which prints sharp at any size."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    pk = as_uuid(object_id)
    link = None if pk is None else ReferralLink.objects.filter(pk=pk).first()
    address = None if link is None else link_path(link.identifier)
    if link is None or address is None:
        raise Http404
    return HttpResponse(
        picturing.qr_code(request.build_absolute_uri(address), title=link.identifier),
        content_type="image/svg+xml",
        headers={"Content-Disposition": f'inline; filename="{link.pk}.svg"', "Cache-Control": "private, no-store"},
    )


def shown(link: ReferralLink) -> SafeString:
    """Return the picture for the link's page, with a way to keep it."""
    url = reverse(f"admin:{NAME}", args=[link.pk])
    return format_html(
        '<span class="lr-qr"><img class="lr-qr__picture" src="{url}" width="160" height="160" alt="{alt}">'
        '<a href="{url}" download="{name}.svg">{label}</a></span>',
        url=url,
        alt=_("QR code of the link %(link)s") % {"link": link.identifier},
        name=link.identifier,
        label=_("Download for print"),
    )

"""A link to share: which one, and its address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.urls import NoReverseMatch

from livereferrals import conf
from livereferrals.dashboard.narrowing import as_uuid
from livereferrals.dashboard.pages import NoSuchSubjectError
from livereferrals.dashboard.scoping import visible
from livereferrals.tracking.models import ReferralLink

if TYPE_CHECKING:
    from livereferrals.dashboard.access import Rights


def find(subject: str, rights: Rights) -> ReferralLink:
    """Return a link that the viewer may see, with its owner. One query.

    Raises:
        NoSuchSubjectError: there is none.
    """
    pk = as_uuid(subject)
    rows = visible(ReferralLink.objects.select_related("partner", "user"), rights=rights)
    link = None if pk is None else rows.filter(pk=pk).first()
    if link is None:
        raise NoSuchSubjectError(subject)
    return link


def link_address(link: ReferralLink) -> str:
    """Return the address to share: absolute where `BASE_URL` is set, else its path, which the script makes absolute.

    Empty where the host includes no URLs of links and has no parameter that names one.
    """
    try:
        return link.build_url() if conf.settings.BASE_URL else link.get_absolute_url()
    except NoReverseMatch:
        return ""

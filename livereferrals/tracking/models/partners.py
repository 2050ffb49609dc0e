"""Partners and the links that they, users and the house share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils.translation import gettext_lazy as _

from livereferrals import conf, ids
from livereferrals.exceptions import ConfigurationError
from livereferrals.tracking import targets
from livereferrals.tracking.models.drawing import insert_drawn
from livereferrals.tracking.models.owned import LinkOwner, LinkQuerySet

if TYPE_CHECKING:
    from django.http import HttpRequest

IDENTIFIER = r"[\w-]{1,50}"
"""What a link's URL can carry: letters of any language, digits, underscore and hyphen, case-sensitive (L-06)."""

validate_identifier = RegexValidator(
    rf"\A{IDENTIFIER}\Z",
    _("Use 1 to 50 letters, digits, underscores and hyphens; no spaces."),
)


class Partner(models.Model):
    """A company or person with a referral deal."""

    uid = models.CharField(
        _("uid"),
        max_length=8,
        unique=True,
        default=ids.random_uid,
        editable=False,
        help_text=_("The partner's public name in links; made by the system and never changed."),
    )
    name = models.CharField(_("name"), max_length=200)
    active = models.BooleanField(
        _("active"),
        default=False,
        help_text=_("Only an active partner's links count, and only an active partner is called back."),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("login"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="referral_partners",
        help_text=_(
            "The partner's own login, if it has one. Following the partner's links with it is a self-referral."
        ),
    )
    user_key = models.CharField(max_length=64, default=ids.random_key, editable=False)
    notes = models.TextField(_("notes"), blank=True, help_text=_("For your colleagues; the partner never sees it."))
    created_at = models.DateTimeField(_("created"), auto_now_add=True)

    class Meta:
        verbose_name = _("partner")
        verbose_name_plural = _("partners")
        ordering = ["name", "uid"]
        # The lists of partners. By the uid where names and times are equal: the last row of a page stands in an address.
        indexes = [
            models.Index(fields=["name", "uid"], name="lr_partner_name"),
            models.Index(fields=["created_at", "uid"], name="lr_partner_created"),
        ]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._drawn = None if args or "uid" in kwargs else self.uid

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save, and give a new partner its home link (L-08). A drawn uid that is taken is drawn again (D-02)."""
        if not self._state.adding:
            super().save(*args, **kwargs)
            return

        def insert() -> None:
            super(Partner, self).save(*args, **kwargs)
            ReferralLink.objects.using(self._state.db).create(
                identifier=self.uid, partner=self, owner=LinkOwner.PARTNER, home=True, name="Home"
            )

        insert_drawn(self, "uid", drawn=self._drawn, insert=insert, is_taken=_is_taken)


class ReferralLink(models.Model):
    """A link that partners and users share."""

    id = models.UUIDField(primary_key=True, default=ids.new_uuid, editable=False)
    identifier = models.CharField(
        _("identifier"),
        max_length=50,
        unique=True,
        default=ids.random_identifier,
        validators=[validate_identifier],
        help_text=_("The last part of the link's address. Upper and lower case are different."),
    )
    owner = models.CharField(_("owner"), max_length=8, choices=LinkOwner, default=LinkOwner.HOUSE, editable=False)
    partner = models.ForeignKey(
        Partner, verbose_name=_("partner"), null=True, blank=True, on_delete=models.CASCADE, related_name="links"
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("user"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="referral_links",
    )
    home = models.BooleanField(
        default=False, editable=False, help_text=_("The partner's first link, named by its uid.")
    )
    name = models.CharField(
        _("name"), max_length=200, blank=True, help_text=_("For your colleagues: what it is used for.")
    )
    target = models.CharField(
        _("target"),
        max_length=2000,
        blank=True,
        help_text=_("Where the link leads, for example /spring-sale/. Empty: the start page."),
    )
    disabled = models.BooleanField(
        _("disabled"), default=False, help_text=_("A disabled link still leads on, but counts nothing.")
    )
    drop_pending = models.BooleanField(
        _("also drop its pending hits"),
        default=False,
        help_text=_("With a disabled link: hits that it has already had are not credited any more either."),
    )
    starts_at = models.DateTimeField(_("starts"), null=True, blank=True)
    expires_at = models.DateTimeField(_("ends"), null=True, blank=True)
    notes = models.TextField(_("notes"), blank=True)
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated"), auto_now=True)

    objects = LinkQuerySet.as_manager()

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        constraints = [
            models.CheckConstraint(
                condition=Q(owner="partner", partner__isnull=False, user__isnull=True)
                | Q(owner="user", partner__isnull=True)
                | Q(owner="house", partner__isnull=True, user__isnull=True),
                name="lr_link_one_owner",
            ),
            models.CheckConstraint(condition=~Q(identifier=""), name="lr_link_identifier_not_empty"),
            models.UniqueConstraint(fields=["partner"], condition=Q(home=True), name="lr_link_one_home"),
        ]
        # For the list of one kind of owner's links, newest first: ids are in the order of time.
        indexes = [models.Index(fields=["owner", "id"], name="lr_link_owner")]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._drawn = None if args or "identifier" in kwargs else self.identifier

    def __str__(self) -> str:
        return self.identifier

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save with the owner that the foreign keys say; a user's link stays one when the user is gone.

        A drawn identifier that is taken is drawn again (L-07).
        """
        if self.partner_id is not None:
            self.owner = LinkOwner.PARTNER
        elif self.user_id is not None:
            self.owner = LinkOwner.USER
        if not self._state.adding:
            super().save(*args, **kwargs)
            return

        def insert() -> None:
            super(ReferralLink, self).save(*args, **kwargs)

        insert_drawn(self, "identifier", drawn=self._drawn, insert=insert, is_taken=_is_taken)

    def get_absolute_url(self) -> str:
        """Return the link's path; without `livereferrals.urls` the start page's with the parameter that names links.

        Raises:
            NoReverseMatch: the host has neither the URL nor such a parameter.
        """
        try:
            return reverse("livereferrals:link", args=[self.identifier])
        except NoReverseMatch:
            names = (name for name, named in conf.settings.PARAMETERS.items() if named == "link")
            if (name := next(names, None)) is None:
                raise
            return targets.with_query(get_script_prefix(), {name: self.identifier})

    def build_url(self, request: HttpRequest | None = None, next: str | None = None, **params: str) -> str:  # noqa: A002 - the parameter's name
        """Return the link's absolute URL, on the request's host or else on that of `BASE_URL` (L-61).

        Args:
            request: the request that is being answered.
            next: where the link shall lead.
            params: further parameters: `sub1` to `sub5`, `click_id`.

        Raises:
            ConfigurationError: there is no request, and `BASE_URL` is not set.
        """
        path = self.get_absolute_url()
        values = params if next is None else {"next": next} | params
        if values:
            path = targets.with_query(path, values)
        if request is not None:
            return request.build_absolute_uri(path)
        if conf.settings.BASE_URL is None:
            raise ConfigurationError(
                f"{conf.ROOT}['BASE_URL']",
                "it is needed for the address of a link where there is no request",
                hint=f'{conf.ROOT} = {{"BASE_URL": "https://www.example.com"}}',
            )
        return urljoin(conf.settings.BASE_URL, path)

    def clean(self) -> None:
        """Refuse a target that no redirect would go to (L-04).

        Raises:
            ValidationError: the target leads off the site, or is no URL that can be followed.
        """
        super().clean()
        if self.target and not targets.may_redirect_to(self.target, site=_own_site()):
            raise ValidationError({"target": _("Use a path that begins with one /, or an address of this site.")})


def _own_site() -> targets.Site:
    """Return the site as far as it is known without a request."""
    base = conf.settings.BASE_URL or ""
    scheme, _separator, host = base.partition("://")
    return targets.Site(
        host=host.partition("/")[0], secure=scheme == "https", allowed_hosts=conf.settings.ALLOWED_REDIRECT_HOSTS
    )


def _is_taken(value: str) -> bool:
    return ReferralLink.objects.filter(identifier=value).exists() or Partner.objects.filter(uid=value).exists()

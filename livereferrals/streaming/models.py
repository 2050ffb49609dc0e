"""Feed tokens and tickets."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from livereferrals.tracking.models import Partner


class FeedToken(models.Model):
    """The right to read one partner's topic, or, without a partner, everything (the house's own pipeline)."""

    id = models.CharField(primary_key=True, max_length=16, help_text=_("The part of the token that is no secret."))
    secret_hash = models.CharField(max_length=64, help_text=_("SHA-256 of the secret, in hexadecimal."))
    name = models.CharField(_("name"), max_length=100)
    partner = models.ForeignKey(
        Partner, verbose_name=_("partner"), null=True, blank=True, on_delete=models.CASCADE, related_name="feed_tokens"
    )
    scopes = models.JSONField(_("scopes"), default=list)
    links = models.JSONField(
        _("links"), null=True, blank=True, help_text=_("Ids of the links it may read; empty: all.")
    )
    created_at = models.DateTimeField(_("created"), auto_now_add=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        verbose_name=_("by"),
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
    )
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)

    class Meta:
        verbose_name = _("feed token")
        verbose_name_plural = _("feed tokens")
        permissions = [("manage_tokens", "Can make and revoke feed tokens")]

    def __str__(self) -> str:
        return f"{self.name} (lrf_{self.id}_...)"


class FeedTicket(models.Model):
    """A short-lived stand-in for a token that a browser may hold; opens one connection."""

    hash = models.CharField(primary_key=True, max_length=64, help_text="SHA-256 of the ticket, in hexadecimal.")
    token = models.ForeignKey(FeedToken, on_delete=models.CASCADE, related_name="tickets")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = "feed ticket"
        verbose_name_plural = "feed tickets"
        indexes = [models.Index(fields=["expires_at"], name="lr_ticket_expires")]

    def __str__(self) -> str:
        return f"ticket of {self.token_id}"

"""Why a conversion was confirmed, or why not: the codes, spelled once (S-31)."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class Reason(models.TextChoices):
    """The outcome of an attempt to confirm, in the order in which the checks are made."""

    UNKNOWN_TRIGGER = "unknown-trigger", _("no trigger of this name is in the settings")
    TRIGGER_DISABLED = "trigger-disabled", _("the trigger is switched off")
    CONDITION = "condition", _("the trigger's condition, or the project's own rule, said no")
    BAD_MAPPING = "bad-mapping", _("the trigger's settings name something that was not there")
    ERROR = "error", _("an error stopped it; the log has the details")
    DUPLICATE_REFERENCE = "duplicate-reference", _("this reference was confirmed before")
    ALREADY_REVERSED = "already-reversed", _("this reference was confirmed and taken back")
    NO_SUBJECT = "no-subject", _("neither a user nor a visitor is known")
    ALREADY_CONFIRMED = "already-confirmed", _("this person was confirmed before")
    NO_HITS = "no-hits", _("this person is not known to have followed a link")
    OUT_OF_WINDOW = "out-of-window", _("every hit is too old")
    SELF_REFERRAL = "self-referral", _("the person followed a link of their own")
    BOT = "bot", _("the hit was made by a program")
    FLAGGED = "flagged", _("a rule of the project flagged the hit")
    NO_CONSENT = "no-consent", _("the hit was made without consent")
    LINK_DISABLED = "link-disabled", _("the link was disabled together with its pending hits")
    PARTNER_INACTIVE = "partner-inactive", _("the partner is not active")
    NOT_SUBSCRIBED = "not-subscribed", _("the partner is not subscribed to this trigger")
    CONFIRMED = "confirmed", _("a hit was credited")


class Place(models.TextChoices):
    """What becomes of a hit that could be credited."""

    CREDITED = "credited", _("credited")
    OLDER = "older", _("a later hit was credited")
    NEWER = "newer", _("an earlier hit was credited")
    PRECEDENCE = "precedence", _("the rule preferred another hit")


class ReversalOutcome(models.TextChoices):
    """What became of an attempt to take a confirmation back (N-08 to N-10)."""

    REVERSED = "reversed", _("it was taken back, as a whole or in part")
    ALREADY_REVERSED = "already-reversed", _("it was taken back before")
    NOT_FOUND = "not-found", _("there is no such confirmation")
    EXCEEDS_AMOUNT = "exceeds-amount", _("more than what is left of its amount")

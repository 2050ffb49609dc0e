"""The public functions: hits, confirmations, reversals, questions and people's rights, without HTTP and signals."""

from __future__ import annotations

from livereferrals.api.confirmations import aconfirm, aconfirm_many, confirm, confirm_many
from livereferrals.api.hits import arecord_hit, record_hit
from livereferrals.api.people import aerase_user, aexport_user, erase_user, export_user
from livereferrals.api.questions import aattribute, attribute
from livereferrals.api.reversals import areverse, reverse
from livereferrals.callbacks.erasing import Erased
from livereferrals.triggers.confirming import Result
from livereferrals.triggers.reversing import Reversed

__all__ = [
    "Erased",
    "Result",
    "Reversed",
    "aattribute",
    "aconfirm",
    "aconfirm_many",
    "aerase_user",
    "aexport_user",
    "arecord_hit",
    "areverse",
    "attribute",
    "confirm",
    "confirm_many",
    "erase_user",
    "export_user",
    "record_hit",
    "reverse",
]

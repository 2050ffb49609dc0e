"""The public functions: record a hit, confirm, take back, and ask who would get it, without HTTP and without signals."""

from __future__ import annotations

from livereferrals.api.confirmations import aconfirm, aconfirm_many, confirm, confirm_many
from livereferrals.api.hits import arecord_hit, record_hit
from livereferrals.api.questions import aattribute, attribute
from livereferrals.api.reversals import areverse, reverse
from livereferrals.triggers.confirming import Result
from livereferrals.triggers.reversing import Reversed

__all__ = [
    "Result",
    "Reversed",
    "aattribute",
    "aconfirm",
    "aconfirm_many",
    "arecord_hit",
    "areverse",
    "attribute",
    "confirm",
    "confirm_many",
    "record_hit",
    "reverse",
]

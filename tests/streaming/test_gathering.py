"""Those who are let in together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest

from livereferrals.exceptions import FeedError
from livereferrals.streaming.admission import Admission, Asked, admit_all
from livereferrals.streaming.credentials import Presented

if TYPE_CHECKING:
    from tests.streaming.conftest import Reader

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_one_asks_for_is_nothing_to_those_who_come_with_it(reader: Reader) -> None:
    """feed-45: neither a refusal nor a mistake of our own reaches another partner's connection"""
    good = Presented(token=reader.token)
    asked = [
        Asked(credentials=good, query="cursor=oldest"),
        Asked(credentials=Presented(token="lrf_nobody_x"), query=""),
        Asked(credentials=good, query=cast("Any", 5)),
        Asked(credentials=good, query=""),
    ]
    first, refused, broken, last = admit_all(asked)
    assert isinstance(first, Admission)
    assert isinstance(refused, FeedError)
    assert not isinstance(broken, Admission | FeedError)
    assert isinstance(last, Admission)

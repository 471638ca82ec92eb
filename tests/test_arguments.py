"""What users hand over in their calls: one sentence for each thing that cannot be."""

import math

import pytest
from pydantic import BaseModel

from wsharness.arguments import as_json, check_close, checked_where, payload, seconds
from wsharness.errors import UsageError
from wsharness.patterns import Matcher


class Said(BaseModel):
    text: str


@pytest.mark.parametrize("value", [0, 0.5, 10])
def test_seconds(value):
    assert seconds(value) == value


@pytest.mark.parametrize("value", [-1, math.inf, math.nan, True, "1", None])
def test_what_is_no_number_of_seconds(value):
    with pytest.raises(UsageError, match="expected limit in seconds, 0 or more; got .*; write limit=0.5"):
        seconds(value, "limit")


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        ("text", "text"),
        (bytearray(b"x"), b"x"),
        ({"a": 1}, '{"a": 1}'),
        (None, "null"),
        (Said(text="hi"), '{"text":"hi"}'),
    ],
)
def test_what_is_sent(message, sent):
    assert payload(message) == sent


@pytest.mark.parametrize("value", [object(), math.nan, {1, 2}, {"a": b"x"}])
def test_what_json_cannot_hold(value):
    with pytest.raises(UsageError, match="encode it yourself and send the text"):
        as_json(value)


@pytest.mark.parametrize("close", [(1000, ""), (None, ""), (4999, "x" * 123), (3000, "bye")])
def test_closes_that_a_frame_can_carry(close):
    check_close(*close)


@pytest.mark.parametrize("code", [999, 1005, 1006, 1015, 2999, 5000, "1000", True])
def test_codes_that_no_frame_can_carry(code):
    with pytest.raises(UsageError, match="expected a close code from 1000-1003"):
        check_close(code, "")


@pytest.mark.parametrize("close", [(1000, "x" * 124), (1000, 5), (None, "a reason needs a code")])
def test_reasons_that_no_frame_can_carry(close):
    with pytest.raises(UsageError, match="123 bytes at most"):
        check_close(*close)


def test_where_is_a_function():
    assert checked_where(Matcher.ANY, bool).argument is bool
    with pytest.raises(UsageError, match="write where=lambda m"):
        checked_where(Matcher.ANY, 3)

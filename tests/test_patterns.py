"""Values match patterns, and where they do not, a sentence says where and why."""

import pickle
import re
from typing import Any, Literal, Optional

import pytest
from dirty_equals import IsInt, IsPositive
from hypothesis import given
from hypothesis import strategies as st

from wsharness.patterns import (
    Exact,
    Greater,
    Length,
    Less,
    Matcher,
    Not,
    OneOf,
    Unordered,
    closest,
    describe,
    distance,
    match_message,
    message_distance,
    mismatch,
    shorten,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def numbers(cases):
    return [str(number) for number, _ in enumerate(cases)]


def is_even(value):
    return value % 2 == 0


MATCHING = [
    ("a", "a"),
    (1, 1.0),
    (1.0, 1),
    (None, None),
    (True, True),
    (b"a", b"a"),
    ({}, {"a": 1}),
    ({"a": {"b": [1]}}, {"a": {"b": [1], "c": 2}, "d": 3}),
    ([1, {"a": 1}], [1, {"a": 1, "b": 2}]),
    ((1, 2), [1, 2]),
    (re.compile("b+"), "abba"),
    (re.compile(b"b+"), b"abba"),
    (int, 3),
    (float, 3),
    (float, 3.5),
    (str, "x"),
    (bool, False),
    (object, None),
    (Any, None),
    (int | None, None),
    (int | str, "x"),
    (Optional[int], None),
    (is_even, 4),
    (lambda value: "x" in value, "xyz"),
    (IsInt, 3),
    (IsPositive(), 3),
    (Matcher.ANY, None),
    (Matcher.STR, ""),
    (Matcher.INT, 3),
    (Matcher.NUMBER, 3.5),
    (Matcher.BOOL, True),
    (Matcher.NULL, None),
    (Matcher.LIST, []),
    (Matcher.OBJECT, {}),
    (Matcher.UUID, "7d444840-9dc0-11d1-b245-5ffdce74fad2"),
    (Matcher.DATETIME, "2026-01-02T03:04:05Z"),
    (Matcher.BYTES, b""),
    ({"a": Matcher.ABSENT}, {"b": 1}),
    (Unordered((1, 2)), [2, 1]),
    (Unordered((Matcher.INT, 1)), [1, 2]),
    (Unordered(({"a": 1}, {})), [{}, {"a": 1}]),
    (Length(2), [1, 2]),
    (Length(Greater(1)), "ab"),
    (Exact({"a": [{"b": Matcher.INT}]}), {"a": [{"b": 3}]}),
    (Not("a"), "b"),
    (Greater(1), 1.5),
    (Less(1), 0),
    (OneOf(("a", Matcher.INT)), 3),
]


@pytest.mark.parametrize(("pattern", "value"), MATCHING, ids=numbers(MATCHING))
def test_a_value_matches(pattern, value):
    assert mismatch(pattern, value) is None
    assert distance(pattern, value) == 0


DIFFERING = [
    ("a", "b", "expected 'a'; got 'b'"),
    (1, True, "expected 1; got True"),
    (True, 1, "expected True; got 1"),
    (0, False, "expected 0; got False"),
    (1.0, True, "expected 1.0; got True"),
    ("1", 1, "expected '1'; got 1"),
    (None, False, "expected None; got False"),
    (int, True, "expected a value of type int; got True"),
    (float, True, "expected a value of type float; got True"),
    (int, 1.5, "expected a value of type int; got 1.5"),
    (str, b"a", "expected a value of type str; got b'a'"),
    (int | None, "x", "expected a value of type int | None; got 'x'"),
    (is_even, 3, "expected what is_even accepts; got 3"),
    (is_even, "x", "expected what is_even accepts; got 'x' (TypeError: not all arguments converted"),
    (re.compile("b+"), "ac", "expected text matching 'b+'; got 'ac'"),
    (re.compile("b+"), b"b", "expected text matching 'b+'; got b'b'"),
    (IsPositive(), -3, "expected IsPositive(); got -3"),
    ({"a": 1}, [], "expected an object {'a': 1}; got []"),
    ([1], {}, "expected an array [1]; got {}"),
    ({"a": 1}, {"b": 1}, ".a: expected 1; got no such key in {'b': 1}"),
    ({"a": Matcher.ABSENT}, {"a": None}, ".a: expected no such key; got None"),
    ({"members": ["al", "bob"]}, {"members": ["al", "eve"]}, ".members[1]: expected 'bob'; got 'eve'"),
    ({"a": {"b c": [1]}}, {"a": {"b c": [2]}}, ".a['b c'][0]: expected 1; got 2"),
    ([1, 2], [1], "expected 2 items; got 1: [1]"),
    ({"a": [1]}, {"a": [1, 2]}, ".a: expected 1 item; got 2: [1, 2]"),
    (Matcher.INT, True, "expected $int; got True"),
    (Matcher.NUMBER, True, "expected $number; got True"),
    (Matcher.UUID, "x", "expected $uuid; got 'x'"),
    (Matcher.DATETIME, "yesterday", "expected $datetime; got 'yesterday'"),
    (Matcher.DATETIME, "2026-01-02", "expected $datetime; got '2026-01-02'"),
    (Unordered((1, 2)), [1, 3], "expected an item 2; got [1, 3]"),
    (Unordered((1, 2)), [1], "expected 2 items; got 1: [1]"),
    (Unordered((1, 1)), [1, 2], "expected an item 1; got [1, 2]"),
    (Unordered(()), {}, "expected an array; got {}"),
    (Length(2), "abc", "its length: expected 2; got 3; the value: 'abc'"),
    (Length(2), 7, "expected something with a length; got 7"),
    (Exact({"a": {}}), {"a": {"b": 1}}, ".a.b: expected no such key; got 1"),
    (Exact([{"a": 1}]), [{"a": 1, "b": 2}], "[0].b: expected no such key; got 2"),
    (Not("a"), "a", "expected anything but 'a'; got 'a'"),
    (Greater(1), 1, "expected a number above 1; got 1"),
    (Less(1), "0", "expected a number below 1; got '0'"),
    (OneOf(("a", int)), None, "expected one of 'a', a value of type int; got None"),
    ({"a": Not(Matcher.NULL)}, {"a": None}, ".a: expected anything but $null; got None"),
]


@pytest.mark.parametrize(("pattern", "value", "why"), DIFFERING, ids=numbers(DIFFERING))
def test_a_value_differs_and_a_sentence_says_where(pattern, value, why):
    assert (mismatch(pattern, value) or "").startswith(why)
    assert distance(pattern, value) > 0


@given(JSON)
def test_every_json_value_matches_itself_exactly(value):
    assert mismatch(value, value) is None
    assert mismatch(Exact(value), value) is None
    assert distance(value, value) == 0


@given(JSON, JSON)
def test_the_distance_is_zero_where_a_value_matches_and_only_there(pattern, value):
    assert (distance(pattern, value) == 0) == (mismatch(pattern, value) is None)


MESSAGES = [
    ("hi", "hi", True),
    ('{"a": 1}', '{"a":1}', False),
    ({"a": 1}, '{"a": 1, "b": 2}', True),
    ({"a": 1}, b'{"a": 1}', True),
    ("5", "5", True),
    (5, "5", True),
    (int, "5", True),
    (str, "no JSON", True),
    (Matcher.STR, "no JSON", True),
    (Matcher.STR, '"JSON"', True),
    (b"\x00", b"\x00", True),
    (b"a", "a", False),
    ("a", b"a", False),
    (bytes, b"5", True),
    (Matcher.BYTES, b"5", True),
    (Matcher.BYTES, "5", False),
    (re.compile('^{"a"'), '{"a": 1}', True),
    (re.compile("a"), b"a", False),
    (Not("hi"), "hi", False),
    (Not("hi"), "ho", True),
    (Not({"a": 1}), '{"a": 1}', False),
    (OneOf(("hi", {"a": 1})), "hi", True),
    (OneOf(("hi", {"a": 1})), '{"a": 1}', True),
    (OneOf(("hi", {"a": 1})), "ho", False),
    (Length(2), "[1,2]", True),
    (Length(4), b"\xff\xfe\xfd\xfc", True),
    ([1], "[" * 100_000, False),
    (Matcher.ANY, "9" * 5000, True),
    (lambda value: value["a"] == 1, '{"a": 1}', True),
]


@pytest.mark.parametrize(("pattern", "data", "matches"), MESSAGES, ids=numbers(MESSAGES))
def test_text_is_compared_raw_and_everything_else_decoded(pattern, data, matches):
    assert (match_message(pattern, data) is None) == matches
    assert (message_distance(pattern, data) == 0) == matches


def test_the_closest_message_is_the_one_with_the_fewest_differences():
    pattern = {"type": "presence", "user": "bob", "state": "online"}
    near = '{"type": "presence", "user": "bob", "state": "offline"}'
    assert closest(pattern, ["{}", near, '{"type": "presence"}', "no JSON"]) == near


def test_the_closest_of_equals_is_the_last():
    assert closest({"n": 1}, ['{"n": 2}', '{"n": 3}']) == '{"n": 3}'


@pytest.mark.parametrize(
    ("pattern", "good", "bad"), [(list[int], [1], ["x"]), (dict[str, int], {"a": 1}, [1]), (Literal["a"], "a", "b")]
)
def test_a_parametrised_type_matches_what_pydantic_reads(pattern, good, bad):
    assert mismatch(pattern, good) is None
    assert mismatch(pattern, bad) is not None


def test_patterns_survive_pickling():
    patterns = [*Matcher, Unordered((1,)), Length(1), Exact({}), Not(1), Greater(1), Less(1), OneOf((1,))]
    assert pickle.loads(pickle.dumps(patterns)) == patterns
    assert pickle.loads(pickle.dumps(Matcher.ABSENT)) is Matcher.ABSENT


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        (int, "a value of type int"),
        (int | None, "a value of type int | None"),
        (Any, "anything"),
        (re.compile("x"), "text matching 'x'"),
        (is_even, "what is_even accepts"),
        ({"a": int, "b": [Matcher.ANY, is_even]}, "{'a': int, 'b': [$any, is_even]}"),
        (Unordered((1, Length(2))), "{$unordered: [1, {$len: 2}]}"),
    ],
)
def test_patterns_are_described_as_people_read_them(pattern, words):
    assert describe(pattern) == words


def test_long_values_are_elided_in_the_middle():
    text = shorten("a" * 1_000_000 + "b")
    assert len(text) < 130
    assert text.startswith("'aaa")
    assert text.endswith("b'")


def test_a_value_too_deep_to_show_is_named():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    assert shorten(deep) == "a list too deep or too large to show"
    while deep:
        deep = deep.pop()

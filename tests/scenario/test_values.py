"""What begins with `$`: matchers, operators, variables; and what is wrong with it."""

import re

import pytest

from wsharness.patterns import Exact, Greater, Length, Less, Matcher, Not, OneOf, Unordered
from wsharness.scenario.nodes import Problems, parse
from wsharness.scenario.values import Values

VARIABLES = {"room": "lobby", "n": 3, "env": {"HOME": "/h"}, "case": {"token": None, "list": [1, 2]}, "d": {"a": 1}}


def read(how, text):
    problems = Problems("f")
    (node,) = parse(text, problems)
    value = getattr(Values(problems, VARIABLES), how)(node)
    return value, problems.lines()


PATTERNS = [
    *((matcher.value, matcher) for matcher in Matcher if matcher is not Matcher.ABSENT),
    ("{a: $absent}", {"a": Matcher.ABSENT}),
    ('"$int"', Matcher.INT),
    ("$$int", "$int"),
    ("{$$a: 1}", {"$a": 1}),
    ("a$b", "a$b"),
    ("{$regex: (?i)a$}", re.compile("(?i)a$")),
    ("{$regex: 1}", re.compile("1")),
    ("{$is: $uuid}", Matcher.UUID),
    ("{$unordered: [a, $int]}", Unordered(("a", Matcher.INT))),
    ("{$one_of: [a, 1]}", OneOf(("a", 1))),
    ("{$len: {$gt: 2}}", Length(Greater(2))),
    ("{$exact: {a: 1}}", Exact({"a": 1})),
    ("{$not: null}", Not(None)),
    ("{$lt: 1.5}", Less(1.5)),
    ("{$gt: $(n)}", Greater(3)),
    ("{$hex: 00 1e5f}", b"\x00\x1e\x5f"),
    ("[$(room), $(n), '$(n)', x$(n)]", ["lobby", 3, 3, "x3"]),
]


@pytest.mark.parametrize(("text", "pattern"), PATTERNS, ids=[text for text, _ in PATTERNS])
def test_patterns_are_read(text, pattern):
    assert read("pattern", text) == (pattern, [])


DATA = [
    ("$(d)", {"a": 1}),
    ("$(d.a)", 1),
    ("$(case.list.1)", 2),
    ("$(case.token)", None),
    ("a $(case.token)b", "a b"),
    ("$(d)!", '{"a": 1}!'),
    ("$$(room)", "$(room)"),
    ("a$$b", "a$b"),
    ("costs $5", "costs $5"),
    ('\'{"a": "$(room)"\'', '{"a": "lobby"'),
    ("{$$a: {$$b: $$c}}", {"$a": {"$b": "$c"}}),
]


@pytest.mark.parametrize(("text", "value"), DATA, ids=[text for text, _ in DATA])
def test_data_is_read(text, value):
    assert read("data", text) == (value, [])


PROBLEMS = [
    ("pattern", "{x: {$any}}", "f:1:6: '$any' takes no argument; write it without braces"),
    ("pattern", "$itn", "f:1:1: unknown matcher '$itn'; did you mean '$int'?"),
    ("pattern", "$5", "f:1:1: unknown matcher '$5'; write '$$5' for the text"),
    ("pattern", "$regex", "f:1:1: the operator '$regex' needs an argument: {$regex: …}"),
    ("pattern", "$absent", "f:1:1: '$absent' says that a key is not there; write it as a key's value"),
    ("pattern", "{$regx: a}", "f:1:2: unknown operator '$regx'; did you mean '$regex'?"),
    ("pattern", "{$set: a}", "f:1:2: unknown operator '$set'"),
    ("pattern", "{$gt: 1, $lt: 5}", "f:1:1: an operator stands alone; got '$lt' beside '$gt'"),
    ("pattern", "{$is: $uuid, $save: id}", "f:1:14: '$save' is not supported yet"),
    ("pattern", "{$regex: '('}", "f:1:10: not a regular expression: missing ), unterminated subpattern at position 0"),
    ("pattern", "{$regex: [a]}", "f:1:10: expected a regular expression; got a list"),
    ("pattern", "{$unordered: a}", "f:1:14: '$unordered' takes a list; got 'a'"),
    ("pattern", "{$gt: a}", "f:1:7: '$gt' takes a number; got 'a'"),
    ("pattern", "{$hex: zz}", "f:1:8: expected pairs of hexadecimal digits such as 00 ff; got 'zz'"),
    ("data", "$int", "f:1:1: '$int' belongs to expectations; write '$$int' for the text"),
    ("data", "{$set: 1}", "f:1:2: the key '$set' belongs to expectations; write '$$set' for the text"),
    ("data", "$(rom)", "f:1:1: undefined variable 'rom'; did you mean 'room'?"),
    ("data", "$(case.tokn)", "f:1:1: undefined variable 'case.tokn'; did you mean 'case.token'?"),
    ("data", "$(env.NOPE)", "f:1:1: $(env.NOPE): there is no environment variable 'NOPE'; set it"),
    ("data", "$(fake.name)", "f:1:1: $(fake.name): made-up values are not supported yet; write one out"),
    ("data", "a $(room", "f:1:1: expected a dotted name in '$(…)'; got '$(room'; write '$$(' for the text"),
    ("data", "$(1 + 1)", "f:1:1: expected a dotted name in '$(…)'; got '$(1 + 1)'; write '$$(' for the text"),
    ("data", "$(d.__class__)", "f:1:1: undefined variable 'd.__class__'"),
    ("text", "[a]", "f:1:1: expected text; got a list"),
]


@pytest.mark.parametrize(("how", "text", "why"), PROBLEMS, ids=[text for _, text, _ in PROBLEMS])
def test_what_is_wrong_with_a_value_is_said(how, text, why):
    assert read(how, text)[1] == [why] or read(how, text)[1][0].startswith(why)

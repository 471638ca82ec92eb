"""YAML without its traps: core scalars, unique text keys, no aliases, no tags, nothing absurd."""

import math

import pytest

from wsharness.scenario.nodes import Mapping, Problems, Scalar, Sequence, core, kind, parse, suggest


def read(text):
    problems = Problems("f")
    documents = parse(text, problems)
    assert problems.lines() == []
    return documents


def refused(text):
    problems = Problems("f")
    parse(text, problems)
    return problems.lines()


SCALARS = [
    ("1", 1), ("-1", -1), ("+1", 1), ("007", 7), ("0o17", 15), ("0x1F", 31), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0),
    ("1e5", 1e5), ("-1E-2", -0.01), (".inf", math.inf), ("-.inf", -math.inf), ("true", True), ("False", False),
    ("null", None), ("~", None), ("yes", "yes"), ("no", "no"), ("on", "on"), ("1_000", "1_000"), ("0b1", "0b1"),
    ("1:30", "1:30"), ("2026-01-02", "2026-01-02"), ("'1'", "1"), ('"null"', "null"), ("nuLL", "nuLL"), ("e5", "e5"),
    ('"\\ud83d\\ude00"', "\U0001f600"), ('"\\ud800"', "\ud800"), ("'\\ud83d\\ude00'", "\\ud83d\\ude00"),
    ('"\\U0000d83d\\ude00"', "\ud83d\ude00"), ("still here?", "still here?"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), SCALARS, ids=[text for text, _ in SCALARS])
def test_scalars_follow_the_core_schema(text, value):
    (sequence,) = read(f"[{text}]" if not text.endswith("?") else f"- {text}")
    found = core(sequence.items[0])
    assert (found, type(found)) == (value, type(value))


def test_nodes_know_their_line_and_column():
    (document,) = read("a: 1\nb:\n  - {c: x}\n")
    key, sequence = document.pairs["b"]
    assert (key.place.line, key.place.column) == (2, 1)
    assert (sequence.items[0].place.line, sequence.items[0].place.column) == (3, 5)
    assert [kind(node) for node in (document, sequence, key)] == ["a mapping", "a list", "'b'"]
    assert isinstance(document, Mapping)
    assert isinstance(sequence, Sequence)
    assert isinstance(key, Scalar)


REFUSED = [
    ("a: &x 1\nb: *x", "f:2:4: aliases are refused; write out what *x stands for"),
    ("a: &x [*x]", "f:1:8: aliases are refused; write out what *x stands for"),
    ("a: !!int '3'", "f:1:4: tags are refused; leave out '!!int'"),
    ("a: !!python/object:os.system [x]", "f:1:4: tags are refused; leave out '!!python/object:os.system'"),
    ("<<: {a: 1}", "f:1:1: merge keys are refused; write the keys out"),
    ("a: 1\na: 2", "f:2:1: duplicate key 'a'; the first is on line 1"),
    ("1: a", "f:1:1: keys are text; write '1' in quotes"),
    ("true: a", "f:1:1: keys are text; write 'true' in quotes"),
    ("? [a]\n: 1", "f:1:3: keys are text; got a list"),
    ("[" * 100_000, "f:1:64: nested deeper than 64 levels; send such a message as text"),
    ("a: [1,", "not valid YAML"),
    ("\t- a", "not valid YAML"),
    ('a: "\\q"', "f:1:6: not valid YAML"),
    ('a: "\\UFFFFFFFF"', "not valid YAML"),
    ("a: \x01", "f:1:4: YAML allows no character 0001; write it in double quotes as \\u0001"),
    ("x\n  \x00", "f:2:3: YAML allows no character 0000"),
    ("x" * 5_000_000, "f:1:1: expected at most 4194304 characters; got 5000000; split the file"),
]


@pytest.mark.parametrize(("text", "why"), REFUSED, ids=[text[:30] for text, _ in REFUSED])
def test_what_surprises_is_refused(text, why):
    assert any(why in line for line in refused(text))


def test_a_quoted_merge_key_is_a_key():
    assert list(read('"<<": 1')[0].pairs) == ["<<"]


def test_too_many_values_are_refused(monkeypatch):
    monkeypatch.setattr("wsharness.scenario.nodes.MAX_NODES", 10)
    assert refused("[1,2,3,4,5,6,7,8,9,10,11]") == ["f:1:23: more than 10 values; split the file"]


def test_a_near_word_is_suggested_and_a_far_one_is_not():
    assert suggest("conect", ["connect", "close"]) == "; did you mean 'connect'?"
    assert suggest("xyz", ["connect", "close"]) == ""

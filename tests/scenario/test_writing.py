"""Durations and text are written as short as possible, and read back as they were."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsharness.scenario.nodes import Problems, core, parse
from wsharness.scenario.writing import duration, escaped, flow, parse_duration, scalar


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.5, "500ms"), (1, "1s"), (1.5, "1500ms"), (30.0, "30s"), (0.00002, "20us"), (3601, "3601s")],
)
def test_a_duration_is_written_with_its_unit(seconds, text):
    assert duration(seconds) == text


@given(st.floats(0, 1e14, allow_nan=False))
def test_a_duration_reads_back_as_the_same_number(seconds):
    assert parse_duration(duration(seconds)) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "-1s", "1 s", "1S", "1e3s", "1.s", "nan", "1day"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="expected a duration such as 500ms"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("alice", "alice"),
        ("/ws/chat", "/ws/chat"),
        ("shop.main:app", "shop.main:app"),
        ("Bearer x.y", "Bearer x.y"),
        ("null", '"null"'),
        ("True", '"True"'),
        ("1", '"1"'),
        ("", '""'),
        ("a: b", '"a: b"'),
        ("a #b", '"a #b"'),
        ('say "hi"', "'say \"hi\"'"),
        ('it\'s "x"', "'it''s \"x\"'"),
        ("a\nb", '"a\\nb"'),
        ("\ud800", '"\\ud800"'),
        ("\ud83d\ude00", '"\\U0000d83d\\ude00"'),
        ("é日", "é日"),
    ],
)
def test_text_gets_the_quotes_it_needs(text, written):
    assert scalar(text) == written


@given(st.text(st.characters(codec=None)))
def test_all_text_reads_back_as_it_was(text):
    problems = Problems("f")
    (node,) = parse(f"- {scalar(text)}\n", problems)
    assert problems.lines() == []
    assert core(node.items[0]) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [("$", "$$"), ("$5", "$$5"), ("a$b", "a$b"), ("a$", "a$"), ("a$(b)", "a$$(b)"), ("a$$b", "a$$$$b")],
)
def test_a_dollar_is_doubled_only_where_it_would_mean_something(text, written):
    assert escaped(text) == written


def test_a_long_key_is_introduced_by_a_question_mark():
    text = flow({"x" * 2000: 1})
    assert text.startswith("{? xxx")
    (node,) = parse(text, Problems("f"))
    assert list(node.pairs) == ["x" * 2000]

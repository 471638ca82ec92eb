"""One call renders every kind of report."""

import json
import xml.etree.ElementTree as ET

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.report import samples
from wsharness.errors import UsageError
from wsharness.events import Accepted, Closed, Lost, Message, Rejected
from wsharness.report import RENDERERS, render
from wsharness.results import CaseResult, Failure, Report
from wsharness.transcript import (
    Connect,
    Direction,
    Dropped,
    Fact,
    Frame,
    Leave,
    Reading,
    Record,
    Sent,
    Transcript,
)

MAKERS = [samples.report, samples.hostile_report, samples.empty_report, samples.passing_report]


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("kind", sorted(RENDERERS))
def test_every_report_is_text_that_can_be_written_and_the_same_each_time(kind, make):
    text = render(kind, make())
    text.encode("utf-8")
    assert text == render(kind, make())
    assert text.endswith("\n")
    assert samples.SECRET not in text


def test_an_unknown_kind_is_the_users_mistake():
    with pytest.raises(UsageError, match="unknown report 'jsn'; expected one of .*; did you mean 'json'"):
        render("jsn", samples.report())


def test_options_reach_the_renderer():
    assert "\x1b[" in render("console", samples.report(), color=True)


texts = st.text(st.characters(), max_size=12) | st.sampled_from(["alice#2", "token", '{"token": "', "a: {b: [", "\x1b"])
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=9)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2), max_leaves=4
)
asgi_types = st.sampled_from([f"websocket.{name}" for name in "connect accept receive send close".split()])
asgi_keys = st.sampled_from(["text", "bytes", "headers", "code", "reason", "subprotocol"])
asgi_events = st.builds(
    lambda kind, rest: {"type": kind, **rest}, asgi_types, st.dictionaries(asgi_keys, values, max_size=3)
)
headers = st.lists(st.tuples(texts, texts), max_size=2).map(tuple)
data = texts | st.binary(max_size=9)
stacks = st.lists(st.builds(Frame, texts, st.integers(-1, 99), texts, st.booleans()), max_size=2).map(tuple)
events = st.one_of(
    asgi_events,
    st.dictionaries(texts, values, max_size=2),
    st.builds(Connect, texts, headers, st.lists(texts, max_size=2).map(tuple)),
    st.builds(Sent, data),
    st.builds(Leave, st.none() | st.integers(), texts),
    st.builds(Dropped, st.booleans()),
    st.builds(Reading, st.booleans()),
    st.builds(Accepted, st.none() | texts, headers),
    st.builds(Rejected, st.integers(), headers, st.binary(max_size=9), st.none() | st.integers(), texts),
    st.builds(Message, data),
    st.builds(Closed, st.integers(), texts),
    st.builds(Lost),
    st.builds(Fact, texts, texts, stacks, st.dictionaries(texts, values, max_size=2)),
)
records = st.builds(Record, st.floats(0, 1e6), texts, st.sampled_from(Direction), events)
failures = st.builds(
    Failure,
    *[texts] * 3,
    st.sampled_from(["failure", "warning"]),
    *[texts] * 3,
    stacks,
    st.integers(-2, 9),
    texts,
    st.integers(),
    *[texts] * 2,
    st.lists(records, max_size=8).map(Transcript),
)
cases = st.builds(CaseResult, *[texts] * 3, st.integers(0, 9), st.lists(texts, max_size=2).map(tuple))
reports = st.builds(
    Report, texts, st.integers(), texts, st.lists(failures, max_size=2), st.lists(cases, max_size=2), texts
)


def well_formed(kind, text):
    text.encode("utf-8")
    if kind in ("json", "sarif"):
        json.loads(text)
    elif kind == "junit":
        ET.fromstring(text)
    elif kind == "console":
        assert all(char.isprintable() or char in "\n\t" for char in text)
    return True


@settings(max_examples=40, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(reports)
def test_whatever_an_app_and_its_clients_did_can_be_reported(report):
    assert all(well_formed(kind, render(kind, report)) for kind in RENDERERS)

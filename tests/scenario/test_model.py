"""A scenario is plain data, and its YAML loads back to an equal one."""

import pickle
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from wsharness.errors import UsageError
from wsharness.patterns import Exact, Greater, Length, Less, Matcher, Not, OneOf, Unordered
from wsharness.scenario.loading import loads
from wsharness.scenario.model import ClientSpec, RunInfo, Scenario, Step, Verb, to_yaml

NASTY = st.sampled_from(
    ["", "$", "$$", "$x", "$(x)", "a$(b)", "$any", "null", "~", "1e5", "0x1", "true", "yes", "- a", "a: b", "a #b"]
    + ["\ud800", "\ud83d\ude00", "\U0001f600", "\x00", "\x7f", "\x85", "\u2028", "\ufeff", " a", "a ", "'", '"', "\\"]
    + ["{a: b}", "[", "%", "&a", "*a", "!t", "|", ">", "<<", "?", "? a", ":", "a:", "@", "`", "\n", "\r\n", "\t", "²"]
)
TEXT = NASTY | st.text(st.characters(codec=None), max_size=8)
LINE = TEXT.filter(lambda text: "\n" not in text and "\r" not in text)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
REGEX = st.sampled_from(["line 1", "^$", "(?i)expired", r"\$\(x\)", r"\d+ \"a\"", "$any", "1", "null", "é"])
NUMBER = st.integers() | st.floats(allow_nan=False)
PATTERN = st.recursive(
    JSON | st.sampled_from([one for one in Matcher if one is not Matcher.ABSENT]) | REGEX.map(re.compile) | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(TEXT, inner | st.just(Matcher.ABSENT), max_size=3)
        | st.lists(inner, max_size=3).map(lambda items: Unordered(tuple(items)))
        | st.lists(inner, max_size=3).map(lambda items: OneOf(tuple(items)))
        | inner.map(Length)
        | inner.map(Exact)
        | inner.map(Not)
        | NUMBER.map(Greater)
        | NUMBER.map(Less)
    ),
    max_leaves=6,
)
SECONDS = st.floats(0, 1e9, allow_nan=False) | st.sampled_from([0, 0.02, 0.5, 1, 30, 1e-7, 3601, 5e-324, 0.3])
NAMES = ("alice", "bob", "null", "1", "a b", "$x", "wsharness", "é" * 100)
CODE = st.integers(1000, 1003) | st.integers(1007, 1014) | st.integers(3000, 4999)
PAIRS = st.dictionaries(TEXT, LINE, max_size=2)
CHANGES = st.dictionaries(TEXT, LINE | st.none(), max_size=2)
PATH = LINE.map("/{}".format)


def fields(**strategies):
    return st.fixed_dictionaries({}, optional=strategies)


LINK = fields(
    latency=SECONDS,
    jitter=SECONDS,
    bandwidth=st.integers(1),
    limit_data=st.integers(0),
    reset_peer=SECONDS,
    half_open=st.booleans(),
)
CONNECT = st.none() | st.one_of(
    fields(
        path=PATH,
        query=CHANGES,
        headers=CHANGES,
        cookies=st.none() | CHANGES,
        subprotocols=st.lists(LINE).map(tuple),
        link=st.none() | LINK,
    ),
    fields(path=PATH, rejected=st.integers(200, 599) | fields(status=st.just(403), body=PATTERN)),
    fields(accepted=fields(subprotocol=PATTERN, headers=st.dictionaries(TEXT, PATTERN, max_size=2))),
)
VALUES = {
    Verb.CONNECT: CONNECT,
    Verb.SEND: JSON,
    Verb.SEND_BYTES: st.binary(),
    Verb.EXPECT: PATTERN,
    Verb.WAIT_FOR: PATTERN,
    Verb.EXPECT_NONE: st.none() | SECONDS,
    Verb.EXPECT_CLOSE: st.none() | CODE | fields(code=CODE | st.just(1006), reason=PATTERN),
    Verb.CLOSE: st.none() | CODE | fields(code=st.none() | CODE, reason=TEXT),
    Verb.DROP: st.none() | st.just({"reset": True}),
    Verb.STALL: st.none() | st.just({"full": True}),
    Verb.RESUME: st.none(),
}
EXTRAS = {"within": st.none() | SECONDS, "after": st.none() | SECONDS, "note": TEXT}
STEP = st.one_of(
    st.builds(Step, st.none(), st.just(Verb.PAUSE), SECONDS, after=EXTRAS["after"], note=TEXT),
    *(st.builds(Step, st.sampled_from(NAMES), st.just(verb), value, **EXTRAS) for verb, value in VALUES.items()),
)
SPEC = st.builds(
    ClientSpec,
    path=PATH,
    query=PAIRS,
    headers=PAIRS,
    cookies=PAIRS,
    subprotocols=st.lists(LINE, max_size=2).map(tuple),
    ignore=st.lists(PATTERN, max_size=2).map(tuple),
    link=st.none() | LINK.filter(bool),
)
RUN = st.builds(
    RunInfo,
    app=st.none() | TEXT,
    app_dir=st.none() | TEXT,
    factory=st.booleans(),
    profile=st.none() | TEXT,
    seed=st.integers(),
    schedule=st.sampled_from(["fifo", "random", "pct"]) | st.dictionaries(st.integers(0), st.integers(0), max_size=3),
    lifespan=st.sampled_from([None, "auto", "on", "off"]),
    timeout=st.none() | SECONDS,
    expects=st.sampled_from([None, "WSH101"]),
)
SAME = ClientSpec()
SCENARIO = st.builds(
    Scenario,
    name=TEXT,
    clients=st.just(dict.fromkeys(NAMES, SAME)),
    steps=st.lists(STEP, max_size=4).map(tuple),
    tags=st.lists(TEXT, max_size=2).map(tuple),
    run=st.none() | RUN,
)


@settings(max_examples=80, deadline=None)
@given(SCENARIO)
@example(Scenario(clients={"a": ClientSpec()}, steps=(Step("a", Verb.SEND, '{"type": "say", "cost": "$(5"'),)))
@example(Scenario(clients={"a": ClientSpec()}, steps=(Step("a", Verb.SEND, None),)))
@example(Scenario(clients={"a": ClientSpec()}, steps=(Step("a", Verb.SEND, "\ud83d\ude00"),)))
def test_a_scenario_written_as_yaml_loads_back_equal(scenario):
    assert loads(to_yaml(scenario)) == [scenario]


@settings(max_examples=30, deadline=None)
@given(SPEC)
def test_a_client_written_as_yaml_loads_back_equal(spec):
    assert loads(to_yaml(Scenario(clients={"a": spec})))[0].clients == {"a": spec}


def test_yaml_looks_as_a_person_would_write_it():
    scenario = Scenario(
        name="Bob sees Alice",
        tags=("chat",),
        clients={"alice": ClientSpec("/ws/chat", query={"user": "alice"}), "bob": ClientSpec("/ws/chat")},
        steps=(
            Step("alice", Verb.CONNECT),
            Step("alice", Verb.SEND, {"type": "join", "n": 1, "to": None, "cost": "$5"}),
            Step("alice", Verb.SEND, '{"type": "say", "text":'),
            Step("bob", Verb.EXPECT, {"at": Matcher.ANY, "text": re.compile("line 1")}, within=0.5),
            Step("bob", Verb.SEND_BYTES, b"\x00\xff\xfe", note="no text"),
            Step(None, Verb.PAUSE, 0.05),
            Step("bob", Verb.EXPECT_NONE, 0.2),
            Step("bob", Verb.CLOSE, {"code": 4001, "reason": "bye"}),
            Step("alice", Verb.DROP),
        ),
        run=RunInfo(app="shop.main:app", profile="uvicorn", seed=3, schedule={12: 1}, expects="WSH101"),
    )
    assert (
        to_yaml(scenario)
        == """\
wsharness: 1
name: Bob sees Alice
tags: [chat]
clients:
  alice: {path: /ws/chat, query: {user: alice}}
  bob: {path: /ws/chat}
steps:
  - alice: connect
  - alice: {send: {type: join, n: 1, to: null, cost: $$5}}
  - alice: {send: '{"type": "say", "text":'}
  - bob: {expect: {at: $any, text: {$regex: line 1}}, within: 500ms}
  - bob: {send_bytes: {hex: 00 ff fe}, note: no text}
  - pause: 50ms
  - bob: {expect_none: 200ms}
  - bob: {close: {code: 4001, reason: bye}}
  - alice: drop
run: {app: shop.main:app, profile: uvicorn, seed: 3, schedule: {"12": 1}, expects: WSH101}
"""
    )


@pytest.mark.parametrize(
    ("step", "why"),
    [
        (Step("a", Verb.EXPECT, len), "a file cannot say what len accepts"),
        (Step("a", Verb.SEND, {1: 2}), "a file cannot say the key 1; keys are text"),
        (Step("a", Verb.SEND, {"a": b""}), "a message is text, bytes, or what JSON can say"),
        (Step("a", Verb.EXPECT, re.compile(b"a")), "regexes there are text"),
        (Step("pause", Verb.SEND, "a"), "a file cannot say a client 'pause'"),
        (Step("x" * 101, Verb.SEND, "a"), "give it another name"),
        (Step(None, Verb.PAUSE, -1.0), "expected a duration from 0 on"),
        (Step(None, Verb.PAUSE, float("inf")), "expected a duration from 0 on"),
    ],
)
def test_what_a_file_cannot_say_is_refused(step, why):
    with pytest.raises(UsageError, match=re.escape(why)):
        to_yaml(Scenario(clients={"a": ClientSpec()}, steps=(step,)))


def test_python_patterns_are_written_as_their_matchers():
    steps = (Step("a", Verb.EXPECT, {"n": int, "s": str, "x": re.compile("a", re.IGNORECASE)}),)
    text = to_yaml(Scenario(clients={"a": ClientSpec()}, steps=steps))
    assert 'expect: {n: $int, s: $str, x: {$regex: "(?i)a"}}' in text


def test_a_connect_mapping_merges_over_the_client():
    spec = ClientSpec("/a", {"x": "1", "y": "2"}, {"Authorization": "old"}, {"c": "1"}, ("v1",))
    merged = spec.merged(
        {"query": {"x": None, "z": "3"}, "headers": {"authorization": "new"}, "cookies": None, "subprotocols": None}
    )
    assert merged == ClientSpec("/a", {"y": "2", "z": "3"}, {"authorization": "new"}, {"c": "1"}, ())
    assert spec.merged({"path": "/b", "rejected": 403}).path == "/b"
    assert spec.merged({"link": {"latency": 1}}).merged({"path": "/b"}).link == {"latency": 1}
    assert ClientSpec(link={"latency": 1}).merged({"link": None}).link is None


def test_scenarios_survive_pickling():
    scenario = Scenario("x", {"a": ClientSpec()}, (Step("a", Verb.EXPECT, Matcher.UUID, line=3),), run=RunInfo())
    again = pickle.loads(pickle.dumps(scenario))
    assert again == scenario
    assert again.steps[0].line == 3


def test_where_a_step_stands_does_not_count_when_scenarios_are_compared():
    assert Step("a", Verb.DROP, line=1) == Step("a", Verb.DROP, line=2)
    assert Scenario(file="a", line=1) == Scenario(file="b", line=2)


def test_equal_steps_are_written_once():
    again = (Step("bob", Verb.CONNECT), Step(None, Verb.PAUSE, 1.0), Step("bob", Verb.CLOSE))
    scenario = Scenario(clients={"bob": ClientSpec()}, steps=again * 5 + (Step("bob", Verb.CONNECT),) * 3)
    text = to_yaml(scenario)
    assert text.count("repeat: 5") == 1 and text.count("bob: connect") == 4
    assert loads(text)[0].steps == scenario.steps

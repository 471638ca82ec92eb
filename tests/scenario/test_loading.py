"""A scenario file becomes scenarios, or a list of everything that is wrong with it."""

import re

import pytest

from wsharness.errors import ScenarioError
from wsharness.patterns import Length, Matcher, Unordered
from wsharness.scenario.loading import load, loads
from wsharness.scenario.model import ClientSpec, RunInfo, Step, Verb

CHAT = """\
wsharness: 1
name: Bob sees Alice's message
tags: [chat]
clients:
  alice: {path: /ws/chat, query: {user: alice, page: 1.50}, subprotocols: [chat.v1]}
  bob:   {path: /ws/chat, query: {user: bob}, ignore: [{type: heartbeat}]}
vars:
  room: lobby
  place: {name: $(room)}
steps:
  - alice: connect
  - alice: {send: {type: join, room: $(room), at: $(place), text: "in $(room), $$5"}}
  - alice: {expect: {members: {$unordered: [alice, bob]}, id: $uuid, at: $any, x: $absent}, within: 500ms}
  - alice: {send: '{"type": "say", "text":'}        # a string is sent verbatim
  - bob:
      wait_for: {type: error, detail: {$regex: line 1}}
      note: quoted by the app
  - alice: {send_bytes: {hex: 00 ff fe}}
  - alice: {send_bytes: {text: é}}
  - alice: drop
  - pause: 30s
  - alice: {connect: {query: {resume: $(room), user: null}}, after: 20ms}
  - repeat: 2
    steps: [bob: {send: {n: $(loop)}}]
  - bob: {expect_none: 200ms}
  - bob: {expect: {$len: 2}}
  - bob: {expect_close: {code: 1008, reason: {$regex: (?i)expired}}, within: 1s}
"""


def problems(text, name="chat.ws.yaml"):
    with pytest.raises(ScenarioError) as caught:
        loads(text, name)
    return caught.value.problems


def steps(*lines):
    head = "wsharness: 1\nclients: {bob: {path: /ws}}\nsteps:\n"
    return head + "".join(f"  - {line}\n" for line in lines)


def test_a_file_says_clients_and_steps():
    (scenario,) = loads(CHAT)
    assert scenario.name == "Bob sees Alice's message"
    assert scenario.tags == ("chat",)
    assert scenario.clients == {
        "alice": ClientSpec("/ws/chat", {"user": "alice", "page": "1.50"}, subprotocols=("chat.v1",)),
        "bob": ClientSpec("/ws/chat", {"user": "bob"}, ignore=({"type": "heartbeat"},)),
    }
    joined = {
        "members": Unordered(("alice", "bob")),
        "id": Matcher.UUID,
        "at": Matcher.ANY,
        "x": Matcher.ABSENT,
    }
    hello = {"type": "join", "room": "lobby", "at": {"name": "lobby"}, "text": "in lobby, $5"}
    assert scenario.steps == (
        Step("alice", Verb.CONNECT),
        Step("alice", Verb.SEND, hello),
        Step("alice", Verb.EXPECT, joined, within=0.5),
        Step("alice", Verb.SEND, '{"type": "say", "text":'),
        Step("bob", Verb.WAIT_FOR, {"type": "error", "detail": re.compile("line 1")}, note="quoted by the app"),
        Step("alice", Verb.SEND_BYTES, b"\x00\xff\xfe"),
        Step("alice", Verb.SEND_BYTES, "é".encode()),
        Step("alice", Verb.DROP),
        Step(None, Verb.PAUSE, 30.0),
        Step("alice", Verb.CONNECT, {"query": {"resume": "lobby", "user": None}}, after=0.02),
        Step("bob", Verb.SEND, {"n": 1}),
        Step("bob", Verb.SEND, {"n": 2}),
        Step("bob", Verb.EXPECT_NONE, 0.2),
        Step("bob", Verb.EXPECT, Length(2)),
        Step("bob", Verb.EXPECT_CLOSE, {"code": 1008, "reason": re.compile("(?i)expired")}, within=1.0),
    )


def test_steps_know_the_line_they_stand_on():
    (scenario,) = loads(CHAT, "chat.ws.yaml")
    assert (scenario.file, scenario.line) == ("chat.ws.yaml", 1)
    assert [step.line for step in scenario.steps[:5]] == [11, 12, 13, 14, 15]


def test_every_case_is_a_scenario(monkeypatch):
    monkeypatch.setenv("SECRET", "s3")
    text = """\
wsharness: 1
name: Bad credentials
cases: [{id: none, token: null}, {id: garbage, token: x.y}, {token: $(env.SECRET)}]
clients:
  eve: {path: /ws, headers: {Authorization: Bearer $(case.token)}}
steps:
  - eve: {connect: {rejected: 403}}
---
wsharness: 1
steps: []
"""
    scenarios = loads(text)
    assert [one.name for one in scenarios] == [
        "Bad credentials [none]",
        "Bad credentials [garbage]",
        "Bad credentials [3]",
        "",
    ]
    tokens = [one.clients["eve"].headers["Authorization"] for one in scenarios[:3]]
    assert tokens == ["Bearer ", "Bearer x.y", "Bearer s3"]


def test_run_says_how_it_was_run():
    text = (
        "wsharness: 1\nsteps: []\nrun: {app: 'shop.main:app', app_dir: src, profile: daphne, seed: 7, "
        "schedule: {'12': 1}, expects: WSH101, timeout: 2s, lifespan: off, factory: true, "
        "faults: {bob: {latency: 20ms}}}"
    )
    assert loads(text)[0].run == RunInfo(
        app="shop.main:app",
        app_dir="src",
        profile="daphne",
        seed=7,
        schedule={12: 1},
        expects="WSH101",
        timeout=2.0,
        lifespan="off",
        factory=True,
        faults={"bob": {"latency": "20ms"}},
    )


def test_all_problems_are_reported_at_once_in_the_order_of_their_lines():
    text = """\
wsharness: 1
clients:
  bob: {path: ws, qery: {a: 1}}
steps:
  - bob: {expect: hi, wihtin: 500ms}
  - bbo: connect
---
wsharness: 2
stpes: []
"""
    assert problems(text) == [
        "chat.ws.yaml:3:15: expected a path that begins with '/'; got 'ws'",
        "chat.ws.yaml:3:19: unknown key 'qery'; did you mean 'query'?",
        "chat.ws.yaml:5:23: unknown key 'wihtin'; did you mean 'within'?",
        "chat.ws.yaml:6:5: unknown client 'bbo'; did you mean 'bob'?",
        "chat.ws.yaml:8:1: a scenario needs steps: '- alice: connect'",
        "chat.ws.yaml:8:12: expected wsharness: 1; got 2",
        "chat.ws.yaml:9:1: unknown key 'stpes'; did you mean 'steps'?",
    ]


WRONG = [
    ("", "1:1: the file is empty; begin with 'wsharness: 1'"),
    ("# nothing", "1:1: the file is empty"),
    ("- a", "1:1: expected a scenario, 'wsharness: 1' first; got a list"),
    ("steps: []", "1:1: expected 'wsharness: 1' at the beginning of a scenario"),
    ("wsharness: '1'\nsteps: []", "1:12: expected wsharness: 1; got '1'"),
    ("wsharness: 1\nsteps: {}", "2:8: expected steps to be a list; got a mapping"),
    ("wsharness: 1\nsteps: []\nname: [a]", "3:7: expected name to be text; got a list"),
    ("wsharness: 1\nsteps: []\ntags: chat", "3:7: expected tags to be a list of text; got 'chat'"),
    ("wsharness: 1\nsteps: []\nclients: []", "3:10: expected clients such as"),
    ("wsharness: 1\nsteps: []\nvars: []", "3:7: expected variables such as"),
    ("wsharness: 1\nsteps: []\nvars: {env: 1}", "3:8: 'env' cannot be a variable's name; choose another word"),
    ("wsharness: 1\nsteps: []\nvars: {a: $(b), b: 1}", "3:11: undefined variable 'b'"),
    ("wsharness: 1\nsteps: []\ncases: []", "3:8: expected a list of cases"),
    ("wsharness: 1\nsteps: []\ncases: [a]", "3:9: expected a case such as {id: first}; got 'a'"),
    ("wsharness: 1\nsteps: [\n", "not valid YAML"),
]


@pytest.mark.parametrize(("text", "why"), WRONG, ids=map(str, range(len(WRONG))))
def test_what_is_wrong_with_a_document_is_said_at_its_place(text, why):
    assert any(why in problem for problem in problems(text, "f"))


def test_a_file_is_read_and_named_in_its_problems(tmp_path):
    file = tmp_path / "chat.ws.yaml"
    file.write_text(CHAT, encoding="utf-8-sig")
    assert load(file) == loads(CHAT)
    file.write_bytes(b"wsharness: 1\nname: \xff\n")
    with pytest.raises(ScenarioError, match=f"^{re.escape(str(file))}:2:7: expected UTF-8; got the byte 0xff$"):
        load(file)
    with pytest.raises(ScenarioError, match="cannot be read: "):
        load(tmp_path / "nowhere.ws.yaml")


def test_a_broken_document_does_not_hide_the_problems_of_those_before():
    assert problems("wsharness: 2\nsteps: []\n---\na: [", "f") == [
        "f:1:12: expected wsharness: 1; got 2",
        "f:4:5: not valid YAML while parsing a flow node: expected the node content, but found '<stream end>'",
    ]

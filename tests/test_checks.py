from pathlib import Path

import pytest

import wsharness
from tests.bugs import load
from wsharness import checks, simulate
from wsharness.checks import CHECKS, apply_severity, get_check
from wsharness.errors import UsageError
from wsharness.events import Accepted, Closed, Message, Rejected
from wsharness.scenario.model import ClientSpec, Scenario, Step, Verb
from wsharness.transcript import (
    Connect,
    Direction,
    Fact,
    Frame,
    Leave,
    Reading,
    Record,
    Transcript,
)

MINE = Frame("shop.py", 20, "handler")
READS = Frame("starlette/websockets.py", 40, "WebSocket.receive_text", user=False)


def fact(kind, message="", stack=(MINE,), client="alice", **data):
    return Record(0.0, client, Direction.FACT, Fact(kind, message, stack, data))


def accepted(client):
    return Record(0.0, client, Direction.SERVER, Accepted())


def codes(*records):
    return [failure.code for failure in checks.run(Transcript(records))]


@pytest.mark.parametrize(
    "record, code",
    [
        (fact("crashed", "boom", exception="ValueError"), "WSH101"),
        (fact("crashed", "1000", exception="WebSocketDisconnect", harmless=True), "WSH106"),
        (fact("crashed", "'text'", (MINE, READS), exception="KeyError"), "WSH112"),
        (fact("handler stuck", "awaiting get"), "WSH102"),
        (fact("handler stuck", "awaiting acquire", deadlock=True), "WSH105"),
        (fact("busy loop", "turns"), "WSH103"),
        (fact("kept", "held"), "WSH107"),
        (fact("unanswered", "no answer"), "WSH109"),
        (fact("never retrieved", "ValueError: x", exception="ValueError"), "WSH110"),
        (fact("not expected", "expected 1; got 2"), "WSH501"),
    ],
)
def test_each_fact_has_its_code(record, code):
    assert codes(record) == [code]


def test_a_clean_transcript_has_no_failure():
    assert codes(Record(0.0, "alice", Direction.CLIENT, Connect("/ws")), accepted("alice")) == []


def test_a_fact_that_no_check_knows_is_no_failure():
    assert codes(fact("something else")) == []


def test_a_consumer_that_takes_no_binary_message_is_told_of_the_kind():
    said = "Chat.receive() got an unexpected keyword argument 'bytes_data'"
    calls = READS._replace(function="AsyncWebsocketConsumer.websocket_receive")
    assert codes(fact("crashed", said, (calls,), exception="TypeError")) == ["WSH112"]
    assert codes(fact("crashed", "another", (calls,), exception="TypeError")) == ["WSH101"]


def test_a_key_error_of_the_users_own_is_an_exception_like_any_other():
    assert codes(fact("crashed", "'text'", (READS, MINE), exception="KeyError")) == ["WSH101"]


def test_a_task_for_each_connection_is_a_leak_and_one_for_all_is_not():
    leaks = [fact("task leaked", coroutine="pump", client="") for _ in range(2)]
    assert codes(accepted("alice"), accepted("bob"), *leaks) == ["WSH104"]
    assert codes(accepted("alice"), accepted("bob"), leaks[0]) == []
    assert codes(accepted("alice"), leaks[0]) == []


def leaked(connection, **data):
    return fact("task leaked", coroutine="pump", client="", connection=connection, **data)


def connects(connection, path):
    return Record(0.0, connection, Direction.CLIENT, Connect(path))


def test_a_task_that_works_for_one_connection_is_a_leak():
    records = accepted("alice"), accepted("bob"), leaked("alice", own=True, created="shop.py:5 in chat")
    [failure] = checks.run(Transcript(records))
    assert (failure.code, failure.index) == ("WSH104", 2)
    assert failure.message == "a task of pump still runs after 2 connections ended; it was created at shop.py:5 in chat"
    assert codes(accepted("alice"), leaked("alice", own=False)) == []


def test_a_task_that_a_client_leaves_each_time_it_comes_for_the_same_is_a_leak():
    others = [accepted(name) for name in ("alice", "alice#2", "bob", "carol")]
    twice = connects("alice", "/a"), connects("alice#2", "/a"), leaked("alice"), leaked("alice#2")
    assert codes(*others, *twice) == ["WSH104"]
    assert codes(*others, *twice[:2], leaked("alice"), leaked("alice")) == []  # as one that is shared is made twice
    assert codes(*others, connects("alice", "/a"), connects("alice#2", "/b"), leaked("alice"), leaked("alice#2")) == []


def test_a_failure_knows_route_client_profile_and_where_it_showed():
    transcript = Transcript(
        [
            Record(0.0, "alice", Direction.CLIENT, Connect("/ws/1")),
            fact("crashed", "boom\nmore", exception="shop.Broke"),
        ]
    )
    [failure] = checks.run(transcript, profile="hypercorn")
    assert (failure.route, failure.client, failure.index, failure.profile) == ("/ws/1", "alice", 1, "hypercorn")
    assert (failure.kind, failure.message) == ("shop.Broke", "Broke: boom")
    assert failure.transcript is transcript


def test_one_bug_is_reported_once_in_the_transcripts_order():
    boom = fact("crashed", "boom", exception="ValueError")
    assert codes(fact("busy loop"), boom, boom, fact("handler stuck")) == ["WSH103", "WSH101", "WSH102"]


def test_a_check_of_ones_own_runs_with_the_others():
    def silent(transcript):
        yield CHECKS["WSH501"].failure(f"{len(transcript)} records")

    [failure] = checks.run(Transcript([accepted("alice")]), functions=[silent])
    assert failure.message == "1 records"


def test_a_long_message_is_cut():
    [failure] = checks.run(Transcript([fact("crashed", "x" * 1000, exception="E")]))
    assert len(failure.message) < 250 and failure.message.endswith("…")


def test_codes_are_ignored_or_become_warnings():
    found = checks.run(Transcript([fact("busy loop"), fact("crashed", exception="E")]))
    assert [f.code for f in apply_severity(found, ignore=["wsh103"])] == ["WSH101"]
    assert [f.severity for f in apply_severity(found, warn=["WSH101"])] == ["failure", "warning"]


@pytest.mark.parametrize("option", ["ignore", "warn"])
def test_an_unknown_code_is_refused(option):
    with pytest.raises(UsageError, match="unknown check 'WSH999'; known: WSH101"):
        apply_severity([], **{option: ["WSH999"]})


def test_a_check_is_found_in_any_case():
    assert get_check("wsh101") is CHECKS["WSH101"]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
def test_each_check_says_what_it_means_and_what_to_do(check):
    assert check.title and check.explanation.endswith(".") and len(check.explanation) > 50
    assert check.severity in ("failure", "warning")


def message(client, time):
    return Record(time, client, Direction.SERVER, Message("x"))


def reading(client, time, *, on):
    return Record(time, client, Direction.CLIENT, Reading(on=on))


def test_a_slow_reader_is_to_blame_where_the_others_get_all_when_it_reads():
    stall, resume = reading("carol", 1.0, on=False), reading("carol", 60.0, on=True)
    assert codes(stall, message("bob", 2.0), resume, message("bob", 60.0)) == ["WSH301"]
    assert codes(stall, resume, message("carol", 60.0)) == []
    assert codes(stall, message("bob", 45.0), resume, message("bob", 60.0)) == []
    assert codes(stall, resume, message("bob", 61.0)) == []
    assert codes(stall, reading("carol", 20.0, on=True), message("bob", 20.0)) == []


def test_growth_is_a_failure_where_it_has_no_limit():
    assert codes(fact("queue grew", "a deque", connection="carol", length=900, messages=1000)) == ["WSH108"]
    assert codes(fact("queue grew", "a deque", connection="carol", length=900, messages=999)) == []
    assert codes(fact("grows", "a dict", connections=1200, holder="a dict", length=1200)) == ["WSH111"]
    assert codes(fact("grows", "a dict", connections=40, holder="a dict", length=40)) == []


@pytest.mark.parametrize(
    "rule, code",
    [
        ("shape", "WSH201"),
        ("order", "WSH201"),
        ("after close", "WSH202"),
        ("close code", "WSH203"),
        ("close reason", "WSH203"),
        ("encoding", "WSH204"),
        ("unseen", "WSH205"),
        ("subprotocol", "WSH207"),
    ],
)
def test_each_rule_has_its_code(rule, code):
    assert codes(fact("rule broken", "x", rule=rule)) == [code]


def test_a_rejection_with_5xx_is_reported_where_no_exception_says_why():
    rejected = Record(0.0, "alice", Direction.SERVER, Rejected(500))
    assert codes(rejected) == ["WSH302"]
    assert codes(fact("crashed", "x", exception="ValueError"), rejected) == ["WSH101"]
    assert codes(Record(0.0, "alice", Direction.SERVER, Rejected(403))) == []


def test_what_is_said_of_a_broken_rule_is_not_said_again():
    assert codes(fact("crashed", "x", exception="UnicodeEncodeError", rule=True)) == []


def test_a_framework_that_closes_what_is_gone_is_no_failure():
    gone = fact("crashed", "", (READS,), exception="wsharness.endpoint.ClientDisconnected", harmless=True)
    assert codes(gone) == []
    assert codes(fact("crashed", "'text'", (READS._replace(function="handle"),), exception="KeyError")) == ["WSH112"]
    assert codes(fact("ended open", "returned")) == ["WSH206"]


def test_each_check_has_a_section_in_the_documentation():
    page = (Path(__file__).parent.parent / "docs" / "checks.md").read_text(encoding="utf-8")
    for check in CHECKS.values():
        mark = " (warning)" * (check.severity == "warning")
        assert f"\n## {check.code} {check.title}{mark}\n\n{check.explanation[:60]}" in page


@pytest.fixture
def own():
    """What a test registers is forgotten."""
    before = set(CHECKS)
    yield
    for name in set(CHECKS) - before:
        checks.forget(name)


def test_a_registered_check_is_reported_like_the_others(own):
    @wsharness.check
    def nobody_speaks_twice(transcript):
        """A client says one thing only."""
        if len(transcript) > 1:
            yield "two records"

    [failure] = checks.run(Transcript([accepted("alice"), accepted("bob")]))
    assert (failure.code, failure.title, failure.message) == (
        "nobody_speaks_twice",
        "A client says one thing only.",
        "two records",
    )
    assert codes(accepted("alice")) == []
    assert get_check("nobody_speaks_twice").explanation
    assert apply_severity([failure], ignore=["nobody_speaks_twice"]) == []


def test_an_assertion_in_a_registered_check_is_its_message(own):
    @wsharness.check
    def holds(transcript):
        if transcript:
            raise AssertionError("there are records")

    assert [failure.message for failure in checks.run(Transcript([accepted("alice")]))] == ["there are records"]
    assert checks.run(Transcript()) == []


@pytest.mark.parametrize("name", ["lost_update", "check_then_act"])
def test_an_invariant_is_looked_at_after_every_step(own, name):
    bug = load(name)

    @wsharness.invariant
    def it_adds_up(app):
        getattr(bug, bug.INVARIANT)(app)

    message = f'{{"{"coins" if name == "lost_update" else "seat"}": 1}}'
    steps = [*(Step(who, Verb.CONNECT) for who in ("alice", "bob")), Step(None, Verb.PAUSE, 0.05)]
    steps += [*(Step(who, Verb.SEND, message) for who in ("alice", "bob")), Step(None, Verb.PAUSE, 0.05)]
    scenario = Scenario(clients={"alice": ClientSpec("/ws"), "bob": ClientSpec("/ws")}, steps=tuple(steps))
    broken = simulate(scenario, bug.broken())
    assert [failure.code for failure in broken.failures] == ["it_adds_up"]
    assert simulate(scenario, bug.correct()).failures == []


def visits(*answers, before_the_last=7200.0, last="/ws"):
    """One client comes again and again, and leaves unless it is sent away."""
    for number, answer in enumerate(answers):
        is_last = number == len(answers) - 1
        time = number + (before_the_last if is_last else 0.0)
        name = f"alice#{number}"
        yield Record(time, name, Direction.CLIENT, Connect(last if is_last else "/ws"))
        if isinstance(answer, Closed):
            yield Record(time, name, Direction.SERVER, Accepted())
        yield Record(time, name, Direction.SERVER, answer)
        if isinstance(answer, Accepted):
            yield Record(time, name, Direction.CLIENT, Leave())
            yield Record(time, name, Direction.SERVER, Closed())


def test_turned_away_though_nobody_is_there():
    here, away, full = Accepted(), Rejected(403), Closed(1013)
    assert codes(*visits(here, here, away, away)) == ["WSH114"]
    assert codes(*visits(here, here, full)) == ["WSH114"]
    assert codes(*visits(here, here, here)) == []
    assert codes(*visits(here, away, away)) == []  # a ticket that is good for once
    assert codes(*visits(here, here, away, before_the_last=60.0)) == []  # a limit of visits in a time
    assert codes(*visits(here, here, away, last="/other")) == []
    assert codes(*visits(full, full, full)) == []

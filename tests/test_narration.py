"""A transcript reads as steps."""

import pytest

from tests.report import samples
from tests.report.samples import ODD, SECRET, Script
from wsharness.events import Closed, Message, Rejected
from wsharness.narration import Gap, elide, innermost, narrate, printable, render_transcript, show
from wsharness.transcript import Direction, Dropped, Fact, Frame, Leave, Reading, Sent, Transcript


def lines(script, **options):
    return [" ".join(line.split()) for line in render_transcript(script.transcript, **options).splitlines()]


def test_what_crosses_the_link_is_one_line():
    script = Script().connect("alice", "/ws").send("alice", "hi").get("alice", '{"n": 1}')
    assert lines(script) == [
        "0.000 alice → connect /ws",
        "0.000 alice ← accepted",
        "0.000 alice → 'hi'",
        '0.000 alice ← {"n": 1}',
    ]


def test_what_never_arrived_says_so():
    script = Script().connect("alice", "/ws").send("alice", "hi", read=False).get("alice", "x", seen=False)
    assert lines(script)[2:] == [
        "0.000 alice → 'hi' (the app never read it)",
        "0.000 alice ← 'x' (the client never saw it)",
    ]


def test_a_transcript_without_the_apps_end_does_not_claim_that_nothing_was_read():
    script = Script().add("a", Direction.CLIENT, Sent("hi")).add("a", Direction.SERVER, Message("x"))
    assert lines(script) == ["0.000 a → 'hi'", "0.000 a ← 'x'"]


def test_of_two_equal_messages_the_first_is_the_one_that_was_read():
    script = Script().connect("a", "/").send("a", "x", read=False).send("a", "x")
    assert [line.endswith("never read it)") for line in lines(script)[2:]] == [False, True]


def test_two_connections_do_not_share_arrivals():
    script = Script().connect("a", "/").connect("b", "/").send("a", "x", read=False)
    script.add("b", Direction.RECEIVE, {"type": "websocket.receive", "text": "x"})
    assert lines(script)[-2:] == ["0.000 a → 'x' (the app never read it)", "0.000 b · the app reads 'x'"]


def test_latency_is_told():
    script = Script().connect("a", "/").wait(1).get("a", "x", after=0.25)
    assert lines(script)[-1] == "1.000 a ← 'x' (arrives at 1.250)"


def test_what_a_real_clock_takes_is_not_told():
    script = Script().connect("a", "/").get("a", "x", after=0.003)
    assert "arrives" not in lines(script)[-1]


def test_times_count_from_the_first_record():
    script = Script().wait(123456.5).connect("a", "/").wait(2).send("a", "x")
    assert [line.split()[0] for line in lines(script)] == ["0.000", "0.000", "2.000"]


@pytest.mark.parametrize(
    ("direction", "event", "told"),
    [
        (Direction.CLIENT, Dropped(), "× drop: gone without a close frame"),
        (Direction.CLIENT, Dropped(reset=True), "× drop: connection reset"),
        (Direction.CLIENT, Leave(1001, "off"), "→ close with 1001 (going away) 'off'"),
        (Direction.CLIENT, Leave(None), "→ close with no code"),
        (Direction.CLIENT, Reading(on=False), "· stall: stops reading"),
        (Direction.CLIENT, Reading(on=True), "· resume: reads again"),
        (Direction.SERVER, Closed(1008, "no"), "← closed with 1008 (policy violation) 'no'"),
        (Direction.SERVER, Rejected(403, body=b"no"), "← rejected with HTTP 403 'no'"),
        (
            Direction.SERVER,
            Rejected(403, app_code=4001),
            "← rejected with HTTP 403 (the app closed with 4001 before it accepted)",
        ),
        (
            Direction.RECEIVE,
            {"type": "websocket.disconnect", "code": 1006},
            "· the app sees the disconnect: 1006 (abnormal closure)",
        ),
        (Direction.RECEIVE, {"type": "websocket.receive", "bytes": bytearray(b"a")}, "· the app reads bytes 61"),
        (Direction.SEND, {"type": "http.what"}, "← {'type': 'http.what'}"),
        (
            Direction.SEND,
            {"type": "websocket.send"},
            "← {'type': 'websocket.send'} (the client never saw it)",
        ),
        (
            Direction.FACT,
            Fact("crashed", "boom", (Frame("a.py", 3, "f"),), {"exception": "x.y.Boom"}),
            "! Boom: boom, at a.py:3 in f",
        ),
        (Direction.FACT, Fact("task leaked"), "! task leaked"),
    ],
)
def test_every_event_has_its_words(direction, event, told):
    assert lines(Script().add("a", direction, event)) == [f"0.000 a {told}"]


def test_a_rejection_stands_where_the_app_closed():
    script = Script().add("a", Direction.SEND, {"type": "websocket.close", "code": 4003})
    script.add("a", Direction.SERVER, Rejected(403, app_code=4003))
    assert lines(script) == ["0.000 a ← rejected with HTTP 403 (the app closed with 4003 before it accepted)"]


def test_an_object_in_a_malformed_event_shows_no_address():
    script = Script().add("a", Direction.SEND, {"type": "websocket.send", "text": None, "bytes": object()})
    assert "0x" not in lines(script)[0]


def test_last_keeps_the_end_and_says_how_much_is_missing():
    script = Script().connect("a", "/").send("a", "1").send("a", "2").send("a", "3")
    assert lines(script, last=2) == ["… 3 more steps", "0.000 a → '2'", "0.000 a → '3'"]
    assert lines(script, last=99) == lines(script)
    assert lines(script, last=0) == []


@pytest.mark.parametrize("mark", [0, 1, 2, 3, 4, 5])
def test_the_marked_record_is_pointed_at_whichever_end_it_is(mark):
    script = Script().connect("a", "/").send("a", "1")
    pointed = [line for line in render_transcript(script.transcript, mark=mark).splitlines() if line[0] == ">"]
    assert len(pointed) == 1


@pytest.mark.parametrize("mark", [None, 0, 300, 301, 1204])
def test_a_limit_keeps_the_beginning_the_mark_and_the_end(mark):
    transcript = samples.busy_loop().transcript
    steps = narrate(transcript, mark=mark, limit=20)
    told = [step for step in steps if not isinstance(step, Gap)]
    assert len(told) <= 20
    assert told[0].index == 0
    assert told[-1].index == len(transcript) - 1
    assert mark is None or any(step.covers(mark) for step in told)
    gaps = sum(step.count for step in steps if isinstance(step, Gap))
    assert gaps + len(told) == len(narrate(transcript))


def test_an_empty_transcript_is_empty():
    assert render_transcript(Transcript()) == ""


def test_secrets_are_masked_even_if_their_handshake_is_not_shown():
    text = render_transcript(samples.chat_transcript())
    assert SECRET not in text
    assert "token=***" in text
    script = Script().connect("a", f"/?token={SECRET}").send("a", f"my {SECRET}")
    assert lines(script, last=1) == ["… 2 more steps", "0.000 a → 'my ***'"]


def test_payloads_are_elided_in_the_middle_and_bytes_shown_as_hex():
    assert show("a" * 5000 + "end").endswith("aaaend'")
    assert " more … " in show("a" * 5000)
    assert show(b"\x00\xff") == "bytes 00 ff"
    assert show(b"") == "no bytes"
    assert "more" in show(bytes(5000))
    assert len(show(bytes(1 << 20))) < 200
    assert elide("short", 3) == "short"  # cutting would take more room than it saves


def test_nothing_a_terminal_obeys_gets_through():
    assert printable("\x1b[31m\u202e\ud800é漢") == "\\x1b[31m\\u202e\\ud800é漢"
    assert all(char.isprintable() for char in show(ODD))
    text = render_transcript(samples.hostile().transcript)
    text.encode()
    assert all(line.isprintable() for line in text.splitlines())


def test_the_innermost_frame_is_the_users_own():
    assert innermost(samples.CHAT_STACK).file == "chat/rooms.py"
    assert innermost((Frame("lib.py", 1, "f", user=False),)).file == "lib.py"
    assert innermost(()) is None

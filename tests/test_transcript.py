import json
import pickle

from wsharness.events import Accepted, CloseCode, Closed, Message
from wsharness.transcript import (
    Connect,
    Direction,
    Dropped,
    Fact,
    Frame,
    Leave,
    Record,
    Sent,
    Transcript,
    to_json,
)


def sample():
    return Transcript(
        [
            Record(0.0, "alice", Direction.CLIENT, Connect("/ws", (("host", "x"),))),
            Record(0.0, "alice", Direction.RECEIVE, {"type": "websocket.connect"}),
            Record(0.1, "alice", Direction.SERVER, Accepted()),
            Record(0.2, "bob", Direction.CLIENT, Sent(b"\x00\xff")),
            Record(0.3, "alice", Direction.FACT, Fact("crashed", "x", (Frame("a.py", 1, "f"),), {"left": True})),
            Record(0.4, "alice#2", Direction.FACT, Fact("kept", "y")),
            Record(1.5, "alice", Direction.CLIENT, Dropped()),
        ]
    )


def test_the_records_of_one_connection_in_order():
    assert [record.time for record in sample().of("alice")] == [0.0, 0.0, 0.1, 0.3, 1.5]
    assert [record.time for record in sample().of("alice#2")] == [0.4]
    assert list(sample().of("nobody")) == []


def test_facts_of_one_kind_or_all():
    assert [record.event.kind for record in sample().facts()] == ["crashed", "kept"]
    assert [record.event.message for record in sample().facts("kept")] == ["y"]
    assert list(sample().facts("busy loop")) == []


def test_the_end_is_the_last_records_time():
    assert sample().end == 1.5
    assert Transcript().end == 0.0


def test_a_record_as_json():
    assert to_json(sample()[3]) == {
        "time": 0.2,
        "client": "bob",
        "direction": "client",
        "event": {"event": "Sent", "data": {"hex": "00 ff"}},
    }


def test_an_asgi_event_keeps_its_own_keys():
    event = {"type": "websocket.accept", "headers": [(b"a", b"b")], "n": CloseCode.NORMAL_CLOSURE}
    found = to_json(Record(0.0, "a", Direction.SEND, event))["event"]
    assert found["headers"] == [[{"hex": "61"}, {"hex": "62"}]]
    assert type(found["n"]) is int


def test_what_json_cannot_say_is_named_by_its_class():
    assert to_json(Record(0.0, "a", Direction.SEND, {"type": object()}))["event"] == {"type": "object"}


def test_lines_are_json_and_ascii_also_for_lone_surrogates():
    transcript = Transcript([Record(0.0, "é", Direction.SERVER, Message("\ud800 漢 \u2028 \n"))])
    text = transcript.to_ndjson()
    assert text.isascii() and text.count("\n") == 1
    assert json.loads(text)["event"]["data"] == "\ud800 漢 \u2028 \n"


def test_equal_transcripts_are_the_same_bytes():
    assert sample().to_ndjson() == sample().to_ndjson()
    assert sample().to_ndjson() != Transcript(sample()[:-1]).to_ndjson()
    assert len(sample().to_ndjson().splitlines()) == len(sample())


def test_a_transcript_survives_the_way_between_processes():
    again = pickle.loads(pickle.dumps(sample()))
    assert again == sample() and type(again) is Transcript


def test_a_close_without_a_code_is_not_a_close_with_1000():
    assert to_json(Record(0, "a", Direction.CLIENT, Leave(None)))["event"]["code"] is None
    assert to_json(Record(0, "a", Direction.SERVER, Closed(CloseCode.GOING_AWAY)))["event"]["code"] == 1001

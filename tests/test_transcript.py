import json
import pickle
import threading
import time

import pytest

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


def parts(number):
    return float(number), "alice", Direction.SERVER, Message(str(number))


def test_what_was_added_and_what_was_read_stay_in_order():
    transcript = Transcript([Record(*parts(0))])
    transcript.add(parts(1))
    assert (len(transcript), transcript.end) == (2, 1.0)
    transcript.add(parts(2))
    transcript.append(Record(*parts(3)))
    assert transcript.end == 3.0
    assert [record.event.data for record in transcript] == ["0", "1", "2", "3"]
    assert transcript[1:3] == [Record(*parts(1)), Record(*parts(2))] and transcript[-1].time == 3.0


def test_it_is_a_list_of_its_records():
    transcript = Transcript()
    assert not transcript
    transcript.add(parts(1))
    assert transcript == [Record(*parts(1))] == Transcript([Record(*parts(1))])
    assert transcript != [] and Record(*parts(1)) in transcript
    assert repr(transcript) == f"Transcript([{transcript[0]!r}])"
    transcript.insert(0, Record(*parts(0)))
    transcript[1] = Record(*parts(2))
    assert [record.time for record in reversed(transcript)] == [2.0, 0.0]
    del transcript[:1]
    assert [record.time for record in pickle.loads(pickle.dumps(transcript))] == [2.0]
    with pytest.raises(TypeError, match="unhashable"):
        hash(transcript)


def test_what_there_is_is_known_without_making_records():
    transcript = sample()
    kinds = {Connect, dict, Accepted, Sent, Dropped, "crashed", "kept"}
    assert transcript.kinds() == kinds
    transcript.add(parts(9))
    transcript.add((9.0, "alice", Direction.FACT, Fact("late")))
    assert transcript.kinds() == kinds | {Message, "late"}


def test_several_threads_may_look_while_a_run_adds(monkeypatch):
    reading = threading.Event()

    def slowly(parts):
        reading.set()
        time.sleep(0.001)
        return Record(*parts)

    monkeypatch.setattr("wsharness.transcript._new_record", slowly)
    transcript = Transcript()
    for number in range(50):
        transcript.add(parts(number))
    watching = [threading.Thread(target=transcript.__len__) for _ in range(2)]
    for thread in watching:
        thread.start()
    assert reading.wait(5)
    transcript.add(parts(50))
    assert [record.time for record in transcript] == [float(number) for number in range(51)]
    for thread in watching:
        thread.join()

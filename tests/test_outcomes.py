"""What came of a conversation: what its clients saw while they stayed, or that the app raised."""

from wsharness.events import Accepted, Closed, Lost, Message, Rejected
from wsharness.outcomes import ever_accepted, outcome, shown_outcome
from wsharness.transcript import Direction, Fact, Leave, Record, Transcript


def record(event, client="alice", time=0.0, direction=Direction.SERVER):
    return Record(time, client, direction, event)


def test_what_clients_saw_before_they_left():
    leaves = record(Leave(), "alice", 2.0, Direction.CLIENT)
    events = [record(Accepted()), record(Message("hi"), time=1.0), leaves, record(Closed(1000), time=2.0)]
    others = [record(Rejected(403), "bob"), record(Closed(4000), "carol"), record(Lost(), "dave")]
    assert outcome(Transcript(events + others)) == (
        "alice is accepted",
        "alice receives 'hi'",
        "bob sees HTTP 403",
        "carol sees close code 4000",
        "dave loses the connection",
    )


def test_a_crash_is_all_that_counts():
    crashed = record(Fact("crashed", data={"exception": "KeyError"}), direction=Direction.FACT)
    assert outcome(Transcript([record(Accepted()), crashed])) == ("alice makes the app raise KeyError",)


def test_a_long_one_is_cut():
    assert shown_outcome("x" * 100, limit=10) == "xxxxxxx..."
    assert shown_outcome("short") == "short"


def test_whether_anybody_was_accepted():
    assert not ever_accepted(Transcript([record(Rejected(403))]))
    assert ever_accepted(Transcript([record(Accepted(), "bob")]))

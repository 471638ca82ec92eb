import pytest

from wsharness.deliveries import Mistake, deliveries, mistakes, number_mark, text_mark
from wsharness.events import Closed, Lost, Message, Rejected
from wsharness.transcript import Direction, Dropped, Fact, Leave, Record, Sent, Transcript

A1, A2, B1 = text_mark("alice", 1), text_mark("alice", 2), text_mark("bob", 1)


def record(client, event):
    if isinstance(event, (Sent, Leave, Dropped)):
        return Record(0.0, client, Direction.CLIENT, event)
    return Record(0.0, client, Direction.FACT if isinstance(event, Fact) else Direction.SERVER, event)


def told(*pairs, leavers=()):
    return deliveries(Transcript(record(client, event) for client, event in pairs), leavers)


SAID = (("alice", Sent(f"hi {A1}")), ("bob", Sent(B1)))


def test_what_others_sent_is_delivered_whatever_stands_around_it():
    received = [
        ("bob", Message(f'{{"n": 1, "id": "x", "text": "{A1.upper()}!"}}')),
        ("alice", Message(f"<{A1}>")),
        ("alice", Message(B1.encode())),
        ("bob", Message("note-carol-1 is nobody's")),
    ]
    assert told(*SAID, *received) == {("bob", "alice"): (A1,), ("alice", "bob"): (B1,)}


def test_a_mark_counts_once_in_each_message():
    assert told(*SAID, ("bob", Message(f"{A1} {A1}")), ("bob", Message(A1))) == {("bob", "alice"): (A1, A1)}


def test_a_number_is_a_mark_too_and_not_a_part_of_one():
    one = number_mark(1, 1)
    assert told(("alice", Sent(f'{{"n": {one}}}')), ("bob", Message(f'{{"n":{one}}}'))) == {("bob", "alice"): (one,)}
    assert told(("alice", Sent(f'{{"n": {one}}}')), ("bob", Message(f'{{"n":1{one}}}'))) == {}


def test_who_leaves_receives_less_and_does_not_count():
    assert told(*SAID, ("bob", Message(A1)), ("bob", Dropped()), ("bob", Lost()), leavers={"bob"}) == {}
    assert told(*SAID, ("bob#2", Message(A1)), leavers={"bob"}) == {}


def test_what_happens_once_everybody_is_sent_home_does_not_count():
    crash = Fact("crashed", data={"exception": "ValueError"})
    home = [("bob", Leave()), ("bob", Closed(1000)), ("alice", Message(B1)), ("alice", crash)]
    assert told(*SAID, ("bob", Message(A1)), *home) == {("bob", "alice"): (A1,)}
    assert told(*SAID, ("bob", Message(A1)), *home, leavers={"bob"}) is None


@pytest.mark.parametrize(
    "event",
    [
        Closed(1008),
        Lost(),
        Rejected(403),
        Fact("crashed", data={"exception": "ValueError"}),
        Fact("handler stuck"),
        Fact("busy loop"),
        Fact("never retrieved"),
        Fact("rule broken"),
    ],
)
def test_a_run_that_broke_off_cannot_tell(event):
    assert told(*SAID, ("bob", Message(A1)), ("bob", event)) is None


def test_a_disconnect_that_nobody_caught_is_no_crash():
    assert told(*SAID, ("bob", Fact("crashed", data={"harmless": True}))) == {}


PAIR = ("carol", "alice")


def kinds(found, *orders):
    return [(one.kind, one.mark) for one in mistakes({PAIR: found}, [{PAIR: order} for order in orders])]


def test_what_comes_in_every_order_must_come():
    assert kinds((A1,), (A1, A2), (A1, A2)) == [("lost", A2)]
    assert list(mistakes({}, [{PAIR: (A1,)}])) == [Mistake("lost", "carol", "alice", A1)]


def test_what_comes_in_some_orders_only_says_nothing():
    assert kinds((), (A1,), ()) == []
    assert kinds((A1,), ()) == []
    assert kinds((A1, A1), (A1,), (A1, A1)) == []


def test_what_comes_once_in_every_order_must_not_come_twice():
    assert kinds((A1, A1), (A1,)) == [("doubled", A1)]
    assert kinds((A1, A1, A1), (A1, A1)) == []


def test_one_senders_messages_keep_their_order():
    assert kinds((A2, A1), (A1, A2)) == [("reordered", A1)]
    assert kinds((A2, A1), (A1, A2), (A2, A1)) == []
    others = {("carol", "alice"): (A1,), ("carol", "bob"): (B1,)}
    assert list(mistakes(dict(reversed(others.items())), [others])) == []


def test_a_mistake_names_message_clients_and_schedules():
    lost = Mistake("lost", "carol", "alice", A1)
    assert lost.told("fifo", "the schedule {0: 1}") == (
        "lost: 'note-alice-1', which alice sent, never comes to carol under fifo; it does under the schedule {0: 1}"
    )
    assert "comes more than once to carol under random" in Mistake("doubled", "carol", "alice", A1).told("random", "")
    late = Mistake("reordered", "carol", "alice", A1, A2).told("random", "fifo")
    assert "comes after 'note-alice-2' to carol under random; it comes before it under fifo" in late

import signal

import pytest

from wsharness import gone
from wsharness.transcript import Connect, Direction, Record, Transcript
from wsharness.workers import Died, Hung


def test_what_hung_is_a_busy_loop():
    failure = gone.failure(Hung(0.5), "talk")
    assert (failure.code, failure.case) == ("WSH103", "talk")
    assert failure.message == "the run did not end within 0.5 s of real time and was stopped from outside"


@pytest.mark.parametrize("status, how", [(7, "exit code 7"), (-signal.SIGSEGV, "SIGSEGV"), (-200, "signal 200")])
def test_what_died_ended_the_server_where_it_was_last_seen(status, how):
    sites = ((gone.__file__, 5, "failure"), (__file__, 12, "make.<locals>.end"))
    failure = gone.failure(Died(status, sites))
    assert (failure.code, failure.kind) == ("WSH113", how)
    assert failure.message == f"the process that ran the app ended with {how}"
    assert [(frame.line, frame.function) for frame in failure.stack] == [(12, "make.end")]


def test_what_died_shows_what_had_happened_until_then():
    told = Transcript([Record(0.5, "alice", Direction.CLIENT, Connect("/ws"))])
    failure = gone.failure(Died(7, (), told), "talk")
    assert (failure.client, failure.route, failure.index) == ("alice", "/ws", 1)
    assert failure.transcript[:-1] == told and failure.transcript[-1].time == 0.5
    assert failure.transcript[-1].event.kind == "process ended"


def test_of_what_died_without_a_word_only_the_death_is_known():
    assert gone.failure(Died(0)).frame is None

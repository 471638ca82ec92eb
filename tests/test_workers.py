import gc
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsharness import workers
from wsharness.errors import ScenarioError, UsageError
from wsharness.workers import Hung, Reserve, WorkerError, run_all

STATE = []


def grow(item):
    STATE.append(item)
    return list(STATE)


def test_values_come_in_the_jobs_order_whoever_is_first():
    def job(index):
        time.sleep(0.05 * (index == 0))
        return index * 10

    assert list(run_all(job, [(n,) for n in range(6)], parallel=4)) == [(n, n * 10) for n in range(6)]


def test_no_run_sees_what_another_left_behind():
    assert [value for _, value in run_all(grow, [("a",), ("b",)])] == [["a"], ["b"]]
    assert STATE == []


def test_a_run_that_hangs_is_ended_and_the_others_are_not():
    def job(index):
        while index == 1:
            pass
        return index

    found = [value for _, value in run_all(job, [(0,), (1,), (2,)], limit=1.5)]
    assert (found[0], found[2]) == (0, 2)
    assert found[1] == Hung(1.5)


def test_a_run_for_which_the_machine_has_no_time_does_not_hang(monkeypatch):
    kept = iter([0.4, 0.8, 1.2] + [1.6] * 100)
    monkeypatch.setattr(workers, "_kept_from_running", lambda pid: next(kept))

    def job():
        time.sleep(1.0)

    assert list(workers.run_all(job, [()], limit=0.5)) == [(0, None)]


def test_how_long_a_process_was_kept_from_running_is_known_where_it_can_be():
    assert workers._kept_from_running(os.getpid()) >= 0
    assert workers._kept_from_running(0) == 0


def test_what_fails_in_a_used_process_begins_anew():
    def start(number):
        STATE.append(number)
        if len(STATE) > 1:
            raise ScenarioError(["started twice"])
        return number

    assert [value for _, value in run_all(start, [(0,), (1,), (2,)], batch=3)] == [0, 1, 2]


def test_a_big_value_comes_whole():
    def job():
        return "x" * 3_000_000

    [(_, value)] = run_all(job, [()])
    assert len(value) == 3_000_000


def test_our_own_errors_come_back_as_they_are():
    def job():
        raise ScenarioError(["a:1:1: x"])

    with pytest.raises(ScenarioError) as raised:
        list(run_all(job, [()]))
    assert raised.value.problems == ["a:1:1: x"]
    assert isinstance(raised.value, UsageError)


def test_any_other_exception_is_an_error_of_the_harness_with_its_traceback():
    def job():
        raise ZeroDivisionError("one over none")

    with pytest.raises(WorkerError, match="ZeroDivisionError: one over none"):
        list(run_all(job, [()]))


def test_a_run_that_ends_its_process_yields_how_and_where():
    [(_, died)] = run_all(end, [()])
    assert died.status == -signal.SIGKILL
    assert died.sites[-1] == (__file__, end.__code__.co_firstlineno + 1, "end")


def test_what_ends_a_process_ends_no_other_run():
    def job(item):
        if item == "b":
            os._exit(3)
        return grow(item)

    a, died, *others = [value for _, value in run_all(job, [(item,) for item in "abcd"], batch=4)]
    assert (a, others) == (["a"], [["c"], ["c", "d"]])
    assert died.status == 3


def test_a_process_that_dies_once_is_asked_again(tmp_path):
    def job():
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(1)
        return "alive"

    assert list(run_all(job, [()])) == [(0, "alive")]


def test_what_a_run_prints_is_not_seen(capfd):
    def job():
        os.write(1, b"from the app")
        os.write(2, b"from below")

    list(run_all(job, [()]))
    assert capfd.readouterr() == ("", "")


def test_no_process_is_left_when_the_caller_stops_early(monkeypatch):
    started = []
    fork = os.fork
    monkeypatch.setattr(os, "fork", lambda: started.append(fork()) or started[-1])

    def job(index):
        time.sleep(60 * (index > 0))
        return os.getpid()

    runs = run_all(job, [(n,) for n in range(3)], parallel=3)
    next(runs)
    runs.close()
    assert len(started) == 3
    for pid in started:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_no_jobs_are_no_runs():
    assert list(run_all(grow, [])) == []


def test_without_fork_it_says_so(monkeypatch):
    monkeypatch.delattr(os, "fork")
    with pytest.raises(UsageError, match="os.fork"):
        list(run_all(grow, [("a",)]))


def test_jobs_of_one_batch_share_a_process_and_batches_do_not():
    values = [value for _, value in run_all(grow, [(item,) for item in "abcde"], batch=2, parallel=3)]
    assert values == [["a"], ["a", "b"], ["c"], ["c", "d"], ["e"]]


@pytest.mark.parametrize("parallel", [1, 3])
def test_after_a_value_that_spoils_it_the_rest_of_a_batch_begins_anew(parallel):
    values = [
        value
        for _, value in run_all(
            grow, [(item,) for item in "abcdef"], batch=4, parallel=parallel, spoils=lambda value: value[-1] == "b"
        )
    ]
    assert values == [["a"], ["a", "b"], ["c"], ["c", "d"], ["e"], ["e", "f"]]


def test_after_a_hang_the_rest_of_a_batch_goes_on():
    def job(item):
        while item == "b":
            pass
        return grow(item)

    values = [value for _, value in run_all(job, [(item,) for item in "abc"], batch=3, limit=1.5)]
    assert values == [["a"], Hung(1.5), ["c"]]


def test_a_process_that_dies_in_mid_batch_is_tried_alone_before_it_is_an_error():
    def job(item):
        if STATE:
            os.kill(os.getpid(), signal.SIGKILL)
        return grow(item)

    assert [value for _, value in run_all(job, [("a",), ("b",)], batch=2)] == [["a"], ["b"]]


# Reserves


def test_a_reserve_stays_as_it_was_made():
    reserve = Reserve()
    STATE.append("later")
    try:
        assert reserve.call(grow, "a") == ["a"]
        assert reserve.call(grow, "b") == ["b"]
    finally:
        STATE.clear()
        reserve.close()


def sleep_for_ever():
    while True:
        time.sleep(1)


def refuse():
    raise UsageError("no")


def end():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_reserve_says_what_became_of_a_run():
    reserve = Reserve()
    try:
        assert reserve.call(sleep_for_ever, limit=0.2) == Hung(0.2)
        with pytest.raises(UsageError, match="no"):
            reserve.call(refuse)
        assert reserve.call(end).status == -signal.SIGKILL
        assert len(reserve.call(str.__mul__, "x", 1_000_000)) == 1_000_000
    finally:
        reserve.close()


def test_a_reserve_that_died_is_said_to_have():
    reserve = Reserve()
    os.kill(reserve._pid, signal.SIGKILL)
    os.waitid(os.P_PID, reserve._pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(WorkerError, match="was ended from outside"):
        reserve.call(grow, "a")
    reserve.close()


def test_a_reserve_in_a_thread():
    with ThreadPoolExecutor() as pool:
        reserve = pool.submit(Reserve).result()
    assert reserve.call(os.getpid) != os.getpid()
    reserve.close()


PRINTS = """
from wsharness.workers import run_all

print("before", end="")
assert [value for _, value in run_all(abs, [(-1,), (-2,), (-3,)], parallel=2)] == [1, 2, 3]
print(" after")
"""


def test_what_is_still_to_be_printed_is_printed_once():
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTHONUNBUFFERED"))}
    done = subprocess.run(
        [sys.executable, "-c", PRINTS], env=plain, capture_output=True, encoding="utf-8", timeout=600, check=True
    )
    assert done.stdout == "before after\n"


def test_what_runs_share_is_frozen_until_the_outermost_ends(monkeypatch):
    monkeypatch.setattr(workers, "_freezers", 0)
    gc.unfreeze()
    with workers.frozen():
        before = gc.get_freeze_count()
        new = [[] for _ in range(10_000)]
        [(_, count)] = run_all(gc.get_freeze_count, [()])
        assert count > before + len(new) / 2
        assert gc.get_freeze_count() > 0
    assert gc.get_freeze_count() == 0

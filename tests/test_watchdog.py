import os
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from wsharness import watchdog as watchdog_module
from wsharness.watchdog import BLOCKED, IDLE_POLLS, Watchdog, cpu_clock


class Stopped(BaseException):
    pass


class Work:
    def __init__(self):
        self.turns = 0
        self.at_own_work = False
        self.frames = []

    def interrupt(self, frame, *, blocked=False):
        self.frames.append(frame.f_code.co_name)
        self.blocked = blocked
        return Stopped


def compute(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def test_code_without_a_turn_is_stopped_where_it_is():
    work = Work()
    with pytest.raises(Stopped), Watchdog().watching(work, 0.1):
        compute(20)
    assert work.frames[0] == "compute"


def test_it_is_stopped_again_if_it_goes_on():
    work = Work()
    with pytest.raises(Stopped), Watchdog().watching(work, 0.1):
        try:
            compute(20)
        except Stopped:
            compute(20)
    assert len(work.frames) == 2


def test_turns_put_it_off():
    work = Work()
    with Watchdog().watching(work, 0.5):
        for _ in range(20):
            compute(0.05)
            work.turns += 1
    assert work.frames == []


def test_waiting_is_no_computing():
    work = Work()
    with Watchdog().watching(work, 0.5):
        time.sleep(0.8)
    assert work.frames == []


class Clocks:
    """A watch that is shown a thread's clock and the real one, and what it raised in the thread."""

    def __init__(self, monkeypatch):
        self.real = self.thread = 0.0
        self.frame = sys._getframe()
        self.blocked = []
        monkeypatch.setattr(watchdog_module, "time", SimpleNamespace(monotonic=lambda: self.real))
        monkeypatch.setattr(watchdog_module, "cpu_clock", lambda ident: lambda: self.thread)
        monkeypatch.setattr(watchdog_module.Watch, "_frame", lambda watch: self.frame)
        self.watch = watchdog_module.Watch(Watchdog(), Work(), 1.0)
        self.watch._interrupt = lambda now, *, blocked: self.blocked.append(blocked)
        self.look(0)

    def look(self, real, thread=0.0):
        self.real += real
        self.thread += thread
        self.watch.look()


@pytest.fixture
def clocks(monkeypatch):
    return Clocks(monkeypatch)


def test_who_gets_little_of_a_busy_machine_computes(clocks):
    for _ in range(60):
        clocks.look(0.2, 0.02)
    assert clocks.blocked[0] is False


def test_a_machine_that_stood_still_is_no_wait(clocks):
    for _ in range(BLOCKED - 1):
        clocks.look(3600)
    assert clocks.blocked == []
    clocks.look(3600)
    assert clocks.blocked == [True]


def test_a_debugger_may_wait_for_its_user_and_that_does_not_count_afterwards(clocks):
    names = {"sys": sys}
    exec(compile("def prompt(): return sys._getframe()", "/usr/lib/python3/pdb.py", "exec"), names)
    clocks.frame, frame = names["prompt"](), clocks.frame
    for _ in range(100):
        clocks.look(0.5)
    clocks.frame = frame
    for _ in range(9):
        clocks.look(0.5)
    assert clocks.blocked == []


def wait_for_sleep():
    time.sleep(60)


def wait_for_lock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def wait_for_pipe():
    os.read(os.pipe()[0], 1)


@pytest.mark.parametrize("wait", [wait_for_sleep, wait_for_lock, wait_for_pipe])
def test_a_step_that_waits_for_something_outside_is_stopped_where_it_waits(wait):
    work = Work()
    before = signal.getsignal(signal.SIGURG)
    with pytest.raises(Stopped), Watchdog().watching(work, 0.1):
        wait()
    assert work.blocked
    assert set(work.frames) == {wait.__name__}
    assert signal.getsignal(signal.SIGURG) is before


def test_the_harness_own_work_does_not_count():
    watchdog = Watchdog()
    work = Work()
    with watchdog.watching(work, 0.1):
        with watchdog_module.own_work(work):
            compute(0.5)
    assert work.frames == []


def test_each_thread_is_watched_by_its_own_clock(monkeypatch):
    monkeypatch.setattr(watchdog_module, "BLOCKED", 1000)  # this one waits, however long the other takes
    stopped = []

    def busy():
        try:
            with watchdog.watching(Work(), 0.3):
                compute(20)
        except Stopped:
            stopped.append(True)

    watchdog = Watchdog()
    work = Work()
    thread = threading.Thread(target=busy)
    with watchdog.watching(work, 0.1):
        thread.start()
        thread.join(300)
    assert stopped == [True]
    assert work.frames == []


def test_an_exception_not_raised_yet_is_taken_back(monkeypatch):
    raised = []
    really = watchdog_module.raise_in

    def late(ident, error, **how):
        raised.append(error)
        return error is Stopped or really(ident, error, **how)

    monkeypatch.setattr(watchdog_module, "raise_in", late)
    watchdog = Watchdog()
    with watchdog.watching(Work(), 0.2):
        compute(1)
    assert raised[0] is Stopped
    assert raised[-1] is watchdog_module._TakenBack


def test_one_thread_serves_all_runs_and_sleeps_between():
    watchdog = Watchdog()
    for _ in range(50):
        with watchdog.watching(Work(), 5):
            pass
    assert sum(thread is watchdog._thread for thread in threading.enumerate()) == 1
    assert IDLE_POLLS < 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_its_own(tmp_path):
    import subprocess

    script = """
import os, warnings
warnings.simplefilter("ignore")
from wsharness.watchdog import watchdog
class Stopped(BaseException): pass
class Work:
    turns = 0
    at_own_work = False
    def interrupt(self, frame, blocked): return Stopped
with watchdog.watching(Work(), 5): pass
pid = os.fork()
if pid == 0:
    try:
        with watchdog.watching(Work(), 0.1):
            for _ in range(10**9): pass
    except Stopped:
        os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, encoding="utf-8", timeout=600)
    assert done.stdout.strip() == "7"


def test_without_thread_clocks_the_process_clock_serves(monkeypatch):
    monkeypatch.delattr(time, "pthread_getcpuclockid", raising=False)
    assert cpu_clock(threading.get_ident()) is time.process_time


TRACED = """
import sys, threading
from wsharness.watchdog import raise_in

class Late(BaseException):
    pass

def tracer(*_):
    return tracer

def call():
    pass

lock = threading.Lock()
lock.acquire()
thread = threading.Thread(target=lock.acquire, daemon=True)
thread.start()
sys.settrace(tracer)
raise_in(thread.ident, Late, waits=True)
for _ in range(1000):
    call()
sys.settrace(None)
print("went on")
"""


def test_an_error_for_a_thread_that_waits_holds_up_nobody_who_is_traced():
    done = subprocess.run([sys.executable, "-c", TRACED], check=True, timeout=60, capture_output=True, encoding="utf-8")
    assert done.stdout == "went on\n"

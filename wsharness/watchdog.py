"""Stops code that computes or waits without end: from outside, since it never gives the event loop a turn."""

import contextlib
import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

from wsharness.errors import BusyLoop

BLOCKED = 6  # times its limit of computing a step may wait in one call for something outside, in real time
IDLE = 0.02  # of the time: who computes less than that is waiting, however busy the machine is
WAKE = getattr(signal, "SIGURG", None)  # ends a wait; ignored where nobody asks for it
set_handler: Any = getattr(sys.modules.get("_signal"), "signal", signal.signal)
"""`signal.signal` without the enums it makes of what it is given, which cost more than the rest of it."""
DEBUGGERS = ("bdb.py", "pdb.py", "pydevd.py", "debugpy")
IDLE_POLLS = 20  # after so many polls without a run the thread sleeps until the next one


class Watched(Protocol):
    """What the watchdog watches."""

    @property
    def turns(self) -> int:
        """Moves while all is well."""

    at_own_work: bool
    """The harness computes, not the app: no time of it counts."""

    def interrupt(self, frame: FrameType | None, *, blocked: bool = False) -> type[BaseException] | None:
        """Note where the thread computes, or waits; what to raise there, if anything."""


class Counting(Watched, Protocol):
    """What counts its turns by itself."""

    turns: int


@contextlib.contextmanager
def own_work(watched: Counting) -> Iterator[None]:
    """The harness looks at memory, which may take seconds: no step of the app's."""
    watched.at_own_work = True
    try:
        yield
    finally:
        watched.at_own_work = False
        watched.turns += 1


class Watch:
    """One thread's run, watched while it is entered, once or within itself."""

    def __init__(self, watchdog: "Watchdog", watched: Watched, limit: float) -> None:
        self.watched: Watched = watched
        self.limit: float = limit
        self.ident: int = threading.get_ident()
        self.clock: Callable[[], float] = cpu_clock(self.ident)
        self.turns: int = -1
        self.since: float = 0.0
        """The thread's clock at the beginning of the turn, or after the last error raised in it."""
        self.looked: float = 0.0
        self.waited: float = 0.0
        """Real time in which it may have been waiting, and its clock at the beginning of that."""
        self.waits_since: float = 0.0
        self.fired: bool = False
        self.error: type[BaseException] | None = None
        """What is to be raised where the thread waits."""
        self._watchdog = watchdog
        self._depth = 0

    def __enter__(self) -> None:
        self._depth += 1
        if self._depth == 1:
            self._watchdog.add(self)

    def __exit__(self, *_: object) -> None:
        self._depth -= 1
        if self._depth == 0:
            self._watchdog.remove(self)

    def look(self) -> None:
        """Raise in the thread if it used up its limit within one turn."""
        now, real = self.clock(), time.monotonic()
        passed, self.looked = min(real - self.looked, self.limit), real  # nobody ran, perhaps, since the last look
        if self.watched.turns != self.turns or self.watched.at_own_work:
            self.turns = self.watched.turns
            self._begin(now)
        elif now - self.since >= self.limit:
            self._interrupt(now, blocked=False)
        else:
            self._look_whether_it_waits(now, passed)

    def _look_whether_it_waits(self, now: float, passed: float) -> None:
        self.waited += passed
        if self.waited < self.limit:
            return
        idle = now - self.waits_since < IDLE * self.waited
        if idle and is_debugged(self._frame()):
            self._begin_to_wait(now)
        elif self.waited >= BLOCKED * self.limit:
            if idle:
                self._interrupt(now, blocked=True)
            self._begin_to_wait(now)

    def _begin(self, now: float) -> None:
        self.since = now
        self._begin_to_wait(now)

    def _begin_to_wait(self, now: float) -> None:
        self.waited, self.waits_since = 0.0, now

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self.ident)  # noqa: SLF001 (no public name)

    def _interrupt(self, now: float, *, blocked: bool) -> None:
        self._begin(now)
        error = self.watched.interrupt(self._frame(), blocked=blocked)
        if error is None:
            return
        if blocked and WAKE is not None and self.ident == threading.main_thread().ident:
            self.error = error
            signal.pthread_kill(self.ident, WAKE)
        else:
            self.fired = raise_in(self.ident, error, waits=blocked) or self.fired

    def woken(self) -> None:
        """The signal arrived, in the thread that waited."""
        error, self.error = self.error, None
        if error is not None and self.watched.turns == self.turns:
            raise error


def is_debugged(frame: FrameType | None) -> bool:
    """Whether there is a debugger, which waits for its user."""
    while frame is not None:
        if any(name in frame.f_code.co_filename for name in DEBUGGERS):
            return True
        frame = frame.f_back
    return False


class Watchdog:
    """One thread for the process, started by the first run."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: in a forked process there is no thread, and nobody to release its lock."""
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._watches: list[Watch] = []
        self._wakers: list[Watch] = []
        self._handler_before: Any = None
        self._asleep = True
        self._thread: threading.Thread | None = None

    def watching(self, watched: Watched, limit: float) -> Watch:
        """Watch the calling thread: `limit` seconds of its CPU time without a turn are too many.

        So is `BLOCKED` times as long in real time if it hardly computes: it waits for something outside.
        """
        return Watch(self, watched, limit)

    def add(self, watch: Watch) -> None:
        """Begin to look at a thread."""
        with self._lock:
            self._watches.append(watch)
        if self._asleep:
            self._start()
        if WAKE is not None and watch.ident == threading.main_thread().ident:  # no other can be woken
            if not self._wakers:
                self._handler_before = set_handler(WAKE, self._woken)
            self._wakers.append(watch)

    def remove(self, watch: Watch) -> None:
        """Look at it no more; what was to be raised there and was not yet is not any more."""
        if watch in self._wakers:
            self._wakers.remove(watch)
            if WAKE is not None and not self._wakers:
                set_handler(WAKE, self._handler_before)
        with self._lock:
            self._watches.remove(watch)
            if watch.fired:
                _take_back()

    def _woken(self, *_: Any) -> None:
        for watch in [*self._wakers]:
            watch.woken()

    def _start(self) -> None:
        self._asleep = False
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="wsharness watchdog", daemon=True)
            self._thread.start()
        self._wake.set()

    def _run(self) -> None:
        idle = 0
        while True:
            with self._lock:
                for watch in self._watches:
                    watch.look()
                pause = min((watch.limit / 5 for watch in self._watches), default=1.0)
                idle = 0 if self._watches else idle + 1
                self._asleep = idle > IDLE_POLLS
                self._wake.clear()
            self._wake.wait(None if self._asleep else min(pause, 1.0))


def interruption(message: str, brief: str) -> type[BusyLoop]:
    """What to raise in another thread, which takes a class only: a BusyLoop that says this."""
    name = BusyLoop.__name__
    return type(name, (BusyLoop,), {"__module__": BusyLoop.__module__, "text": message, "brief": brief})


def cpu_clock(ident: int) -> Callable[[], float]:
    """The CPU time of a thread, in seconds; of the whole process where threads have no clock of their own."""
    if not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    clock = time.pthread_getcpuclockid(ident)
    return lambda: time.clock_gettime(clock)


def raise_in(ident: int, error: type[BaseException], *, waits: bool = False) -> bool:
    """Raise at the thread's next bytecode, in place of what was to be raised there and was not yet; whether it may be.

    Not in a thread that waits on CPython 3.11: until it goes on, which may be never, the next call of any other
    thread that is traced, as for coverage, would turn for ever.
    """
    if waits and sys.version_info < (3, 12):
        return False
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(ident), ctypes.py_object(error))
    return True


class _TakenBack(BaseException):
    """Raised in place of an error that came too late."""


def _take_back() -> None:
    """Raise nothing any more in this thread.

    Not by NULL, as the C API offers: CPython 3.11 then turns for ever in the next call that is traced.
    """
    with contextlib.suppress(_TakenBack):
        raise_in(threading.get_ident(), _TakenBack)
        while True:
            pass


watchdog: Watchdog = Watchdog()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=watchdog.reset)

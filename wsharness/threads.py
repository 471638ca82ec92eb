"""Thread jobs in a simulation: they run one at a time, in the order handed over, while the loop stands still.

A job is handed over, entered by its thread, allowed to run, finished and settled: settled when the thread's
`call_soon_threadsafe` has arrived. Until then the loop neither turns nor lets time pass, so a job takes no
virtual time. A job that calls back into the loop is parked: then the loop turns beside it, in real time.
"""

import asyncio
import dis
import functools
import queue
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection
from contextvars import Context
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeVar

from anyio._backends import _asyncio as anyio_backend

T = TypeVar("T")

OWN_THREADS = ("wsharness",)
CALM = 0.005  # real seconds in which a thread of the app's own takes up what it was given
SILENCE = 0.002  # real seconds without a call from a parked job before time may pass


class Job:
    """A function a thread runs for the loop."""

    __slots__ = ("_jobs", "allowed", "entered", "function", "parked", "settled")

    def __init__(self, jobs: "Jobs", function: Callable[..., Any]) -> None:
        self._jobs = jobs
        self.function: Callable[..., Any] = function
        self.entered: bool = False
        self.allowed: bool = False
        self.parked: bool = False
        self.settled: bool = False

    def __call__(self, *args: Any) -> Any:
        """Wait for the loop to stand still, then run the function, in its thread."""
        self._jobs.enter(self)
        try:
            return self.function(*args)
        finally:
            self._jobs.leave(self)

    @property
    def name(self) -> str:
        """The function's name."""
        function: Any = self.function
        while isinstance(function, functools.partial):
            in_context = isinstance(getattr(function.func, "__self__", None), Context)  # asyncio.to_thread
            function = function.args[0] if in_context else function.func
        module = getattr(function, "__module__", None)
        name = getattr(function, "__qualname__", type(function).__name__).replace(".<locals>", "")
        return f"{module}.{name}" if module else name


class Jobs:
    """The thread jobs of one loop, and the calls their threads made."""

    def __init__(self, limit: float) -> None:
        self.arrived: deque[asyncio.Handle] = deque()
        self.limit = limit
        self._changed = threading.Condition()
        self._waiting: list[Job] = []
        self._parked: list[Job] = []
        self._inside: dict[int, Job] = {}
        self._finished: dict[int, Job] = {}
        self._skipped = 0
        self._released = False

    @property
    def busy(self) -> bool:
        """Whether `catch_up` has something to do."""
        return bool(self.arrived or (not self._released and (self._waiting or self._parked)))

    # In the loop's thread

    def hand_over(self, job: Job) -> None:
        """Note a job that is being given to a thread."""
        with self._changed:
            self._waiting.append(job)

    def catch_up(self) -> Job | None:
        """Let the jobs run until each is settled or parked; the one that takes too long, if any."""
        with self._changed:
            while self._waiting and not self._released:
                job = self._waiting[0]
                self._wait(lambda job=job: job.entered or job.settled or self._all_skipped())  # type: ignore[misc]
                if job.entered:
                    job.allowed = True
                    self._changed.notify_all()
                    self._wait(lambda job=job: job.settled or job.parked)  # type: ignore[misc]
                elif self._all_skipped():
                    self._drop_skipped()
                    continue
                if not (job.settled or job.parked):
                    return None if self._parked and not job.entered else job
                self._waiting.remove(job)
        return None

    def wait_for_call(self, *, patiently: bool) -> bool:
        """Whether a parked job called or ended, or another waits to be let in, within a moment or the limit."""
        with self._changed:
            parked = len(self._parked)
            limit = self.limit if patiently else SILENCE
            return self._changed.wait_for(
                lambda: bool(self.arrived) or len(self._parked) < parked or any(job.entered for job in self._waiting),
                limit,
            )

    def hear(self, threads: Collection[threading.Thread]) -> Collection[threading.Thread]:
        """Wait for a call of threads that are no jobs, a moment and while one is at work; those that went on and on."""
        with self._changed:
            called = self._changed.wait_for(lambda: bool(self.arrived), CALM)
            for _ in range(round(self.limit / SILENCE)):
                if called or not any(map(is_at_work, threads)):
                    return ()
                called = self._changed.wait_for(lambda: bool(self.arrived), SILENCE)
            return () if called else [thread for thread in threads if is_at_work(thread)]

    @property
    def parked(self) -> Job | None:
        """A job that called back into the loop and has not ended; who let them go waits for none."""
        return self._parked[0] if self._parked and not self._released else None

    def release(self) -> None:
        """Let every thread go: the run is over."""
        with self._changed:
            self._released = True
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool]) -> None:
        self._changed.wait_for(ready, SILENCE if self._parked and not self._waiting[0].entered else self.limit)

    def _all_skipped(self) -> bool:
        return 0 < self._skipped == sum(not job.entered for job in self._waiting)

    def _drop_skipped(self) -> None:
        self._waiting = [job for job in self._waiting if job.entered]
        self._skipped = 0

    # In the job's thread

    def enter(self, job: Job) -> None:
        """Wait until the loop stands still."""
        with self._changed:
            job.entered = True
            self._inside[threading.get_ident()] = job
            self._changed.notify_all()
            self._changed.wait_for(lambda: job.allowed or self._released)

    def leave(self, job: Job) -> None:
        """The function has returned or raised; its result is still to come."""
        with self._changed:
            del self._inside[threading.get_ident()]
            self._finished[threading.get_ident()] = job

    def settle(self, job: Job) -> None:
        """The loop has the result, or nobody wants it any more."""
        with self._changed:
            self._settle(job)

    def _settle(self, job: Job) -> None:
        job.settled = True
        for ident in [ident for ident, other in self._finished.items() if other is job]:
            del self._finished[ident]
        if job in self._parked:
            self._parked.remove(job)
        self._changed.notify_all()

    def arrive(self, handle: asyncio.Handle) -> None:
        """A thread called `call_soon_threadsafe`."""
        ident = threading.get_ident()
        with self._changed:
            self.arrived.append(handle)
            inside = self._inside.get(ident)
            if inside is not None:
                self._park(inside)
            elif ident in self._finished:
                self._settle(self._finished[ident])
            elif isinstance(threading.current_thread(), anyio_backend.WorkerThread):
                self._skipped += 1  # its job was cancelled before the thread took it up
            self._changed.notify_all()

    def _park(self, job: Job) -> None:
        if not job.parked:
            job.parked = True
            self._parked.append(job)


class _NotingLimiter:
    """A limiter that hands the job over once it is acquired: from there to the thread anyio makes no turn."""

    def __init__(self, jobs: Jobs, limiter: Any, job: Job) -> None:
        self._jobs = jobs
        self.limiter = limiter
        self._job = job

    async def __aenter__(self) -> None:
        await self.limiter.__aenter__()
        self._jobs.hand_over(self._job)

    async def __aexit__(self, *error: Any) -> Any:
        return await self.limiter.__aexit__(*error)


def follow_anyio() -> None:
    """Make anyio's worker threads known to the Jobs of a simulated loop; other loops see no difference."""
    backend = anyio_backend.AsyncIOBackend
    original = backend.run_sync_in_worker_thread.__func__  # type: ignore[attr-defined]
    if isinstance(original, _Followed):
        return
    backend.run_sync_in_worker_thread = classmethod(_Followed(original))  # type: ignore[assignment]


def dismiss_workers(loop: asyncio.AbstractEventLoop) -> None:
    """Let anyio's threads of a loop end after their job: one that waits on holds up the interpreter's end."""
    for thread in threading.enumerate():
        if isinstance(thread, anyio_backend.WorkerThread) and thread.loop is loop and not thread.stopping:
            thread.stop()


def may_call_back(thread: threading.Thread) -> bool:
    """Whether it may be one of the app's own that calls its loop: no job's, not ours, not this one."""
    return not (
        thread.name.startswith(OWN_THREADS)
        or isinstance(thread, anyio_backend.WorkerThread)
        or thread is threading.current_thread()
    )


WAITS = ("accept", "acquire", "get", "join", "poll", "read", "readline", "recv", "select", "sleep", "wait")
"""What a thread calls that has nothing to do."""
WAITING = ("queue", "selectors", "threading", "_queue")
"""The modules whose functions make a thread wait."""


def is_at_work(thread: threading.Thread) -> bool:
    """Whether a thread does something, as far as its innermost call shows; what C does for it is work."""
    if _is_run(thread.native_id):
        return True
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001 (no public name)
    innermost = frame
    while frame is not None and frame.f_globals.get("__name__") in WAITING:
        if _has_mail(frame):
            return True
        frame = frame.f_back
    if frame is None:
        return False
    if frame is not innermost:
        return frame.f_code is Jobs.arrive.__code__  # it calls, and waits for us to look away
    return _called_at(frame.f_code, frame.f_lasti) not in WAITS or _has_mail(frame)


def _has_mail(frame: FrameType) -> bool:
    """Whether there is something in a queue that a function has at hand: its thread has not woken up yet."""
    values = frame.f_locals
    queues = [one for one in values.values() if issubclass(type(one), (queue.SimpleQueue, queue.Queue))]
    if type(values) is dict:
        values.clear()  # before Python 3.13 the frame keeps this copy, and all that is in it
    return any(not one.empty() for one in queues)


def _is_run(number: int | None) -> bool:
    """Whether the system runs a thread, would if it had a processor for it, or reads a file for it; Linux says so."""
    try:
        status = Path(f"/proc/self/task/{number}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(") ")[2][:1] in ("R", "D")


@functools.lru_cache(256)
def _called_at(code: CodeType, offset: int) -> str:
    """The method that was last named before an instruction."""
    names = (one for one in dis.get_instructions(code) if one.opname in ("LOAD_METHOD", "LOAD_ATTR"))
    return next((str(one.argval) for one in reversed(list(names)) if one.offset <= offset), "")


class _Followed:
    """anyio's `run_sync_in_worker_thread` with the job noted."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self._original = original

    def __call__(
        self,
        backend: Any,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        abandon_on_cancel: bool = False,
        limiter: Any = None,
    ) -> Any:
        jobs = getattr(asyncio.get_running_loop(), "jobs", None)
        if isinstance(jobs, Jobs):
            job = Job(jobs, func)
            limiter = _NotingLimiter(jobs, limiter or backend.current_default_thread_limiter(), job)
            func = job
        return self._original(backend, func, args, abandon_on_cancel=abandon_on_cancel, limiter=limiter)

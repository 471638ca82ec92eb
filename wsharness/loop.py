"""VirtualTimeLoop: an asyncio loop whose clock jumps from timer to timer; `run` runs one coroutine in it."""

import asyncio
import functools
import heapq
import itertools
import math
import selectors
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import Context
from types import FrameType
from typing import Any, NoReturn, TypeVar

from wsharness import determinism
from wsharness.determinism import NumberedTask, TaskList
from wsharness.interrupts import ENDS_PROCESS
from wsharness.limits import VirtualLimits
from wsharness.refusals import REFUSED, unsupported
from wsharness.scheduling import ReadyQueue, Schedule
from wsharness.selector import VirtualSelector
from wsharness.stopping import (
    BlockedLoop,
    BusyLoop,
    Deadlock,
    Place,
    SimulationStopped,
    ThreadStuck,
    TimeLimitReached,
    running,
    suspended,
    up_to_users_code,
    where,
)
from wsharness.threads import Job, Jobs, may_call_back
from wsharness.watchdog import own_work

T = TypeVar("T")
TURN_LIMIT = 100_000  # turns in which neither time nor anything else moves
STEP_LIMIT = 5.0  # seconds of CPU in one turn
THREAD_LIMIT = 5.0  # real seconds a thread job may take
TIME_LIMIT = 30 * 86400.0  # virtual seconds
SAMPLED_TURNS = 8  # a busy loop of several tasks has different ones ready in different turns
FAREWELL_TURNS = 10_000  # for what is cancelled at the end
GLANCE = 0.05  # real seconds between two looks at threads: one that ends wakes nobody
COARSE = 1e6  # from here on a nanosecond is less than what two neighbouring floats differ by
POOL = "wsharness pool"


class _Timer(asyncio.TimerHandle):
    """A timer; of two that are due at once, the one made first comes first, as on a real clock."""

    __slots__ = ("number",)
    _when: float
    _scheduled: bool
    number: int

    def enter(self, heap: list["_Timer"], number: int) -> None:
        """Wait for its time."""
        self.number = number
        self._scheduled = True
        heapq.heappush(heap, self)

    def __lt__(self, other: Any) -> bool:
        if self._when == other._when:
            return bool(self.number < other.number)
        return bool(self._when < other._when)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own: from 0.0 it jumps to the next timer when nothing is ready."""

    _ready: Any
    _scheduled: list[_Timer]
    _default_executor: Executor | None
    _thread_id: int | None
    _closed: bool
    _debug: bool
    _check_closed: Callable[[], None]
    _write_to_self: Callable[[], None]

    def __init__(
        self,
        schedule: Schedule,
        *,
        move_clock: Callable[[float], None] | None = None,
        turn_limit: int = TURN_LIMIT,
        time_limit: float = TIME_LIMIT,
        thread_limit: float = THREAD_LIMIT,
        progress: Callable[[], int] | None = None,
        idle: Callable[[], None] | None = None,
        real_io: bool = False,
    ) -> None:
        self.turns: int = 0
        """How often it looked for something ready."""
        self.at_own_work: bool = False
        self.schedule = schedule
        self.real_io = real_io
        self.jobs: Jobs = Jobs(thread_limit)
        self.outcome: SimulationStopped | None = None
        """Why it stopped before its time."""
        self._now = 0.0
        self._move_clock = move_clock
        self._turn_limit = turn_limit
        self._turn_mark = turn_limit
        self._time_limit = time_limit
        self._progress = progress or _no_progress
        self._moved = 0
        self._idle_hook = idle
        self._farewell = False
        self._sampled: dict[str, tuple[Place, ...]] = {}
        self._number: Callable[[], int] = itertools.count(1).__next__  # of timers, in the order made
        self._tasks = TaskList()
        self.limits: VirtualLimits = VirtualLimits(self.time, self._number, self._plan)
        self._threads_before = set(threading.enumerate())
        self._threads_known: list[threading.Thread] = []
        self._virtual = VirtualSelector(self.pause, selectors.DefaultSelector() if real_io else None)
        super().__init__(self._virtual)
        if not schedule.ordered:
            self._ready = ReadyQueue(schedule, determinism.task_of)

    # What asyncio asks of a loop

    def time(self) -> float:
        """Seconds since the run began."""
        return self._now

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call `callback` in the next turn; as asyncio's, in half the time."""
        if self._closed or self._debug:
            return super().call_soon(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` when the clock shows `when`."""
        self._check_closed()
        return self._plan(when, self._number(), callback, *args, context=context)

    def _plan(
        self, when: float, number: int, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> _Timer:
        timer = _Timer(when, callback, args, self, context)
        timer.enter(self._scheduled, number)
        return timer

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Make a task that is hashed by its number."""
        if self.get_task_factory() is not None:
            return super().create_task(coro, **options)
        self._check_closed()
        task = NumberedTask(coro, loop=self, **options)
        self._tasks.add(task)
        return task

    def set_task_factory(self, factory: Any) -> None:
        """Have tasks made by `factory`; eager ones stay numbered."""
        if factory is not None and factory is getattr(asyncio, "eager_task_factory", None):
            factory = asyncio.create_eager_task_factory(NumberedTask)  # type: ignore[attr-defined]
        super().set_task_factory(factory)

    def call_soon_threadsafe(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Call `callback` in the loop's thread; from another thread it arrives at the next pause."""
        if threading.get_ident() == self._thread_id:
            return self.call_soon(callback, *args, context=context)
        self._check_closed()
        handle = asyncio.Handle(callback, args, self, context)
        self.jobs.arrive(handle)
        self._write_to_self()
        return handle

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run `func` in a thread while the loop stands still."""
        self._check_closed()
        if executor is None:
            executor = self._own_executor()
        if isinstance(executor, ProcessPoolExecutor):
            if not self.real_io:
                raise unsupported("subprocess_exec")
            return super().run_in_executor(executor, func, *args)
        job = Job(self.jobs, func)
        self.jobs.hand_over(job)
        try:
            pending = executor.submit(job, *args)
        except BaseException:
            self.jobs.settle(job)
            raise
        future = asyncio.wrap_future(pending, loop=self)
        pending.add_done_callback(lambda _: self.jobs.settle(job))  # after the future's own
        return future

    def _own_executor(self) -> Executor:
        if self._executor_shutdown_called:
            raise RuntimeError("Executor shutdown has been called")
        self._default_executor = self._default_executor or ThreadPoolExecutor(thread_name_prefix=POOL)
        return self._default_executor

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 (asyncio's)
        """Let the default executor's threads go; asyncio waits in a thread, which would be one more job."""
        self._executor_shutdown_called = True
        if self._default_executor is not None:
            self._default_executor.shutdown(wait=not isinstance(self.outcome, ThreadStuck))

    def _make_self_pipe(self) -> None:
        self._ssock = self._csock = None
        if self.real_io:
            super()._make_self_pipe()  # type: ignore[misc]

    def _close_self_pipe(self) -> None:
        if self._ssock is not None:
            super()._close_self_pipe()

    # Turns

    def run_task(self, task: asyncio.Task[Any]) -> None:
        """Run until the task is done: `run_until_complete`, for what is known to be a task of this loop."""
        task.add_done_callback(self._stop_after)
        try:
            self.run_forever()
        finally:
            task.remove_done_callback(self._stop_after)

    def _stop_after(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or not isinstance(task.exception(), ENDS_PROCESS):  # else it has been left already
            self.stop()

    def _run_once(self) -> None:
        """One turn; where nothing is due or asked for, all that asyncio's own comes to is to run what is ready."""
        ready, timers, jobs = self._ready, self._scheduled, self.jobs
        if (
            not ready
            or (timers and timers[0].when() < self._now + self._clock_resolution)
            or self.turns + 1 >= self._turn_mark
            or self.outcome is not None
            or jobs.busy
            or self.real_io
            or self._debug
        ):
            super()._run_once()  # type: ignore[misc]
            return
        self.turns += 1
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:  # noqa: SLF001 (as asyncio's own turn)
                handle._run()  # noqa: SLF001

    # Pauses: where time is decided

    def pause(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Once a turn: let time pass if nothing is ready; `timeout` is None if nothing is timed either."""
        self.turns += 1
        if timeout != 0 and self.limits.arm():
            timeout = max(0.0, self._scheduled[0].when() - self._now)
        if self.jobs.busy and self._let_threads_run(timeout):
            timeout = 0
        if self.outcome is not None and not self._farewell:
            raise self.outcome
        if self.turns >= self._turn_mark:
            self._look_for_busy_loop()
        if self.real_io and self._is_outside_open():
            return self._really_wait(timeout)
        if timeout is None:
            self._nothing_left()
        elif timeout > 0 and not self._hear_threads():
            self._jump(self._scheduled[0].when())
        return []

    def _hear_threads(self) -> bool:
        """Whether a thread of the app's own, such as aiosqlite's, called; one at work is waited for."""
        alive = list(threading._active.values())  # type: ignore[attr-defined]  # noqa: SLF001 (`enumerate` takes a lock)
        if alive == self._threads_known:
            return False
        threads = self._threads_that_may_call()
        if not threads:
            self._threads_known = alive
            return False
        with own_work(self):
            deaf = self.jobs.hear(threads)
        self._threads_before.update(deaf)
        return self._take_arrived()

    def _threads_that_may_call(self) -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one not in self._threads_before and may_call_back(one)]

    def _jump(self, when: float) -> None:
        if when > self._time_limit:
            self._stop(
                TimeLimitReached(f"the run went on for more than {self._time_limit:g} s of virtual time"),
            )
        self._now = when
        if when > COARSE:
            self._clock_resolution = math.ulp(when)  # else the timer would not count as due
        if self._move_clock is not None:
            self._move_clock(when)
        if not self._farewell:
            self._turn_mark = self.turns + self._turn_limit

    def _nothing_left(self) -> None:
        if self._idle_hook is not None and not self._farewell:
            self._idle_hook()
            if self._ready or self._scheduled:
                return
        if self._threads_that_may_call():
            with own_work(self):
                self.jobs.wait_for_call(patiently=True)
            if self._take_arrived():
                return
        self._stop(Deadlock("deadlock: no task can go on, and none waits for time", self.stacks(self.pending())))

    def _stop(self, outcome: SimulationStopped) -> NoReturn:
        self.end_by(outcome)
        raise outcome

    def end_by(self, outcome: SimulationStopped) -> None:
        """Go on no further."""
        if self.outcome is None:
            self.outcome = outcome
            self._progress()  # has seen what happened until now: what follows is the end's own doing

    # Threads

    def _let_threads_run(self, timeout: float | None) -> bool:
        """Whether something became ready."""
        called = False
        with own_work(self):
            stuck = self.jobs.catch_up()
            parked = self.jobs.parked
            if stuck is None and parked is not None and timeout != 0 and not self.jobs.arrived:
                called = self.jobs.wait_for_call(patiently=timeout is None)
                stuck = parked if timeout is None and not called else None
        if stuck is not None:
            self._stop(_thread_stuck(stuck, self.jobs.limit))
        return self._take_arrived() or called or timeout == 0

    def _take_arrived(self) -> bool:
        arrived = self.jobs.arrived
        took = bool(arrived)
        while arrived:
            self._ready.append(arrived.popleft())
        return took

    # Real I/O

    def _is_outside_open(self) -> bool:
        """Whether something real is open: files other than the loop's own pipe, or threads that may call."""
        return self._are_files_open() or bool(self._threads_that_may_call())

    def _are_files_open(self) -> bool:
        return len(self._virtual.get_map()) > 1

    def _really_wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        began = time.monotonic()
        if not self._are_files_open():
            timeout = GLANCE if timeout is None else min(timeout, GLANCE)
        with own_work(self):
            events = self._virtual.wait(timeout)
        self._take_arrived()
        if timeout is None or timeout > 0:
            self._jump(self._now + time.monotonic() - began)
        return events

    # Busy loops

    def _look_for_busy_loop(self) -> None:
        moved = self._progress()
        if moved != self._moved and not self._farewell:
            self._moved = moved
            self._turn_mark = self.turns + self._turn_limit
            self._sampled = {}
            return
        ready = (determinism.task_behind(handle) for handle in self._ready)
        self._sampled |= self.stacks(task for task in ready if task is not None)
        if self.turns >= self._turn_mark + SAMPLED_TURNS:
            text = f"busy loop: {self._turn_limit} turns in which time stood still and no client did anything"
            self._stop(BusyLoop(f"{text}{where(self._sampled)}", self._sampled))

    def interrupt(self, frame: FrameType | None, *, blocked: bool = False) -> type[BaseException]:
        """Note that code computes or waits without end; called by the watchdog, from its thread."""
        task = asyncio.current_task(self)
        name = "main" if task is None else task.get_name()
        stacks = {name: up_to_users_code(running(frame))}
        what = "blocked event loop: code that waits in" if blocked else "busy loop: code that computes in"
        kind = BlockedLoop if blocked else BusyLoop
        self.end_by(kind(f"{what} one step and gives no other task a turn{where(stacks)}", stacks))
        return kind

    # Looking in

    def drop_cancelled_timers(self) -> None:
        """Let go of timers that were cancelled: until their time they hold the context in which they were made."""
        kept = [timer for timer in self._scheduled if not timer.cancelled()]
        heapq.heapify(kept)
        for timer in self._scheduled:
            timer._scheduled = not timer.cancelled()  # noqa: SLF001 (as asyncio's own loop does where many were)
        self._scheduled[:] = kept
        self._timer_cancelled_count = 0

    def app_timers(self) -> int:
        """How many pending timers are not the harness's own."""
        return sum(not timer.cancelled() and not _is_ours(timer) for timer in self._scheduled)

    def pending(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, in the order in which they were made."""
        return sorted(self.alive(), key=hash)

    def is_at_rest(self) -> bool:
        """Whether nothing can run before time passes, but for the caller."""
        return not self._ready

    def failed(self) -> list[asyncio.Task[Any]]:
        """Tasks that ended by an exception for which nobody has asked."""
        return self._tasks.failed()

    def alive(self) -> Iterable[asyncio.Task[Any]]:
        """The tasks that are not done, in no order."""
        return self._tasks.alive() if self.get_task_factory() is None else asyncio.all_tasks(self)

    def stacks(self, tasks: Iterable[asyncio.Task[Any]]) -> dict[str, tuple[Place, ...]]:
        """Where tasks are suspended, outermost place first."""
        return {task.get_name(): tuple(suspended(task.get_coro())) for task in tasks}

    # The end

    def close(self) -> None:
        """Close, and hold nothing of the run any more: in a cycle it would wait for the garbage collector."""
        super().close()
        self._progress, self._idle_hook = _no_progress, None
        self.__dict__.pop("limits", None)  # it may be closed twice
        self.set_exception_handler(None if self.outcome is None else _hush)  # why it was stopped has been told

    def say_farewell(self) -> None:
        """From here on whatever is left gets a bounded number of turns."""
        self._farewell = True
        self._turn_limit = FAREWELL_TURNS
        self._turn_mark = self.turns + FAREWELL_TURNS
        self._sampled = {}
        if isinstance(self.outcome, ThreadStuck):
            self.jobs.release()


def _refusing(name: str) -> Callable[..., Any]:
    original = getattr(asyncio.SelectorEventLoop, name)

    @functools.wraps(original)
    def method(self: VirtualTimeLoop, *args: Any, **options: Any) -> Any:
        if not self.real_io:
            raise unsupported(name)
        return original(self, *args, **options)

    return method


for _name in REFUSED:
    if hasattr(asyncio.SelectorEventLoop, _name):
        setattr(VirtualTimeLoop, _name, _refusing(_name))


def _hush(*_: Any) -> None:
    """What is still said of a run that was stopped."""


def _no_progress() -> int:
    return 0


def _thread_stuck(job: Job, limit: float) -> ThreadStuck:
    return ThreadStuck(
        f"the thread job {job.name!r} did not end within {limit:g} s of real time; "
        "jobs run one at a time while the simulated loop stands still: "
        "it must not sleep for long or wait for another job or for the loop"
    )


def _is_ours(timer: asyncio.TimerHandle) -> bool:
    module = getattr(timer._callback, "__module__", None)  # type: ignore[attr-defined]  # noqa: SLF001
    return isinstance(module, str) and module.startswith("wsharness.") and not module.startswith("wsharness.app")

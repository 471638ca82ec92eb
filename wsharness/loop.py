"""VirtualTimeLoop: an asyncio loop whose clock jumps from timer to timer; `run` runs one coroutine in it."""

import asyncio
import contextlib
import functools
import heapq
import math
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import Context
from types import FrameType
from typing import Any, NoReturn, TypeVar

from wsharness import determinism
from wsharness.determinism import NumberedTask, TaskList
from wsharness.errors import UsageError
from wsharness.interrupts import ENDS_PROCESS, is_users
from wsharness.refusals import REFUSED, unsupported
from wsharness.scheduling import ReadyQueue, Schedule, make_schedule
from wsharness.stopping import (
    BlockedLoop,
    BusyLoop,
    Deadlock,
    Place,
    SimulationStopped,
    ThreadStuck,
    TimeLimitReached,
    process_ended,
    running,
    suspended,
    up_to_users_code,
    where,
)
from wsharness.threads import Job, Jobs, dismiss_workers, follow_anyio, may_call_back
from wsharness.watchdog import own_work, watchdog

T = TypeVar("T")
TURN_LIMIT = 100_000  # turns in which neither time nor anything else moves
STEP_LIMIT = 5.0  # seconds of CPU in one turn
THREAD_LIMIT = 5.0  # real seconds a thread job may take
TIME_LIMIT = 30 * 86400.0  # virtual seconds
SAMPLED_TURNS = 8  # a busy loop of several tasks has different ones ready in different turns
FAREWELL_TURNS = 10_000  # for what is cancelled at the end
GLANCE = 0.05  # real seconds between two looks at threads: one that ends wakes nobody
CLOSING_TURNS = 3  # what transports need to close after `close()`
COARSE = 1e6  # from here on a nanosecond is less than what two neighbouring floats differ by
POOL = "wsharness pool"


class VirtualSelector(selectors.BaseSelector):
    """Where the loop would wait for files, its clock moves instead.

    `real` watches files where that is allowed.
    """

    def __init__(self, loop: "VirtualTimeLoop", real: selectors.BaseSelector | None) -> None:
        self._loop = loop
        self.real = real

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """What the loop calls once a turn."""
        return self._loop.pause(timeout)

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """Watch a file, if real I/O is allowed."""
        if self.real is None:
            raise unsupported("add_reader")
        return self.real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """Watch it no more."""
        if self.real is None:
            raise KeyError(fileobj)
        return self.real.unregister(fileobj)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """The files it watches."""
        return {} if self.real is None else self.real.get_map()

    def close(self) -> None:
        """Watch nothing any more."""
        if self.real is not None:
            self.real.close()


class _Timer(asyncio.TimerHandle):
    """A timer; of two that are due at once, the one made first comes first, as on a real clock."""

    _when: float
    __slots__ = ("number",)

    def __init__(self, number: int, when: float, *rest: Any) -> None:
        super().__init__(when, *rest)
        self.number = number

    def __lt__(self, other: Any) -> bool:
        if self._when == other._when:
            return bool(self.number < other.number)
        return bool(self._when < other._when)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own: from 0.0 it jumps to the next timer when nothing is ready."""

    _ready: Any
    _scheduled: list[asyncio.TimerHandle]
    _default_executor: Executor | None
    _thread_id: int | None
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
        self._timers = 0
        self._tasks = TaskList()
        self._threads_before = frozenset(threading.enumerate())
        self._virtual = VirtualSelector(self, selectors.DefaultSelector() if real_io else None)
        super().__init__(self._virtual)
        if not schedule.ordered:
            self._ready = ReadyQueue(schedule, determinism.task_of)

    # What asyncio asks of a loop

    def time(self) -> float:
        """Seconds since the run began."""
        return self._now

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """Call `callback` when the clock shows `when`."""
        self._check_closed()
        self._timers += 1
        timer = _Timer(self._timers, when, callback, args, self, context)
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001 (as asyncio's own call_at does)
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

    # Pauses: where time is decided

    def pause(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        """Once a turn: let time pass if nothing is ready; `timeout` is None if nothing is timed either."""
        self.turns += 1
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
        elif timeout > 0:
            self._jump(self._scheduled[0].when())
        return []

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
        if any(may_call_back(thread) for thread in threading.enumerate() if thread not in self._threads_before):
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
        return self._are_files_open() or any(
            may_call_back(thread) for thread in threading.enumerate() if thread not in self._threads_before
        )

    def _are_files_open(self) -> bool:
        return len(self._virtual.get_map()) > 1

    def _really_wait(self, timeout: float | None) -> list[tuple[selectors.SelectorKey, int]]:
        assert self._virtual.real is not None
        began = time.monotonic()
        if not self._are_files_open():
            timeout = GLANCE if timeout is None else min(timeout, GLANCE)
        with own_work(self):
            events = self._virtual.real.select(timeout)
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

    def app_timers(self) -> int:
        """How many pending timers are not the harness's own."""
        return sum(not timer.cancelled() and not _is_ours(timer) for timer in self._scheduled)

    def pending(self) -> list[asyncio.Task[Any]]:
        """The tasks that are not done, in the order in which they were made."""
        return sorted(self.alive(), key=hash)

    def alive(self) -> Iterable[asyncio.Task[Any]]:
        """The tasks that are not done, in no order."""
        return self._tasks.alive() if self.get_task_factory() is None else asyncio.all_tasks(self)

    def stacks(self, tasks: Iterable[asyncio.Task[Any]]) -> dict[str, tuple[Place, ...]]:
        """Where tasks are suspended, outermost place first."""
        return {task.get_name(): tuple(suspended(task.get_coro())) for task in tasks}

    # The end

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


# Running


_running = threading.Lock()


class Runner:
    """Runs coroutines one after another in virtual time, as asyncio.Runner does in real time; to be closed."""

    def __init__(
        self,
        *,
        schedule: str | Mapping[int, int] | Schedule = "fifo",
        seed: int = 0,
        wall_clock: bool = True,
        step_limit: float = STEP_LIMIT,
        **options: Any,
    ) -> None:
        """Take over the clock and `random`; `options` are those of VirtualTimeLoop."""
        _refuse_running_loop()
        chosen = make_schedule(schedule, seed)
        if not _running.acquire(blocking=False):
            raise UsageError(
                "another simulation runs in this process, and `random` and the clock belong to all its threads; "
                "run them one after another, or in processes"
            )
        self._step_limit = step_limit
        self._task: asyncio.Task[Any] | None = None
        self._world = determinism.reproducible(seed, clock=wall_clock)
        try:
            follow_anyio()
            self.loop: VirtualTimeLoop = VirtualTimeLoop(chosen, move_clock=self._world.__enter__(), **options)
        except BaseException:
            self._give_back()
            raise

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """The coroutine's value; raises what it raises, or SimulationStopped."""
        loop = self.loop
        self._task = task = loop.create_task(main)
        with watchdog.watching(loop, self._step_limit), contextlib.suppress(SimulationStopped):
            try:
                loop.run_until_complete(task)
            except ENDS_PROCESS as error:
                if task.done() or is_users(error):
                    raise
                loop.end_by(process_ended(error))
        if loop.outcome is not None:
            raise loop.outcome
        value: T = task.result()
        return value

    def close(self) -> None:
        """Cancel what is left, let it end, and give the clock and `random` back."""
        try:
            with watchdog.watching(self.loop, self._step_limit):
                _finish(self.loop, self._task)
        finally:
            self._give_back()

    def _give_back(self) -> None:
        try:
            self._world.__exit__(None, None, None)
        finally:
            _running.release()


def run(
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    schedule: str | Mapping[int, int] | Schedule = "fifo",
    seed: int = 0,
    wall_clock: bool = True,
    turn_limit: int = TURN_LIMIT,
    time_limit: float = TIME_LIMIT,
    step_limit: float = STEP_LIMIT,
    thread_limit: float = THREAD_LIMIT,
    progress: Callable[[], int] | None = None,
    idle: Callable[[], None] | None = None,
    real_io: bool = False,
) -> T:
    """Run `main()` in virtual time and return its value; raises what it raises, or SimulationStopped.

    `progress` returns a number that moves when the run gets on; `idle` is called when nothing is ready and
    nothing timed, and may make something ready. `step_limit` (of CPU in one turn) and `thread_limit` are real
    seconds, `time_limit` virtual ones.
    """
    runner = Runner(
        schedule=schedule,
        seed=seed,
        wall_clock=wall_clock,
        step_limit=step_limit,
        turn_limit=turn_limit,
        time_limit=time_limit,
        thread_limit=thread_limit,
        progress=progress,
        idle=idle,
        real_io=real_io,
    )
    try:
        value = runner.run(_coroutine(main))
    finally:
        runner.close()
    if runner.loop.outcome is not None:  # what is left may have gone round and round
        raise runner.loop.outcome
    return value


def _refuse_running_loop() -> None:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return
    kind = type(loop)
    raise UsageError(
        f"simulate() cannot run inside a running event loop ({kind.__module__}.{kind.__name__}); "
        "call it from a plain function (`def test_...`), or mark the async test with `simulated`"
    )


def _coroutine(main: Callable[[], Coroutine[Any, Any, T]]) -> Coroutine[Any, Any, T]:
    coroutine = main()
    if not asyncio.iscoroutine(coroutine):
        raise UsageError(f"expected an async function to run; got {main!r}")
    return coroutine


def _finish(loop: VirtualTimeLoop, main: asyncio.Task[Any] | None) -> None:
    """Cancel what is left, let it end, close the loop."""
    loop.say_farewell()
    try:
        _cancel_left(loop, main)
        if loop._asyncgens:  # type: ignore[attr-defined]  # noqa: SLF001
            loop.run_until_complete(loop.shutdown_asyncgens())
        if loop.real_io:
            for _ in range(CLOSING_TURNS):
                loop.run_until_complete(asyncio.sleep(0))
        if loop._default_executor is not None:  # noqa: SLF001
            loop.run_until_complete(loop.shutdown_default_executor())
    except (SimulationStopped, *ENDS_PROCESS) as error:
        if is_users(error):
            raise
        for task in loop.pending():
            _abandon(task)
    finally:
        loop.jobs.release()
        dismiss_workers(loop)
        loop.close()
        if main is not None and main.done() and not main.cancelled():
            main.exception()  # whoever stopped the run knows; asyncio need not log it


def _cancel_left(loop: VirtualTimeLoop, main: asyncio.Task[Any] | None) -> None:
    left = loop.pending()
    for task in left:
        task.cancel()
    if left:
        loop.run_until_complete(_ended(left))
    for task in left:
        if task is not main and not task.cancelled() and task.exception() is not None:
            text = "unhandled exception while the end of the run cancelled the task"
            loop.call_exception_handler({"message": text, "exception": task.exception(), "task": task})


async def _ended(tasks: list[asyncio.Task[Any]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


def _abandon(task: asyncio.Task[Any]) -> None:
    """Give up a task that does not let itself be cancelled."""
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # noqa: SLF001
    with contextlib.suppress(BaseException):
        task.get_coro().close()

"""What the harness asks of an event loop: wait, wake, call later, spawn; on asyncio and on trio."""

import asyncio
import contextlib
import contextvars
import math
import sys
import time
import types
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import trio


QUIET_TURNS = 10  # of a loop that does not show what is ready: more than a broadcast needs between two
LATE_TURNS = 100  # that what is ready gets before a wait ends in vain: its time may have passed while nothing could run
THREAD_PAUSE = 0.001  # seconds between two looks at a thread that works


class Signal(Protocol):
    """Wakes everyone who waits; wake-ups may be spurious, so waiters look again at what they wait for."""

    def wait(self) -> Awaitable[object]:
        """Suspend, where it is awaited, until the next `wake`."""

    async def wait_until(self, ready: Callable[[], object], limit: float | None = None) -> bool:
        """Wait until `ready()`, looking again at each `wake`; False when `limit` seconds passed first."""

    def wake(self) -> None:
        """Let every waiter run in the loop's next turn."""


class Timer(Protocol):
    """A planned call."""

    def cancel(self) -> None:
        """Forget the call; does nothing if it happened."""


class Job(ABC):
    """A coroutine that runs by itself."""

    __slots__ = ()
    coroutine: Coroutine[Any, Any, None]

    @abstractmethod
    def cancel(self) -> None:
        """Cancel it at its next await."""

    @abstractmethod
    def abandon(self) -> None:
        """Give it up where it lives on though it was cancelled; on trio nothing can."""

    @property
    @abstractmethod
    def task(self) -> Any:
        """The loop's own task object."""


class Runtime(ABC):
    """One running event loop."""

    name: str

    @abstractmethod
    def time(self) -> float:
        """The loop's clock, in seconds."""

    @abstractmethod
    def signal(self) -> Signal:
        """Make a signal."""

    @abstractmethod
    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` after `delay` seconds."""

    @abstractmethod
    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> Job:
        """Run a coroutine by itself; it must not raise."""

    @abstractmethod
    async def turn(self) -> None:
        """Let everything that is ready run once."""

    @abstractmethod
    def is_current(self) -> bool:
        """Whether this loop runs here and now: not another, nor this one from another thread."""

    @abstractmethod
    def poster(self) -> Callable[[Callable[[], object]], object]:
        """What calls something on this loop, soon and from any thread; RuntimeError once the loop has ended."""

    @abstractmethod
    async def settle(self, limit: float) -> bool:
        """Wait until nothing can run before time passes or the outside answers; False after `limit` seconds."""


class Limits(Protocol):
    """Ends waits whose time is up, with False."""

    time: Callable[[], float]

    def begin(self, waiter: "asyncio.Future[bool]", due: float) -> None:
        """Let the wait end at that time."""

    def end(self, waiter: "asyncio.Future[bool]") -> None:
        """It has ended."""


class _Limits:
    """Ends waits whose time is up, with False. Hardly any is: the loop has one timer for all of them.

    A timer of asyncio's own for each would cost more than the rest of a wait.
    """

    __slots__ = ("_loop", "_pending", "_rings_at", "_timer", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self.time = now
        self._loop = loop
        self._pending: dict[asyncio.Future[bool], float] = {}
        self._rings_at = math.inf
        self._timer: asyncio.Handle | None = None

    def begin(self, waiter: "asyncio.Future[bool]", due: float) -> None:
        self._pending[waiter] = due
        if due < self._rings_at:
            self._ring_at(due)

    def end(self, waiter: "asyncio.Future[bool]") -> None:
        self._pending.pop(waiter, None)

    def _ring_at(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = due
        self._timer = self._loop.call_at(due, self._ring, LATE_TURNS if due > self.time() else 0)

    def _ring(self, turns: int) -> None:
        if turns and getattr(self._loop, "_ready", True):  # uvloop does not show its queue
            self._timer = self._loop.call_soon(self._ring, turns - 1)
            return
        now = self._rings_at
        self._rings_at, self._timer = math.inf, None
        for waiter in [waiter for waiter, due in self._pending.items() if due <= now]:
            del self._pending[waiter]
            give_up(waiter)
        if self._pending:
            self._ring_at(min(self._pending.values()))


class _ExactLimits:
    """The same with a timer for each wait, cancelled with it: where time may be virtual every timer counts."""

    __slots__ = ("_loop", "_timers", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float]) -> None:
        self.time = now
        self._loop = loop
        self._timers: dict[asyncio.Future[bool], asyncio.TimerHandle] = {}

    def begin(self, waiter: "asyncio.Future[bool]", due: float) -> None:
        self._timers[waiter] = self._loop.call_at(due, give_up, waiter)

    def end(self, waiter: "asyncio.Future[bool]") -> None:
        self._timers.pop(waiter).cancel()


def give_up(waiter: "asyncio.Future[bool]") -> None:
    """End a wait whose time is up."""
    if not waiter.done():
        waiter.set_result(False)


class _AsyncioSignal:
    __slots__ = ("_limits", "_loop", "_others", "_waiter")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self._loop = loop
        self._limits = limits
        self._waiter: asyncio.Future[bool] | None = None
        self._others: list[asyncio.Future[bool]] | None = None  # most signals have one waiter at most

    def wait(self) -> "asyncio.Future[bool]":
        waiter: asyncio.Future[bool] = asyncio.Future(loop=self._loop)
        if self._waiter is None:
            self._waiter = waiter
        elif self._others is None:
            self._others = [waiter]
        else:
            self._others.append(waiter)
        return waiter

    async def wait_until(self, ready: Callable[[], object], limit: float | None = None) -> bool:
        if ready():
            return True
        due = math.inf if limit is None else self._limits.time() + limit
        while True:
            waiter = self.wait()
            if limit is not None:
                self._limits.begin(waiter, due)
            try:
                woken = await waiter
            finally:
                if limit is not None:
                    self._limits.end(waiter)
            if ready():
                return True
            if not woken:
                return False

    def wake(self) -> None:
        waiter = self._waiter
        if waiter is None:
            return
        others, self._waiter, self._others = self._others, None, None
        if not waiter.done():
            waiter.set_result(True)
        for other in others or ():
            if not other.done():
                other.set_result(True)


class _RealTimeSignal(_AsyncioSignal):
    """Most answers come in the loop's next turn: to look then costs less than to be woken."""

    __slots__ = ()

    async def wait_until(self, ready: Callable[[], object], limit: float | None = None) -> bool:
        if ready():
            return True
        await _turn()
        return bool(ready()) or await super().wait_until(ready, limit)


@types.coroutine
def _turn() -> Generator[None, None, None]:
    """Suspend the task until the loop's next turn, as asyncio.sleep(0) does."""
    yield


class _AsyncioJob(Job):
    __slots__ = ("_task", "coroutine")

    def __init__(self, coroutine: Coroutine[Any, Any, None], task: "asyncio.Task[None]") -> None:
        self.coroutine = coroutine
        self._task = task

    def cancel(self) -> None:
        self._task.cancel()

    def abandon(self) -> None:
        """Give it up where it lives on though it was cancelled."""
        with contextlib.suppress(BaseException):  # what it raises of this is not what the test is told
            self.coroutine.close()
        self._task.add_done_callback(_retrieve)
        self._task.cancel()

    @property
    def task(self) -> "asyncio.Task[None]":
        return self._task


def _retrieve(task: "asyncio.Task[None]") -> None:
    """Let nobody be told of a task's exception."""
    if not task.cancelled():
        task.exception()


class AsyncioRuntime(Runtime):
    """asyncio, whatever loop class runs it."""

    name = "asyncio"

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # that of an app would hold what it keeps there
        self._settling = 0
        self._create_task = self.loop.create_task
        is_usual = type(self.loop).time is asyncio.BaseEventLoop.time
        self.time = time.monotonic if is_usual else self.loop.time  # type: ignore[method-assign]  # calls less
        own = getattr(self.loop, "limits", None)  # what a loop in virtual time has
        self._limits: Limits = own or (_Limits if is_usual else _ExactLimits)(self.loop, self.time)
        self._signal = _RealTimeSignal if is_usual else _AsyncioSignal

    def time(self) -> float:
        """The loop's clock, in seconds."""
        return self.loop.time()

    def signal(self) -> Signal:
        """Make a signal."""
        return self._signal(self.loop, self._limits)

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` after `delay` seconds."""
        if delay <= 0:
            return self.loop.call_soon(callback, context=self._context)
        return self.loop.call_later(delay, callback, context=self._context)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> Job:
        """Run a coroutine by itself; it must not raise."""
        return _AsyncioJob(coroutine, self._create_task(coroutine, name=name))

    async def turn(self) -> None:
        """Let everything that is ready run once."""
        await _turn()

    def is_current(self) -> bool:
        """Whether this loop runs here and now."""
        return asyncio._get_running_loop() is self.loop  # noqa: SLF001 (as get_running_loop, without raising)

    def poster(self) -> Callable[[Callable[[], object]], object]:
        """What calls something on this loop, soon and from any thread."""
        return self.loop.call_soon_threadsafe

    async def settle(self, limit: float) -> bool:
        """Wait until the loop's queue is empty but for the caller, and no thread works for it."""
        deadline = self.time() + limit
        quiet = 0
        self._settling += 1
        try:
            while quiet < (1 if hasattr(self.loop, "_ready") else QUIET_TURNS):
                await (asyncio.sleep(THREAD_PAUSE) if self._threads_work() else self.turn())
                quiet = 0 if self._is_busy() else quiet + 1
                if quiet == 0 and self.time() > deadline:
                    return False
        finally:
            self._settling -= 1
        return True

    def _is_busy(self) -> bool:
        ready = getattr(self.loop, "_ready", ())  # uvloop does not show its queue
        return len(ready) >= self._settling or self._threads_work()

    def _threads_work(self) -> bool:
        executor = getattr(self.loop, "_default_executor", None)
        threads = len(getattr(executor, "_threads", ()))
        idle = getattr(executor, "_idle_semaphore", None)
        return (threads > 0 and threads > getattr(idle, "_value", threads)) or _anyio_threads() > 0


def _anyio_threads() -> float:
    """How many of anyio's worker threads are busy: sync dependencies of FastAPI run there."""
    to_thread = sys.modules.get("anyio.to_thread")
    return 0 if to_thread is None else to_thread.current_default_thread_limiter().borrowed_tokens


class _TrioSignal:
    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: dict[trio.lowlevel.Task, None] = {}

    async def wait(self) -> None:
        import trio  # noqa: PLC0415 (only where trio runs)

        task = trio.lowlevel.current_task()
        self._waiters[task] = None

        def abort(_: object) -> "trio.lowlevel.Abort":
            self._waiters.pop(task, None)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    async def wait_until(self, ready: Callable[[], object], limit: float | None = None) -> bool:
        import trio  # noqa: PLC0415 (only where trio runs)

        if ready():
            return True
        with trio.move_on_after(math.inf if limit is None else limit):
            while not ready():
                await self.wait()
            return True
        return bool(ready())

    def wake(self) -> None:
        import trio  # noqa: PLC0415 (only where trio runs)

        waiters, self._waiters = self._waiters, {}
        for task in waiters:
            trio.lowlevel.reschedule(task)


class _TrioJob(Job):
    def __init__(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        import trio  # noqa: PLC0415 (only where trio runs)

        self.coroutine = coroutine
        self._scope = trio.CancelScope()
        context = contextvars.copy_context()
        self._task = trio.lowlevel.spawn_system_task(self._run, name=name, context=context)

    async def _run(self) -> None:
        with self._scope:
            await self.coroutine

    def cancel(self) -> None:
        self._scope.cancel()

    def abandon(self) -> None:
        """Nothing: who catches what trio raises is asked again at once, and for ever."""

    @property
    def task(self) -> "trio.lowlevel.Task":
        return self._task


class _TrioTimer:
    def __init__(self, delay: float, callback: Callable[[], object]) -> None:
        import trio  # noqa: PLC0415 (only where trio runs)

        self._scope = trio.CancelScope()
        self._due = trio.current_time() + delay
        self._callback = callback
        trio.lowlevel.spawn_system_task(self._run, name="wsharness timer")

    async def _run(self) -> None:
        import trio  # noqa: PLC0415 (only where trio runs)

        with self._scope:
            await trio.sleep_until(self._due)
            self._callback()

    def cancel(self) -> None:
        self._scope.cancel()


class TrioRuntime(Runtime):
    """trio, with its real clock or a mock one."""

    name = "trio"

    def __init__(self) -> None:
        import trio  # noqa: PLC0415 (only where trio runs)

        self._root = trio.lowlevel.current_root_task()

    def time(self) -> float:
        """The loop's clock, in seconds."""
        import trio  # noqa: PLC0415 (only where trio runs)

        return trio.current_time()

    def signal(self) -> Signal:
        """Make a signal."""
        return _TrioSignal()

    def call_later(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` after `delay` seconds."""
        return _TrioTimer(delay, callback)

    def spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> Job:
        """Run a coroutine by itself; it must not raise."""
        return _TrioJob(coroutine, name)

    async def turn(self) -> None:
        """Let everything that is ready run once."""
        import trio  # noqa: PLC0415 (only where trio runs)

        await trio.lowlevel.checkpoint()

    def is_current(self) -> bool:
        """Whether this run of trio goes on here and now."""
        import trio  # noqa: PLC0415 (only where trio runs)

        return trio.lowlevel.in_trio_run() and trio.lowlevel.current_root_task() is self._root

    def poster(self) -> Callable[[Callable[[], object]], object]:
        """What calls something on this loop, soon and from any thread."""
        import trio  # noqa: PLC0415 (only where trio runs)

        return trio.lowlevel.current_trio_token().run_sync_soon

    async def settle(self, limit: float) -> bool:
        """Wait until every task is blocked."""
        import trio  # noqa: PLC0415 (only where trio runs)
        import trio.testing  # noqa: PLC0415

        with trio.move_on_after(limit):
            await trio.testing.wait_all_tasks_blocked()
            return True
        return False


def current_runtime() -> Runtime:
    """The event loop that runs now; RuntimeError where none does."""
    trio_module = sys.modules.get("trio")
    if trio_module is not None and trio_module.lowlevel.in_trio_run():
        return TrioRuntime()
    return AsyncioRuntime()

"""Runs coroutines in virtual time, and ends what they leave behind."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from wsharness import determinism
from wsharness.errors import UsageError
from wsharness.interrupts import ENDS_PROCESS, is_ctrl_c
from wsharness.loop import STEP_LIMIT, THREAD_LIMIT, TIME_LIMIT, TURN_LIMIT, VirtualTimeLoop
from wsharness.scheduling import Schedule, make_schedule
from wsharness.stopping import SimulationStopped, process_ended
from wsharness.threads import dismiss_workers, follow_anyio
from wsharness.watchdog import Watch, watchdog

T = TypeVar("T")
CLOSING_TURNS = 3  # what transports need to close after `close()`

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
        self._task: asyncio.Task[Any] | None = None
        self._world = determinism.reproducible(seed, clock=wall_clock)
        try:
            follow_anyio()
            self.loop: VirtualTimeLoop = VirtualTimeLoop(chosen, move_clock=self._world.__enter__(), **options)
        except BaseException:
            self._give_back()
            raise
        self.watch: Watch = watchdog.watching(self.loop, step_limit)
        """To be entered where several calls are watched as one."""

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """The coroutine's value; raises what it raises, or SimulationStopped."""
        loop = self.loop
        self._task = task = loop.create_task(main)
        with self.watch:
            try:
                loop.run_task(task)
            except SimulationStopped:
                pass
            except ENDS_PROCESS as error:
                if task.done() or is_ctrl_c(error):
                    raise
                loop.end_by(process_ended(error))
        if loop.outcome is not None:
            raise loop.outcome
        value: T = task.result()
        return value

    def close(self) -> None:
        """Cancel what is left, let it end, and give the clock and `random` back."""
        try:
            with self.watch:
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
    with runner.watch:
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
        if is_ctrl_c(error):
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

"""Why a run stops before its time, and where its tasks were then."""

import asyncio
import gc
import os
import sysconfig
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, TypeAlias

from wsharness import errors

Place: TypeAlias = tuple[CodeType, int]
"""A code object and the line it is at."""

_STEP = asyncio.Handle._run.__code__  # noqa: SLF001 (no public name)
MAX_DEPTH = 200
FRAMES = ("cr_frame", "gi_frame", "ag_frame")
AWAITED = ("cr_await", "gi_yieldfrom", "ag_await")
OPAQUE = ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper")
"""Steps of async generators, such as what asynccontextmanager makes one of, and what a coroutine's `__await__` returns,
which class-based endpoints are awaited by: they do not name what they step through."""
NOT_USERS = tuple(
    f"{folder}{os.sep}"
    for folder in (
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        Path(__file__).parent,
    )
)


class SimulationStopped(BaseException):
    """The run could not go on. Not an Exception, so that an app's `except Exception` cannot swallow it.

    `stacks` says where the tasks concerned were, outermost place first, by task name.
    """

    def __init__(self, message: str = "", stacks: dict[str, tuple[Place, ...]] | None = None) -> None:
        super().__init__(message)
        self.stacks: dict[str, tuple[Place, ...]] = stacks or {}

    seconds: float = 0.0
    """Of real time that it takes until this is known, as a rule; not as measured, so that results do not vary."""


class Deadlock(SimulationStopped):
    """Nothing is ready and nothing is timed: every task waits for another."""


class BusyLoop(SimulationStopped, errors.BusyLoop):
    """Code runs on and on while time stands still and no client does anything."""

    seconds: float = 1.0


class BlockedLoop(BusyLoop):
    """Code waits for something outside and gives no other task a turn."""

    seconds: float = 6.0


class TimeLimitReached(SimulationStopped):
    """The simulated time a run may take is over."""


class ThreadStuck(SimulationStopped):
    """A thread job did not end."""

    seconds: float = 5.0


class ProcessEnded(SimulationStopped):
    """What the app raised leaves the loop and ends the process that runs it: SystemExit, KeyboardInterrupt."""


def suspended(awaitable: Any) -> Iterator[Place]:
    """Where a coroutine is suspended, from the outermost await to the innermost."""
    return ((frame.f_code, frame.f_lineno) for frame in frames(awaitable))


def frames(awaitable: Any) -> Iterator[FrameType]:
    """The frames in which a coroutine is suspended, from the outermost await to the innermost."""
    for _ in range(MAX_DEPTH):
        frame = next((f for name in FRAMES if (f := getattr(awaitable, name, None)) is not None), None)
        if frame is not None:
            yield frame
        awaitable = next((a for name in AWAITED if (a := getattr(awaitable, name, None)) is not None), None)
        if type(awaitable).__name__ in OPAQUE:
            awaitable = next((one for one in gc.get_referents(awaitable) if _has_frame(one)), None)
        if awaitable is None:
            return


def _has_frame(one: Any) -> bool:
    return any(hasattr(one, name) for name in FRAMES)


def running(frame: FrameType | None) -> list[Place]:
    """The places of a running thread, from the loop's step inwards."""
    places: list[Place] = []
    while frame is not None and frame.f_code is not _STEP:
        places.append((frame.f_code, frame.f_lineno))
        frame = frame.f_back
    return places[::-1]


def raised(error: BaseException) -> tuple[Place, ...]:
    """Where an exception was raised, from the loop's step inwards."""
    places = [(frame.f_code, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    step = max((n for n, (code, _) in enumerate(places) if code is _STEP), default=-1)
    return tuple(places[step + 1 :])


def process_ended(error: BaseException) -> ProcessEnded:
    """The end of a run in whose loop a task or a callback raised what no loop holds back."""
    name = type(error).__name__
    text = f"{f'{name}: {error}'.removesuffix(': ')}, raised in a task or callback, ends the process on every server"
    return ProcessEnded(text, {name: raised(error)})


def up_to_users_code(places: list[Place]) -> tuple[Place, ...]:
    """Leave out what varies from sample to sample: what the outermost function of the user's own calls."""
    outer = next((at for at, (code, _) in enumerate(places) if is_users(code.co_filename)), 0)
    return (*places[:outer], *((code, code.co_firstlineno) for code, _ in places[outer : outer + 1]))


def is_users(filename: str) -> bool:
    """Whether a file is the user's own, and neither installed nor ours."""
    return not filename.startswith(("<frozen", *NOT_USERS))


def where(stacks: dict[str, tuple[Place, ...]]) -> str:
    """The innermost places of the user's own code, as the end of a sentence."""
    places = []
    for stack in stacks.values():
        own = [place for place in stack if is_users(place[0].co_filename)]
        places += own[-1:]
    names = sorted({f"{code.co_qualname} ({Path(code.co_filename).name}:{line})" for code, line in places})
    return f": {', '.join(names)}" if names else ""

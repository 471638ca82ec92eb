"""Stalls: watches a loop in real time, where nothing counts its turns, and gets the app out of a step without end."""

import asyncio
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import FrameType

from wsharness import births, http, inprocess, lifespan, probes
from wsharness.errors import BusyLoop
from wsharness.runtime import AsyncioRuntime, Runtime
from wsharness.transcript import Fact
from wsharness.watchdog import interruption, watchdog

STEP_LIMIT = 5.0  # seconds of CPU a step of the app's may take, as in a simulation
TRIO_LOOP = "unrolled_run"
_NOTHING = nullcontext()
SERVERS = frozenset((inprocess.__file__, lifespan.__file__))
CALLERS = SERVERS | {http.__file__}  # whose calls are the app's


class Turns:
    """Asks a loop for a turn when the watchdog looks; a step that is not the app's may take as long as it likes."""

    at_own_work = False

    def __init__(self, runtime: Runtime, note: Callable[[str, Fact], object]) -> None:
        self._post = runtime.poster()
        self._loop = runtime.loop if isinstance(runtime, AsyncioRuntime) else None
        self._note = weakref.WeakMethod(note)
        self._count = 0
        self._is_asked = False

    @property
    def turns(self) -> int:
        """Moves while the loop turns, and while it does not run at all."""
        if self._loop is not None and not self._loop.is_running():
            self._count += 1
        elif not self._is_asked:
            self._is_asked = True
            try:
                self._post(self._answer)
            except RuntimeError:  # the loop has ended
                self._answer()
        return self._count

    def _answer(self) -> None:
        self._is_asked = False
        self._count += 1

    def interrupt(self, frame: FrameType | None, *, blocked: bool = False) -> type[BusyLoop] | None:
        """What to raise in a step of the app's that has no end."""
        callers = {one.f_code.co_filename for one in _users_callers(frame)}
        if not callers & CALLERS and not self._is_apps(frame):
            return None
        sentence, brief = probes.blocked(frame, computes=not blocked)
        note = self._note()
        if not callers & SERVERS and note is not None:  # else it is told as its handler ends
            note("", Fact("busy loop", brief, probes.without_own(probes.running_stack(frame))))
        return interruption(sentence, brief)

    def _is_apps(self, frame: FrameType | None) -> bool:
        """Whether a task runs that a handler made, or what it asked to be called."""
        if self._loop is None:
            return _serves(frame)
        task = asyncio.current_task(self._loop)
        return task is None or births.birthplace(task) is not None


def _serves(frame: FrameType | None) -> bool:
    """Whether trio runs a task of a handler's; another thread is told only by the frame of trio's own loop."""
    while frame is not None and frame.f_code.co_name != TRIO_LOOP:
        frame = frame.f_back
    task = None if frame is None else frame.f_locals.get("task")
    return bool(task is not None and task.context.get(inprocess.serving))


def _users_callers(frame: FrameType | None) -> list[FrameType]:
    """The frames of the loop's step that lie outside the user's innermost one; all where none is the user's."""
    frames: list[FrameType] = []
    while frame is not None and frame.f_code is not asyncio.Handle._run.__code__:  # noqa: SLF001 (no public name)
        frames.append(frame)
        frame = frame.f_back
    own = next((at for at, one in enumerate(frames) if probes.place(one.f_code.co_filename)[1]), -1)
    return frames[own + 1 :]


def watching(runtime: Runtime, note: Callable[[str, Fact], object], limit: float) -> AbstractContextManager[None]:
    """Get the app out of steps that take more than `limit` and STEP_LIMIT seconds of CPU.

    A simulated loop is watched by who runs it.
    """
    if hasattr(getattr(runtime, "loop", None), "turns"):
        return _NOTHING
    return watchdog.watching(Turns(runtime, note), max(limit, STEP_LIMIT))

"""Births: where the app's own code made each task, for the day that one of them is found to have leaked."""

import asyncio
import sys
import types
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from wsharness.holders import leads_to
from wsharness.inprocess import serving
from wsharness.probes import leak_fact, make_frame, place, tasks_left, tasks_since
from wsharness.transcript import Fact, Frame


class Birth(NamedTuple):
    """Where a task was made, and in whose handler."""

    code: types.CodeType
    line: int
    connection: str


MOMENT = 0.2  # seconds, in which a connection's own task ends that was about to
_DEPTH = 60  # frames to look at for one of the user's own
_born: "weakref.WeakKeyDictionary[asyncio.Task[Any], Birth]" = weakref.WeakKeyDictionary()
_watched: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int]" = weakref.WeakKeyDictionary()
"""How many harnesses run on a loop."""


def watch(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Note where tasks are made while connections are served on this loop; call what it returns to stop.

    A loop whose methods cannot be replaced is left as it is: its tasks have no birthplace.
    """
    count = _watched[loop] = _watched.get(loop, 0) + 1
    attributes = getattr(loop, "__dict__", None)
    if count == 1 and attributes is not None:
        make = loop.create_task
        attributes["create_task"] = lambda coro, **options: _note(make(coro, **options))
    return lambda: _stop(loop)


def _stop(loop: asyncio.AbstractEventLoop) -> None:
    _watched[loop] -= 1
    if _watched[loop] == 0:
        del _watched[loop]
        getattr(loop, "__dict__", {}).pop("create_task", None)


def _is_alone() -> bool:
    """Whether one harness at most runs on this loop: of several, none knows the others' tasks."""
    try:
        return _watched.get(asyncio.get_running_loop(), 0) <= 1
    except RuntimeError:  # trio, whose nurseries leave no task behind
        return True


def _note(task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
    if serving.get():
        frame: types.FrameType | None = sys._getframe(2)  # noqa: SLF001 (no public name)
        for _ in range(_DEPTH):
            if frame is None:
                break
            if place(frame.f_code.co_filename)[1]:
                _born[task] = Birth(frame.f_code, frame.f_lineno, serving.get())
                break
            frame = frame.f_back
    return task


def birthplace(task: "asyncio.Task[Any]") -> Frame | None:
    """Where the user's own code made a task; None for one that no connection's handler made."""
    born = _born.get(task)
    return None if born is None else make_frame(born.code, born.line)


async def left_behind(known: "set[asyncio.Task[Any]]", patience: float, served: Mapping[str, Any]) -> list[Fact]:
    """What is to be said of tasks that did not run when `known` was taken and do not end in so many seconds.

    `served` has the connections by name. A task is a connection's own where what it was given to run leads to the
    app's end of that connection; such a task may be about to end, and gets a moment for it. Beside other harnesses
    only such tasks are known to be this one's.
    """
    alone = _is_alone()
    tasks = await tasks_left(known, patience if alone else 0)
    own = {task for task in tasks if _is_own(task, served)}
    if own and patience < MOMENT:
        await asyncio.wait(own, timeout=MOMENT)
    return [_fact(task, own=task in own) for task in (tasks if alone else own) if not task.done()]


def left_so_far(known: "set[asyncio.Task[Any]]", served: Mapping[str, Any]) -> list[Fact]:
    """What is to be said of tasks of connections that have ended, where nothing says that they are about to end."""
    born = ((task, _born.get(task)) for task in tasks_since(known))
    outlived = [task for task, by in born if by is not None and _has_ended(served.get(by.connection))]
    return [_fact(task, own=_is_own(task, served)) for task in outlived if _waits(task) and not task.cancelling()]


def _has_ended(served: Any) -> bool:
    return served is not None and served.connection.ended


def _waits(task: "asyncio.Task[Any]") -> bool:
    future = getattr(task, "_fut_waiter", None)
    return future is not None and not future.done()


def _is_own(task: "asyncio.Task[Any]", served: Mapping[str, Any]) -> bool:
    born = _born.get(task)
    end = None if born is None or born.connection not in served else served[born.connection].channel()
    return end is not None and leads_to(task.get_coro(), end)


def _fact(task: "asyncio.Task[Any]", *, own: bool) -> Fact:
    born = _born.get(task)
    fact = leak_fact(task, birthplace(task))
    return fact if born is None else replace(fact, data=fact.data | {"connection": born.connection, "own": own})

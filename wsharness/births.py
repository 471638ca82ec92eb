"""Births: where the app's own code made each task, for the day that one of them is found to have leaked."""

import asyncio
import sys
import types
import weakref
from collections.abc import Callable
from typing import Any

from wsharness.inprocess import serving
from wsharness.probes import make_frame, place
from wsharness.transcript import Frame

_DEPTH = 60  # frames to look at for one of the user's own
_born: "weakref.WeakKeyDictionary[asyncio.Task[Any], tuple[types.CodeType, int]]" = weakref.WeakKeyDictionary()
_watched: "weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, int]" = weakref.WeakKeyDictionary()


def watch(loop: asyncio.AbstractEventLoop) -> Callable[[], None]:
    """Note where tasks are made while connections are served on this loop; call what it returns to stop.

    A loop whose methods cannot be replaced is left as it is: its tasks have no birthplace.
    """
    attributes = getattr(loop, "__dict__", None)
    if attributes is None:
        return lambda: None
    count = _watched.get(loop, 0)
    _watched[loop] = count + 1
    if count == 0:
        make = loop.create_task
        attributes["create_task"] = lambda coro, **options: _note(make(coro, **options))
    return lambda: _stop(loop, attributes)


def _stop(loop: asyncio.AbstractEventLoop, attributes: dict[str, Any]) -> None:
    _watched[loop] -= 1
    if _watched[loop] == 0:
        del _watched[loop]
        attributes.pop("create_task", None)


def _note(task: "asyncio.Task[Any]") -> "asyncio.Task[Any]":
    if serving.get():
        frame: types.FrameType | None = sys._getframe(2)  # noqa: SLF001 (no public name)
        for _ in range(_DEPTH):
            if frame is None:
                break
            if place(frame.f_code.co_filename)[1]:
                _born[task] = frame.f_code, frame.f_lineno
                break
            frame = frame.f_back
    return task


def birthplace(task: "asyncio.Task[Any]") -> Frame | None:
    """Where the user's own code made a task; None for one that no connection's handler made."""
    born = _born.get(task)
    return None if born is None else make_frame(*born)

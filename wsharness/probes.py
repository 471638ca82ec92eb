"""Facts about tasks, memory and stacks, read from the running program as plain data."""

import asyncio
import os
import sys
import sysconfig
import threading
import types
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from wsharness.errors import UnsupportedError
from wsharness.stopping import running, suspended
from wsharness.transcript import Fact, Frame, Stack

_STDLIB: tuple[str, ...] = tuple(
    os.path.realpath(_path) + os.sep
    for key in ("stdlib", "platstdlib")
    if (_path := sysconfig.get_path(key)) is not None
)
_OWN = os.path.dirname(os.path.realpath(__file__)) + os.sep
_MAX_DEPTH = 200


def _real(path: str) -> str:
    """The path without links, or as it is where the disk is out of bounds, as on a loop that blockbuster guards."""
    try:
        return os.path.realpath(path)
    except Exception:  # noqa: BLE001 (whatever forbids it)
        return path


@lru_cache(maxsize=4096)
def place(filename: str) -> tuple[str, bool]:
    """A file's name relative to where it is imported from, and whether it is the user's own code."""
    path = _real(filename)
    if "site-packages" + os.sep in path or "dist-packages" + os.sep in path:
        return path.rpartition("-packages" + os.sep)[2], False
    for root in _STDLIB:
        if path.startswith(root):
            return path.removeprefix(root), False
    if path.startswith(_OWN):
        return "wsharness/" + path.removeprefix(_OWN), False
    if path.startswith("<") or not os.path.isabs(filename):
        return filename, not filename.startswith("<frozen")
    roots = (_real(entry or os.curdir).rstrip(os.sep) + os.sep for entry in (os.curdir, *sys.path))
    best = max((root for root in roots if path.startswith(root)), key=len, default="")
    return path.removeprefix(best), True


def make_frame(code: types.CodeType, line: int | None) -> Frame:
    """A Frame for a code object and a line."""
    return frame_at(code.co_filename, line or code.co_firstlineno, code.co_qualname)


def frame_at(filename: str, line: int, function: str) -> Frame:
    """A Frame for a line of a file, in a function of that qualified name."""
    file, user = place(filename)
    return Frame(file, line, function.replace(".<locals>", ""), user)


def without_own(frames: Iterable[Frame]) -> Stack:
    """Leave out the harness's own frames: they say nothing about the app."""
    return tuple(
        frame for frame in frames if frame.file.startswith("wsharness/app/") or not frame.file.startswith("wsharness/")
    )


def stack_of(awaitable: Any) -> Stack:
    """Where a coroutine is suspended, from its outermost frame to the innermost await."""
    return without_own(_suspended(awaitable))


def _suspended(awaitable: Any) -> Iterator[Frame]:
    return (make_frame(code, line) for code, line in suspended(awaitable))


def stack_here() -> Stack:
    """What is running: from the loop's task to whoever called the harness."""
    frames: list[Frame] = []
    frame: types.FrameType | None = sys._getframe(1)  # noqa: SLF001 (no public name)
    while frame is not None and len(frames) < _MAX_DEPTH:
        frames.append(make_frame(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    frames.reverse()
    own = max((n for n, one in enumerate(frames) if one.file.startswith("asyncio/")), default=-1)
    return without_own(frames[own + 1 :])


def running_stack(frame: types.FrameType | None) -> Stack:
    """What a thread runs: from the loop's step inwards, where it shows, else from the thread's start."""
    return tuple(make_frame(*place) for place in running(frame))


def blocked(frame: types.FrameType | None, *, computes: bool) -> tuple[str, str]:
    """The sentence on a step that gives its event loop no turn; and without its place."""
    stack = without_own(running_stack(frame))
    at = next((one for one in reversed(stack) if one.user), stack[-1] if stack else None)
    where = "" if at is None else f", at {at.file}:{at.line} in {at.function},"
    does = "computes" if computes else "waits for something outside"
    says = "and gives the event loop no turn; run such work in a thread, as asyncio.to_thread does"
    return f"the app {does} in one step{where} {says}", f"the app {does} in one step {says}"


_SENDING = ("send", "close")


def is_users_call(stack: Stack) -> bool:
    """Whether the user's own code called what sends, and not a framework that answers for it."""
    last = max((number for number, frame in enumerate(stack) if frame.user), default=None)
    if last is None or last == len(stack) - 1:
        return last is not None
    called = stack[last + 1].function.lower()
    return any(word in called for word in _SENDING)


def stack_of_error(error: BaseException) -> Stack:
    """Where an exception was raised, from the outermost frame to the innermost."""
    frames = []
    traceback = error.__traceback__
    while traceback is not None:
        frames.append(make_frame(traceback.tb_frame.f_code, traceback.tb_lineno))
        traceback = traceback.tb_next
    return without_own(frames)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside nested groups; one that is no group is its own leaf."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def worst(error: BaseException, harmless: Callable[[BaseException], bool]) -> BaseException:
    """The only leaf of a group that is not harmless, else a harmless one; the group where several are not."""
    inside = [*leaves(error)]
    bad = [one for one in inside if not harmless(one)]
    return error if len(bad) > 1 else (bad or inside)[0]


def text_of(error: BaseException) -> str:
    """What an exception says; a group, what its leaves say."""
    if not isinstance(error, BaseExceptionGroup):
        return str(error)
    said = dict.fromkeys(f"{type(one).__name__}: {one}".removesuffix(": ") for one in leaves(error))
    return "; ".join(said)


def stack_of_task(task: "asyncio.Task[Any]") -> Stack:
    """Where a task is suspended."""
    return stack_of(task.get_coro())


def pending_tasks(known: "Iterable[asyncio.Task[Any]]") -> "list[asyncio.Task[Any]]":
    """The loop's tasks that are not done and not known, in an order that does not depend on addresses."""
    skip = set(known)
    skip.add(asyncio.current_task())  # type: ignore[arg-type]
    return sorted((task for task in _alive() if task not in skip), key=lambda task: task.get_name())


def class_name(error: BaseException) -> str:
    """An exception's class as people write it: `KeyError`, `starlette.websockets.WebSocketDisconnect`."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def disconnected_client(error: BaseException | None) -> str | None:
    """Whose connection was gone when a send raised: the name the server left on its ClientDisconnected."""
    for _ in range(_MAX_DEPTH):
        if error is None:
            return None
        client = getattr(error, "client", None)
        if isinstance(error, OSError) and isinstance(client, str):
            return client
        error = error.__cause__ or error.__context__
    return None


def scopes_of(error: BaseException) -> list[Any]:
    """The ASGI scopes of the functions that an exception went through, as they call them."""
    found, traceback = [], error.__traceback__
    while traceback is not None:
        found.append(traceback.tb_frame.f_locals.get("scope"))
        traceback = traceback.tb_next
    return [one for one in found if one is not None]


def was_found_gone(error: BaseException, scopes: list[Any]) -> bool:
    """Whether a handler of these scopes used its own connection that an earlier send had found gone.

    Starlette says so by a RuntimeError. Where `receive` had told the handler, it went on nevertheless.
    """
    traceback = error.__traceback__
    if not isinstance(error, RuntimeError) or traceback is None:
        return False
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    websocket = traceback.tb_frame.f_locals.get("self")
    states = [getattr(getattr(websocket, f"{side}_state", None), "name", "") for side in ("application", "client")]
    scope = getattr(websocket, "scope", None)
    return states == ["DISCONNECTED", "CONNECTED"] and any(one is scope for one in scopes)


def refused(error: BaseException | None) -> str:
    """What the simulation refused the app, where an exception comes of that."""
    for _ in range(_MAX_DEPTH):
        if error is None or isinstance(error, UnsupportedError):
            break
        error = error.__cause__ or error.__context__
    return "" if error is None else str(error)


def tasks_now() -> "set[asyncio.Task[Any]]":
    """The running loop's tasks; none on trio, whose nurseries leave no task behind."""
    try:
        return _alive()
    except RuntimeError:
        return set()


def _alive() -> "set[asyncio.Task[Any]]":
    """The running loop's tasks; a simulated one knows its own, asyncio looks through those of every loop."""
    loop = asyncio.get_running_loop()
    alive = getattr(loop, "alive", None)
    return asyncio.all_tasks(loop) if alive is None else set(alive())


def tasks_since(known: "set[asyncio.Task[Any]]") -> "list[asyncio.Task[Any]]":
    """Tasks that did not run when `known` was taken and still do."""
    try:
        return pending_tasks(known)
    except RuntimeError:
        return []


async def tasks_left(known: "set[asyncio.Task[Any]]", seconds: float) -> "list[asyncio.Task[Any]]":
    """Tasks that did not run when `known` was taken and do not end by themselves in so many seconds."""
    tasks = tasks_since(known)
    if tasks and seconds > 0:
        await asyncio.wait(tasks, timeout=seconds)
        tasks = tasks_since(known)
    return tasks


def leak_fact(task: "asyncio.Task[Any]", created: Frame | None = None) -> Fact:
    """A task that outlived everything, and where it was created."""
    coroutine = task.get_coro()
    stack = stack_of(coroutine)
    name = getattr(coroutine, "__qualname__", "a task").replace(".<locals>", "")
    if len(stack) > 1 and stack[0].file.startswith("anyio/"):
        name = stack[1].function  # what a task group runs
    data = {"coroutine": name}
    if created is not None:
        data["created"] = f"{created.file}:{created.line} in {created.function}"
    by = f", created at {data['created']}," if created is not None else ""
    return Fact("task leaked", f"the task {name}{by} still runs", stack, data)


_WAITS = ("asyncio/locks.py", "asyncio/queues.py", "anyio/_core/_synchronization.py", "anyio/_backends/_asyncio.py")


def stuck_fact(coroutine: Any, *, hopeless: bool) -> Fact:
    """A handler that did not end: what it awaits; a deadlock where that is a lock and no timer is left."""
    every = list(_suspended(coroutine))
    stack = without_own(every)
    innermost = every[-1] if every else Frame("", 0, "")
    deadlock = hopeless and innermost.file in _WAITS
    return Fact("handler stuck", f"awaiting {_waits_for(every)}", stack, {"deadlock": deadlock})


LOCKS = ("Lock.acquire", "Semaphore.acquire")


def lost_locks(tasks: "Iterable[asyncio.Task[Any]]") -> "Iterator[tuple[asyncio.Task[Any], Fact]]":
    """Waits for a lock that is taken though no task is left that may give it back; the loop is at rest."""
    stacks = {task: list(_suspended(task.get_coro())) for task in tasks}
    users = {task: stack for task, stack in stacks.items() if any(frame.user for frame in without_own(stack))}
    waits = {task: stack for task, stack in users.items() if stack[-1].file in _WAITS and stack[-1].function in LOCKS}
    for task, stack in waits.items() if len(waits) == len(users) else ():
        message = f"awaiting {_waits_for(stack)}, which no other handler and no task is left to release"
        yield task, Fact("handler stuck", message, without_own(stack), {"deadlock": True})


_SERVERS = {
    "Channel.receive": "receive",
    "Channel.send": "send",
    "Session._app_receives": "receive",
    "Session._app_sends": "send",
}
"""What an app is given to call, by our own names."""


def _waits_for(every: list[Frame]) -> str:
    """The innermost call that is awaited: of the harness's own only the app's receive and send."""
    for frame in every:
        if frame.function in _SERVERS:
            return _SERVERS[frame.function]
    stack = [frame for frame in without_own(every) if not frame.file.startswith("trio/_core/")]
    return stack[-1].function if stack else "its first step"


def whereabouts(coroutine: Any) -> str:
    """Where a handler is suspended and what it awaits, as the end of a sentence."""
    if getattr(coroutine, "cr_running", False):
        return "is running"
    every = list(_suspended(coroutine))
    stack = without_own(every)
    frame = next((one for one in reversed(stack) if one.user), stack[-1] if stack else None)
    if frame is None:
        return "has not started"
    what = _waits_for(every)
    awaits = f", awaiting {what}" if what != frame.function else ""
    return f"is at {frame.file}:{frame.line} in {frame.function}{awaits}"


def threads_at() -> list[str]:
    """Where threads are in the user's own code, as sentences: handlers that are not async run in such."""
    own = (threading.main_thread().ident, threading.get_ident())
    every = sys._current_frames().items()  # noqa: SLF001 (no public name)
    stacks = [running_stack(frame) for ident, frame in every if ident not in own]
    inner = (next((one for one in reversed(stack) if one.user), None) for stack in stacks)
    return [f"a thread is at {one.file}:{one.line} in {one.function}" for one in inner if one is not None]

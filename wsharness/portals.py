"""Portal: calls into the event loop of another thread, which come back even where that loop makes no turn."""

import contextlib
import inspect
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextvars import copy_context
from functools import partial
from typing import Any

import anyio
import anyio.from_thread

from wsharness import probes
from wsharness.errors import LoopBlocked, UsageError
from wsharness.runtime import Job, current_runtime
from wsharness.watchdog import BLOCKED, IDLE, cpu_clock, interruption, is_debugged, raise_in

GLANCE = 1.0  # seconds in which a loop that is not blocked makes a turn, however busy the machine is
ATTEMPTS = 3  # to get out of a step, which may catch what is raised in it


class LoopEnded(UsageError, RuntimeError):
    """A call to a loop that is no more: a RuntimeError, as anyio's portals raise."""


class Portal:
    """A way into a loop that runs in another thread; where a step of the app never ends, it is raised out of it."""

    def __init__(self, plain: anyio.from_thread.BlockingPortal, patience: float) -> None:
        self.plain = plain
        """anyio's own, whose `call` and `start_task_soon` are this one's."""
        self._patience = patience
        self._runtime = current_runtime()
        self._post = self._runtime.poster()
        self._thread = threading.current_thread()
        self._clock = cpu_clock(threading.get_ident())
        self._is_blocked = False
        self._waits = False
        plain.call = self.call  # type: ignore[assignment,method-assign]
        plain.start_task_soon = self.start_task_soon  # type: ignore[assignment,method-assign]

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call it on the loop; LoopBlocked where the loop makes no turn for long."""
        return self.call_within(self._patience, function, *args)

    def call_within(self, limit: float, function: Callable[..., Any], *args: Any) -> Any:
        """Call it on the loop; LoopBlocked where it has no answer in `limit` seconds, and the loop makes no turn."""
        future = self.start_task_soon(function, *args)
        while True:
            with contextlib.suppress(TimeoutError):
                return future.result(GLANCE if self._is_blocked else limit)
            if future.done():  # the function's own TimeoutError, or it came just now
                return future.result()
            self._need_turn()

    def start_task_soon(self, function: Callable[..., Any], *args: Any, name: object = None) -> "Future[Any]":
        """Call it on the loop, and wait for nothing; to cancel the future cancels the call."""
        del name
        future: Future[Any] = Future()
        try:
            self._post(partial(copy_context().run, self._begin, function, args, future))
        except RuntimeError:
            raise LoopEnded("the event loop of this session has ended; use it inside its `with`") from None
        return future

    def start_soon(self, coroutine: Coroutine[Any, Any, None]) -> Job:
        """Run it beside everything else; called on the loop, where the end cancels it."""
        return self._runtime.spawn(coroutine, "TestClient")

    def _begin(self, function: Callable[..., Any], args: tuple[Any, ...], future: "Future[Any]") -> None:
        self.start_soon(self._fill(future, function, args))

    async def _fill(self, future: "Future[Any]", function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        """Let a future have what a function returns or raises."""
        try:
            value = function(*args)
            if inspect.isawaitable(value):
                with anyio.CancelScope() as scope:
                    future.add_done_callback(lambda _: self._cancel(future, scope))
                    value = await value
        except anyio.get_cancelled_exc_class():
            future.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 (raised in the thread that called)
            if future.set_running_or_notify_cancel():
                future.set_exception(error)
        else:
            if future.set_running_or_notify_cancel():
                future.set_result(value)

    def _cancel(self, future: "Future[Any]", scope: anyio.CancelScope) -> None:
        if future.cancelled():
            with contextlib.suppress(RuntimeError):  # the loop has ended
                self._post(scope.cancel)

    # Blocked

    def _need_turn(self) -> None:
        """Get the loop out of a step without end, and tell of it."""
        began, computed = time.monotonic(), self._clock()
        self._is_blocked = not self._makes_a_turn()
        if not self._is_blocked:
            return
        if not self._thread.is_alive():
            raise LoopBlocked("the event loop of this TestClient has ended; open another one")
        frame = sys._current_frames().get(self._ident)  # noqa: SLF001 (no public name)
        if is_debugged(frame):
            self._is_blocked = False
            return
        self._waits = self._clock() - computed < IDLE * (time.monotonic() - began)
        sentence, brief = probes.blocked(frame, computes=not self._waits)
        raise_in(self._ident, interruption(sentence, brief), waits=self._waits)
        raise LoopBlocked(sentence)

    @property
    def _ident(self) -> int:
        return self._thread.ident or 0

    def _makes_a_turn(self) -> bool:
        turned = threading.Event()
        try:
            self._post(turned.set)
        except RuntimeError:  # the loop is closed
            return False
        return turned.wait(GLANCE)

    # The end

    def close(self, *, cancel: bool) -> None:
        """End the loop and its thread; LoopBlocked where they do not, and are left behind."""
        with contextlib.suppress(RuntimeError):
            self._post(lambda: self.start_soon(self.plain.stop(cancel)))
        deadline = time.monotonic() + self._patience
        told, attempts = "its last tasks do not end", 0
        while attempts < ATTEMPTS and time.monotonic() < deadline:
            self._thread.join(GLANCE)
            if not self._thread.is_alive():
                return
            try:
                self._need_turn()
            except LoopBlocked as blocked:
                told = str(blocked)
                attempts += ATTEMPTS if self._waits else 1  # what waits in C cannot be raised out of it
        raise LoopBlocked(f"the TestClient's event loop could not be ended, and its thread was left behind: {told}")


@contextlib.contextmanager
def open_portal(timeout: float, backend: str = "asyncio", backend_options: Any = None) -> Iterator[Portal]:
    """A new event loop in a new thread, as anyio's start_blocking_portal; nobody waits for it without end."""
    opened: Future[Portal] = Future()

    async def serve() -> None:
        async with anyio.from_thread.BlockingPortal() as plain:
            opened.set_result(Portal(plain, BLOCKED * timeout))
            await plain.sleep_until_stopped()

    def run() -> None:
        try:
            anyio.run(serve, backend=backend, backend_options=backend_options)
        except BaseException as error:  # noqa: BLE001 (raised in the thread that opens it)
            if not opened.done():
                opened.set_exception(error)

    threading.Thread(target=run, daemon=True, name=f"{backend} portal of wsharness").start()
    portal = opened.result()
    try:
        yield portal
    except BaseException as error:
        try:
            portal.close(cancel=True)
        except LoopBlocked as blocked:
            if not isinstance(error, LoopBlocked):
                error.add_note(f"also: {blocked}")
        raise
    portal.close(cancel=False)

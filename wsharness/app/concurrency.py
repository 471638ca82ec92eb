"""Generators as resources of a connection: threads for sync ones, undisturbed clean-up, limits."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from types import TracebackType
from typing import Any
from weakref import WeakKeyDictionary

import anyio.to_thread
from anyio import CancelScope, CapacityLimiter, Semaphore
from anyio.lowlevel import RunVar, checkpoint_if_cancelled
from starlette.concurrency import iterate_in_threadpool, run_in_threadpool, run_until_first_complete

__all__ = [
    "Limit",
    "Threaded",
    "Undisturbed",
    "iterate_in_threadpool",
    "limited",
    "run_in_threadpool",
    "run_until_first_complete",
]


class Threaded(AbstractAsyncContextManager[Any]):
    """A sync context manager whose both ends run in a thread."""

    def __init__(self, manager: AbstractContextManager[Any]) -> None:
        self.manager = manager

    async def __aenter__(self) -> Any:
        return await run_in_threadpool(self.manager.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        # A limiter of its own: entering may hold every thread there is while it waits for an exit.
        with CancelScope(shield=True):
            suppressed = await anyio.to_thread.run_sync(
                self.manager.__exit__, kind, error, trace, limiter=CapacityLimiter(1)
            )
        return bool(suppressed)


class Undisturbed(AbstractAsyncContextManager[Any]):
    """An async context manager whose exit is not cut short when the connection is cancelled.

    `shelter` was entered before it, so that scopes the manager opens are left in their order.
    """

    def __init__(self, manager: AbstractAsyncContextManager[Any], shelter: CancelScope) -> None:
        self.manager = manager
        self.shelter = shelter

    async def __aenter__(self) -> Any:
        return await self.manager.__aenter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        before = self.shelter.shield
        self.shelter.shield = True
        try:
            suppressed = bool(await self.manager.__aexit__(kind, error, trace))
        finally:
            self.shelter.shield = before
        if error is None or suppressed:
            # A task group may have swallowed the cancellation while it was held off.
            await checkpoint_if_cancelled()
        return suppressed


class Limit:
    """How many connections at once may use what one Depends(max_concurrency=...) declares."""

    def __init__(self, size: int) -> None:
        self.size = size

    def semaphore(self) -> Semaphore:
        """The semaphore of the running event loop."""
        semaphores = _semaphores.get(None)
        if semaphores is None:
            semaphores = WeakKeyDictionary()
            _semaphores.set(semaphores)
        return semaphores.setdefault(self, Semaphore(self.size))


_semaphores: RunVar[WeakKeyDictionary[Limit, Semaphore]] = RunVar("wsharness.app.limits")


@asynccontextmanager
async def limited(manager: AbstractAsyncContextManager[Any], limit: Limit) -> AsyncIterator[Any]:
    """The context manager, entered once the limit allows it and counted until it is left."""
    async with limit.semaphore(), manager as value:
        yield value

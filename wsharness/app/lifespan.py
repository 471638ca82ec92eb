"""Lifespans: start-up handlers, generators and context managers as one context manager."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeAlias

from wsharness.app.calls import Kind, kind_of

Lifespan: TypeAlias = Callable[[Any], AbstractAsyncContextManager[Any]]
EventHandler: TypeAlias = Callable[[], Any]


def as_lifespan(lifespan: Callable[[Any], Any]) -> Lifespan:
    """A lifespan given as a generator function, or as what contextlib makes of one."""
    kind = kind_of(lifespan)
    if kind is Kind.ASYNC_GENERATOR and not hasattr(lifespan, "__wrapped__"):
        return asynccontextmanager(lifespan)
    if kind is Kind.GENERATOR and not hasattr(lifespan, "__wrapped__"):
        return _made_async(contextmanager(lifespan))
    return lifespan


def handlers_lifespan(on_startup: list[EventHandler], on_shutdown: list[EventHandler]) -> Lifespan:
    """A lifespan that calls these handlers, those included that are added later."""

    @asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        await _call_all(on_startup)
        yield
        await _call_all(on_shutdown)

    return lifespan


def merged(outer: Lifespan, inner: Lifespan) -> Lifespan:
    """Both lifespans, one inside the other; where both set a name of the state, the outer one wins."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Mapping[str, Any] | None]:
        async with outer(app) as outer_state, inner(app) as inner_state:
            if outer_state is None and inner_state is None:
                yield None
            else:
                yield {**(inner_state or {}), **(outer_state or {})}

    return lifespan


def _made_async(manager: Callable[[Any], Any]) -> Lifespan:
    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[Any]:
        with manager(app) as state:
            yield state

    return lifespan


async def _call_all(handlers: list[EventHandler]) -> None:
    for handler in handlers:
        result = handler()
        if kind_of(handler) is Kind.COROUTINE:
            await result

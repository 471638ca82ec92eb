"""wsharness/app/lifespan.py: every form of a lifespan, and two of them merged."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from wsharness.app.lifespan import as_lifespan, handlers_lifespan, merged


async def state_of(lifespan: Any) -> Any:
    async with lifespan("app") as state:
        return state


def generator(app: Any) -> Iterator[dict[str, Any]]:
    yield {"app": app}


async def plain(app: Any) -> AsyncIterator[dict[str, Any]]:
    yield {"app": app}


@pytest.mark.parametrize("lifespan", [generator, plain, asynccontextmanager(plain)], ids=["sync", "async", "made"])
def test_a_generator_function_becomes_a_lifespan(lifespan: Any) -> None:
    assert asyncio.run(state_of(as_lifespan(lifespan))) == {"app": "app"}


def test_handlers_are_called_in_order_sync_and_async() -> None:
    log: list[str] = []

    async def later() -> None:
        log.append("async")

    startup: list[Any] = [lambda: log.append("sync")]
    lifespan = handlers_lifespan(startup, [lambda: log.append("stop")])
    startup.append(later)  # after the lifespan was made
    asyncio.run(state_of(lifespan))
    assert log == ["sync", "async", "stop"]


def test_of_two_lifespans_the_outer_one_wins() -> None:
    def having(state: Any) -> Any:
        @asynccontextmanager
        async def lifespan(app: Any) -> AsyncIterator[Any]:
            yield state

        return lifespan

    assert asyncio.run(state_of(merged(having({"a": 1, "b": 1}), having({"b": 2, "c": 2})))) == {
        "a": 1,
        "b": 1,
        "c": 2,
    }
    assert asyncio.run(state_of(merged(having(None), having(None)))) is None
    assert asyncio.run(state_of(merged(having(None), having({"a": 1})))) == {"a": 1}

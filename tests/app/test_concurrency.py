"""wsharness/app/concurrency.py: threads, clean-up that is not cut short, limits."""

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import anyio
import pytest

from wsharness.app.concurrency import Limit, Threaded, Undisturbed, limited


def test_both_ends_of_a_sync_resource_run_in_a_thread() -> None:
    threads = []

    @contextmanager
    def resource() -> Iterator[int]:
        threads.append(threading.current_thread())
        yield 1
        threads.append(threading.current_thread())

    async def main() -> None:
        async with Threaded(resource()) as value:
            assert value == 1

    anyio.run(main)
    assert len(threads) == 2
    assert threading.main_thread() not in threads


def test_a_sync_resource_may_swallow_the_exception() -> None:
    @contextmanager
    def resource() -> Iterator[None]:
        try:
            yield
        except ValueError:
            pass

    async def main() -> None:
        async with Threaded(resource()):
            raise ValueError
        with pytest.raises(KeyError):
            async with Threaded(resource()):
                raise KeyError

    anyio.run(main)


def test_leaving_needs_no_free_thread_of_the_common_ones() -> None:
    left = []

    @contextmanager
    def resource() -> Iterator[None]:
        yield
        left.append("resource")

    async def main() -> None:
        limiter = anyio.to_thread.current_default_thread_limiter()
        async with Threaded(resource()):
            limiter.total_tokens = 1
            await limiter.acquire_on_behalf_of("somebody")

    with_limit(main)
    assert left == ["resource"]


def with_limit(main: Any) -> None:
    async def bounded() -> None:
        with anyio.fail_after(5):
            await main()

    anyio.run(bounded)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_cleanup_is_finished_although_the_connection_is_cancelled(backend: str) -> None:
    log = []

    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        try:
            yield
        finally:
            await anyio.sleep(0)
            log.append("clean")

    async def main() -> None:
        with anyio.CancelScope() as outer:
            with anyio.CancelScope() as shelter:
                async with Undisturbed(resource(), shelter):
                    outer.cancel()
                    await anyio.sleep(0)
                log.append("never")
        assert outer.cancelled_caught
        assert not shelter.shield

    anyio.run(main, backend=backend)
    assert log == ["clean"]


def test_a_resource_that_swallows_its_cancellation_does_not_hide_it() -> None:
    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        try:
            yield
        except BaseException:
            return

    reached = []

    async def main() -> None:
        with anyio.CancelScope() as outer, anyio.CancelScope() as shelter:
            async with Undisturbed(resource(), shelter):
                outer.cancel()
                await anyio.sleep(0)
            reached.append(True)

    anyio.run(main)
    assert reached == []


def test_a_limit_lets_so_many_in_at_once_and_is_one_for_each_loop() -> None:
    limit = Limit(2)
    inside, most = 0, 0

    @asynccontextmanager
    async def resource() -> AsyncIterator[None]:
        yield

    async def use() -> None:
        nonlocal inside, most
        async with limited(resource(), limit):
            inside += 1
            most = max(most, inside)
            await anyio.sleep(0)
            inside -= 1

    async def main() -> None:
        assert limit.semaphore() is limit.semaphore()
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(use)
        assert limit.semaphore().value == 2

    anyio.run(main)
    anyio.run(main)
    assert most == 2

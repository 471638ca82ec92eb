import asyncio

import pytest

from wsharness import Harness, simulate
from wsharness.runtime import current_runtime


async def test_what_is_there_in_the_next_turn_needs_no_wake_up():
    runtime = current_runtime()
    came = []
    runtime.call_later(0, lambda: came.append("x"))
    async with asyncio.timeout(5):
        assert await runtime.signal().wait_until(lambda: came)


async def test_what_comes_later_wakes_who_waits():
    runtime = current_runtime()
    signal, came = runtime.signal(), []

    def come():
        came.append("x")
        signal.wake()

    runtime.call_later(0.01, come)
    async with asyncio.timeout(5):
        assert await signal.wait_until(lambda: came)


async def test_a_wait_in_vain_ends_with_its_limit():
    signal = current_runtime().signal()
    for limit in (0, 0.01):
        assert await signal.wait_until(lambda: False, limit) is False


def test_in_virtual_time_a_wait_adds_no_turn():
    async def app(scope, receive, send):
        """Says nothing."""

    async def drive(ws):
        runtime, looked = ws.runtime, []
        runtime.call_later(0, lambda: looked.append("turn"))
        waiting = asyncio.create_task(runtime.signal().wait_until(lambda: looked.append("look"), 1))
        assert await waiting is False
        assert looked.count("look") == 2  # before it waits and at its limit

    simulate(drive, app, lifespan="off").check()


async def test_a_handler_may_end_while_it_is_started():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})

    class Ended(asyncio.Future):
        def set_name(self, name):
            """What each task can."""

    def at_once(loop, coroutine, **options):
        """As Python 3.12's eager_task_factory, for handlers that end without waiting."""
        if "_run" not in coroutine.__qualname__:
            return asyncio.Task(coroutine, loop=loop, **options)
        with pytest.raises(StopIteration):
            coroutine.send(None)
        return Ended(loop=loop)

    asyncio.get_running_loop().set_task_factory(at_once)
    async with Harness(app, lifespan="off") as ws:
        client = await ws.connect("/")
        assert (await client.expect_close()).code == 4000

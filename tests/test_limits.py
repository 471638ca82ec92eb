"""Limits of waits in virtual time: they end as a timer for each would, and most need none."""

import asyncio

import pytest

from wsharness.runner import run
from wsharness.runtime import current_runtime


def timers(loop):
    return [timer for timer in loop._scheduled if not timer.cancelled()]


def test_a_wait_that_ends_in_time_needs_no_timer():
    async def main():
        loop, signal, ready = asyncio.get_running_loop(), current_runtime().signal(), []
        waiting = asyncio.ensure_future(signal.wait_until(lambda: ready, 5))
        await asyncio.sleep(0)
        assert timers(loop) == []
        ready.append(1)
        signal.wake()
        assert await waiting
        return loop.time()

    assert run(main) == 0.0


def test_a_wait_ends_at_its_time():
    async def main():
        loop, signal = asyncio.get_running_loop(), current_runtime().signal()
        sleeping = asyncio.ensure_future(asyncio.sleep(1))
        assert not await signal.wait_until(lambda: False, 2.5)
        assert sleeping.done()
        assert timers(loop) == []
        return loop.time()

    assert run(main) == 2.5


@pytest.mark.parametrize("wait_first", [True, False])
def test_what_is_due_at_once_comes_in_the_order_it_was_made(wait_first):
    order = []

    async def wait():
        await current_runtime().signal().wait_until(lambda: False, 1)
        order.append("wait")

    async def sleep():
        await asyncio.sleep(1)
        order.append("sleep")

    async def main():
        made = (wait(), sleep()) if wait_first else (sleep(), wait())
        await asyncio.gather(*made)

    run(main)
    assert order == (["wait", "sleep"] if wait_first else ["sleep", "wait"])


def test_a_wait_of_no_time_lets_the_others_go_on():
    async def main():
        going = True

        async def go():
            for _ in range(1000):
                if not going:
                    return "stopped"
                await asyncio.sleep(0)
            return "went on to its end"

        task = asyncio.ensure_future(go())
        assert not await current_runtime().signal().wait_until(lambda: False, 0)
        going = False
        return await task

    assert run(main) == "stopped"


def test_a_wait_that_is_cancelled_holds_up_no_time():
    async def main():
        signal = current_runtime().signal()
        for before in (0, 1):
            waiting = asyncio.ensure_future(signal.wait_until(lambda: False, 100))
            await asyncio.sleep(before)
            waiting.cancel()
        await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(main) == 1.0

import asyncio
import time

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from tests.orders import under_all
from wsharness.loop import VirtualTimeLoop
from wsharness.runner import run
from wsharness.scheduling import make_schedule

# Time


def test_sleeping_takes_exactly_its_time_and_no_real_time():
    async def main():
        loop = asyncio.get_running_loop()
        assert loop.time() == 0.0
        await asyncio.sleep(0.1)
        assert loop.time() == 0.1
        await asyncio.sleep(3 * 86400)
        return loop.time()

    before = time.monotonic()
    assert run(main) == 3 * 86400 + 0.1
    assert time.monotonic() - before < 300


def test_the_clock_shows_each_timers_own_due_time():
    async def main():
        loop = asyncio.get_running_loop()
        seen, due = [], [0.1 * n for n in range(1, 50)]
        for when in due:
            loop.call_at(when, lambda: seen.append(loop.time()))
        await asyncio.sleep(10)
        return seen == sorted(due)

    assert run(main)


def test_timers_due_at_once_fire_in_the_order_they_were_made():
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        for number in range(50):
            loop.call_at(5.0, seen.append, number)
        await asyncio.sleep(6)
        return seen

    assert run(main) == list(range(50))


def test_time_does_not_stop_at_a_cancelled_timer():
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        timers = [loop.call_later(n, seen.append, n) for n in range(1, 300)]
        for timer in timers[:-1]:
            timer.cancel()
        await asyncio.sleep(0)
        turns = loop.turns
        await asyncio.sleep(500)
        return seen, loop.turns - turns < 20

    assert run(main) == ([299], True)


def test_small_steps_count_after_a_long_time():
    async def main():
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2e9)
        for _ in range(3):
            await asyncio.sleep(1e-9)
            await asyncio.sleep(0.001)
        return loop.time()

    assert run(main, time_limit=1e10) == pytest.approx(2e9 + 0.003)


def test_a_delay_of_zero_or_less_is_due_at_once():
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        loop.call_later(0, seen.append, 0)
        loop.call_later(-5, seen.append, -5)
        loop.call_at(-100, seen.append, -100)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return sorted(seen), loop.time()

    assert run(main) == ([-100, -5, 0], 0.0)


def test_timeouts_of_asyncio_and_anyio():
    async def main():
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 7)
        with anyio.move_on_after(11) as scope:
            await anyio.sleep_forever()
        async with asyncio.timeout(100):
            await asyncio.sleep(1)
        assert scope.cancelled_caught
        return loop.time()

    assert set(under_all(main, range(5))) == {24.0}


def test_app_timers_counts_timers_that_are_not_the_harnesses_own():
    def own():
        pass

    own.__module__ = "wsharness.runtime"

    async def main():
        loop = asyncio.get_running_loop()
        assert loop.app_timers() == 0
        timer = loop.call_later(5, print)
        loop.call_later(5, own)
        assert loop.app_timers() == 1
        timer.cancel()
        assert loop.app_timers() == 0
        task = asyncio.create_task(asyncio.sleep(9))
        await asyncio.sleep(0)
        assert loop.app_timers() == 1
        task.cancel()

    run(main)


def test_debug_mode_changes_nothing(monkeypatch):
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_debug(True)
        loop.slow_callback_duration = 100
        async with asyncio.timeout(10):
            await asyncio.gather(asyncio.sleep(1), anyio.to_thread.run_sync(int))
        return loop.time()

    assert set(under_all(main, range(3))) == {1.0}


def test_a_loop_may_be_closed_twice():
    loop = VirtualTimeLoop(make_schedule("fifo"))
    loop.close()
    loop.close()
    assert loop.is_closed()

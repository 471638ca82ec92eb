import asyncio
import gc
import time

import pytest

from wsharness.runner import run
from wsharness.stopping import BusyLoop, Deadlock, TimeLimitReached

# What stops a run


async def for_ever():
    await asyncio.Event().wait()


async def spin():
    while True:
        await asyncio.sleep(0)


def compute():
    number = 0
    while True:
        number += 1


async def computes():
    compute()


def test_a_deadlock_is_named_with_the_stacks():
    async def main():
        one, two = asyncio.Lock(), asyncio.Lock()

        async def take(first, second):
            async with first:
                await asyncio.sleep(1)
                async with second:
                    raise AssertionError

        await asyncio.gather(take(one, two), take(two, one))

    with pytest.raises(Deadlock, match="deadlock") as caught:
        run(main)
    assert list(caught.value.stacks) == ["Task-1", "Task-2", "Task-3"]
    assert [code.co_name for code, _ in caught.value.stacks["Task-2"]][0] == "take"


def test_idle_is_asked_before_a_deadlock():
    calls = []

    async def main():
        event = asyncio.Event()
        calls.append(event)
        await event.wait()
        return "woken"

    assert run(main, idle=lambda: calls[0].set()) == "woken"
    with pytest.raises(Deadlock):
        run(for_ever, idle=lambda: None)


def test_a_busy_loop_is_named_with_the_busy_task_only():
    async def main():
        waiting = asyncio.create_task(for_ever(), name="waiting")
        busy = asyncio.create_task(spin(), name="busy")
        await asyncio.gather(waiting, busy)

    with pytest.raises(BusyLoop, match=r"spin \(test_loop_stopping.py:\d+\)") as caught:
        run(main, turn_limit=500)
    assert list(caught.value.stacks) == ["busy"]


def test_a_busy_loop_of_two_tasks_names_both():
    async def main():
        queues = [asyncio.Queue(), asyncio.Queue()]

        async def pass_on(take, give):
            while True:
                give.put_nowait(await take.get())

        queues[0].put_nowait("ball")
        async with asyncio.TaskGroup() as group:
            group.create_task(pass_on(*queues), name="ping")
            group.create_task(pass_on(*queues[::-1]), name="pong")

    with pytest.raises(BusyLoop) as caught:
        run(main, turn_limit=500)
    assert sorted(caught.value.stacks) == ["ping", "pong"]


def test_progress_and_time_put_a_busy_loop_off():
    count = 0

    async def main():
        nonlocal count
        for _ in range(5000):
            count += 1
            await asyncio.sleep(0)

    async def sleeps():
        for _ in range(5000):
            await asyncio.sleep(0.001)

    run(main, turn_limit=100, progress=lambda: count)
    run(sleeps, turn_limit=100)
    with pytest.raises(BusyLoop):
        run(main, turn_limit=100)


def test_an_app_cannot_swallow_being_stopped():
    async def main():
        while True:
            try:
                await spin()
            except Exception:
                pass

    with pytest.raises(BusyLoop):
        run(main, turn_limit=500)


def test_an_app_that_swallows_cancellation_is_abandoned():
    async def main():
        while True:
            try:
                await asyncio.sleep(1 if time else 0)
            except asyncio.CancelledError:
                pass

    with pytest.raises(TimeLimitReached, match="1000 s of virtual time"):
        run(main, time_limit=1000)
    gc.collect()


def test_a_stopped_run_still_cleans_up():
    cleaned = []

    async def main():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(5)
            cleaned.append(asyncio.get_running_loop().time())

    with pytest.raises(Deadlock):
        run(main)
    assert cleaned == [5.0]


def test_code_that_never_yields_is_stopped_from_outside_at_the_handlers_frame():
    seen = set()
    for _ in range(3):
        with pytest.raises(BusyLoop, match=r"computes \(test_loop_stopping.py:\d+\)") as caught:
            run(computes, step_limit=0.1)
        seen.add(str(caught.value))
        (stack,) = caught.value.stacks.values()
        assert (stack[-1][0].co_name, stack[-1][1]) == ("computes", computes.__code__.co_firstlineno)
    assert len(seen) == 1


def test_code_that_never_yields_and_catches_everything_is_stopped_too():
    async def main():
        task = asyncio.create_task(stubborn())
        await task

    async def stubborn():
        for _ in range(2):
            try:
                compute()
            except BaseException:
                continue

    with pytest.raises(BusyLoop):
        run(main, step_limit=0.1)


def test_a_slow_step_within_the_limit_is_no_busy_loop():
    async def main():
        for _ in range(5):
            end = time.process_time() + 0.06
            while time.process_time() < end:
                pass
            await asyncio.sleep(0)
        return "done"

    assert run(main, step_limit=2) == "done"

import asyncio
import json
import sys

import pytest

from wsharness import errors
from wsharness.stopping import (
    BusyLoop,
    Deadlock,
    SimulationStopped,
    ThreadStuck,
    TimeLimitReached,
    running,
    suspended,
    up_to_users_code,
    where,
)


def names(places):
    return [code.co_name for code, _ in places]


async def inner():
    await asyncio.sleep(5)


async def outer():
    await inner()


@pytest.mark.parametrize("kind", [BusyLoop, Deadlock, ThreadStuck, TimeLimitReached])
def test_no_app_swallows_a_stop_by_except_exception(kind):
    assert issubclass(kind, SimulationStopped)
    assert not issubclass(kind, Exception)


def test_a_busy_loop_is_the_one_that_is_raised_inside_apps_too():
    assert issubclass(BusyLoop, errors.BusyLoop)


def test_where_a_coroutine_is_suspended_from_outside_in():
    async def main():
        task = asyncio.create_task(outer())
        await asyncio.sleep(0)
        places = list(suspended(task.get_coro()))
        task.cancel()
        await asyncio.wait([task])
        return names(places)

    assert asyncio.run(main()) == ["outer", "inner", "sleep"]


class Awaited:
    """As a class-based endpoint is."""

    def __await__(self):
        return inner().__await__()


def test_an_object_that_is_awaited_is_looked_into():
    async def main():
        async def outermost():
            await Awaited()

        task = asyncio.create_task(outermost())
        await asyncio.sleep(0)
        places = list(suspended(task.get_coro()))
        task.cancel()
        await asyncio.wait([task])
        return names(places)

    assert asyncio.run(main()) == ["outermost", "inner", "sleep"]


def test_what_is_no_coroutine_has_no_places():
    assert list(suspended(None)) == []


def test_a_running_thread_is_seen_from_the_loops_step_inwards():
    async def main():
        def look():
            return running(sys._getframe())

        return look()

    assert names(asyncio.run(main())) == ["main", "look"]


def test_only_the_outermost_function_of_the_users_own_is_kept():
    def helper():
        return running(sys._getframe())

    def handler(_):
        found.append(helper())
        return None

    found = []
    json.loads("{}", object_hook=handler)
    places = [place for place in found[0] if place[0].co_name in ("decode", "raw_decode", "handler", "helper")]
    kept = up_to_users_code(places)
    assert names(kept)[-1] == "handler"
    assert kept[-1][1] == handler.__code__.co_firstlineno
    assert up_to_users_code([]) == ()


def test_a_sentence_ends_with_the_users_own_places():
    stacks = {"a": ((outer.__code__, 20), (json.loads.__code__, 3)), "b": ((json.loads.__code__, 3),)}
    assert where(stacks) == ": outer (test_stopping.py:20)"
    assert where({}) == ""

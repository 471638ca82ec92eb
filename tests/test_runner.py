"""Running coroutines in virtual time: what comes back, what is refused, and what is left behind."""

import asyncio
import gc
import threading
import weakref

import anyio
import pytest

from tests.test_loop_stopping import computes, for_ever
from wsharness import errors
from wsharness.runner import run
from wsharness.stopping import BusyLoop


def test_runs_work_off_the_main_thread():
    results = []

    def work():
        try:
            run(computes, step_limit=0.1)
        except BusyLoop as stopped:
            results.append(str(stopped))

        async def main():
            await asyncio.sleep(5)
            return await anyio.to_thread.run_sync(lambda: 7)

        results.append(run(main))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(300)
    assert "computes" in results[0]
    assert results[1] == 7


def test_what_main_returns_and_raises():
    async def returns():
        return 5

    async def raises():
        raise KeyError("x")

    async def cancels():
        raise asyncio.CancelledError

    assert run(returns) == 5
    with pytest.raises(KeyError, match="x"):
        run(raises)
    with pytest.raises(asyncio.CancelledError):
        run(cancels)
    for error in (KeyboardInterrupt, SystemExit):

        async def interrupted():
            raise error

        with pytest.raises(error):
            run(interrupted)


def test_what_is_left_is_cancelled():
    ended = []

    async def left():
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append("left")

    async def main():
        keep.append(asyncio.create_task(left()))
        await asyncio.sleep(0)

    keep = []
    run(main)
    assert ended == ["left"]
    assert keep[0].cancelled()


def test_what_goes_wrong_while_it_is_cancelled_is_told():
    told = []

    async def left():
        try:
            await asyncio.sleep(1000)
        finally:
            raise KeyError("cleanup")

    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
        keep.append(asyncio.create_task(left()))
        await asyncio.sleep(0)

    keep = []
    run(main)
    assert [repr(error) for error in told] == ["KeyError('cleanup')"]


def test_a_running_loop_is_refused_by_name():
    async def main():
        with pytest.raises(errors.UsageError, match=r"simulate\(\) cannot run inside a running event loop \(asyncio"):
            run(for_ever)

    asyncio.run(main())

    async def nested():
        with pytest.raises(errors.UsageError, match="VirtualTimeLoop"):
            run(for_ever)

    run(nested)


def test_something_else_than_an_async_function_is_refused():
    with pytest.raises(errors.UsageError, match="expected an async function"):
        run(lambda: 5)
    with pytest.raises(errors.UsageError, match="did you mean 'random'"):
        run(for_ever, schedule="rnd_om")


def test_a_second_simulation_in_another_thread_is_refused():
    async def main():
        def inner():
            run(for_ever)

        with pytest.raises(errors.UsageError, match="another simulation runs"):
            await anyio.to_thread.run_sync(inner)
        return "outer"

    assert run(main) == "outer"


def test_a_run_leaves_nothing_for_the_garbage_collector():
    seen = []

    async def main():
        loop = asyncio.get_running_loop()
        seen.append(weakref.ref(loop))
        loop.set_exception_handler(lambda *_: loop)
        await asyncio.sleep(1)

    gc.collect()
    gc.disable()
    try:
        run(main, schedule="random")
        assert seen[0]() is None
    finally:
        gc.enable()

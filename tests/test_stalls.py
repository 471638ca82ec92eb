"""In real time, on whatever loop: a step of the app's that has no end fails its test, and names the place."""

import asyncio
import contextlib
import threading
import time

import anyio
import pytest

from wsharness import stalls
from wsharness.errors import ExpectationError, HandlerStuck, LoopBlocked, TargetError
from wsharness.harness import Harness
from wsharness.sync import SyncHarness

BACKENDS = pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])


@pytest.fixture(autouse=True)
def short_steps(monkeypatch):
    monkeypatch.setattr(stalls, "STEP_LIMIT", 0.05)


async def spin():
    while True:
        pass


async def catches_all():
    while True:
        with contextlib.suppress(Exception):
            await spin()


async def sleeps():
    time.sleep(60)


async def locks():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


async def in_group():
    async with anyio.create_task_group() as group:
        group.start_soon(spin)


async def in_task():
    asyncio.create_task(spin())  # noqa: RUF006 (nobody waits for it)
    await asyncio.sleep(0)


async def in_callback():
    asyncio.get_running_loop().call_soon(compute)


def compute(seconds=3600.0):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def app_of(act):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await act()
        await receive()

    return app


async def talk(act):
    async with Harness(app_of(act), timeout=0.05, lifespan="off") as ws:
        client = await ws.connect("/", timeout=30)
        await client.send("go")
        await client.expect()


@pytest.mark.anyio
@BACKENDS
@pytest.mark.parametrize("act", [spin, catches_all, in_group])
async def test_a_handler_that_computes_without_end(act, anyio_backend):
    with pytest.raises(LoopBlocked, match=r"computes in one step, at .*test_stalls\.py:\d+ in spin, .*to_thread"):
        await talk(act)


@pytest.mark.anyio
@pytest.mark.parametrize(("act", "anyio_backend"), [(sleeps, "asyncio"), (locks, "trio")])
async def test_a_handler_that_waits_for_something_outside(act, anyio_backend):
    with pytest.raises(LoopBlocked, match=rf"waits for something outside in one step, at .*test_.* in {act.__name__},"):
        await talk(act)


@pytest.mark.parametrize(("act", "name"), [(in_task, "spin"), (in_callback, "compute")])
def test_what_a_handler_left_to_the_loop_computes_without_end(act, name):
    async def main():
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await talk(act)

    with pytest.raises(ExpectationError, match=rf"(?s)no message came.*busy loop: .*in {name}"):
        asyncio.run(main())


def test_without_await():
    harness = Harness(app_of(spin), timeout=0.05, lifespan="off")
    with pytest.raises(LoopBlocked, match="in spin"), SyncHarness(harness) as ws:
        client = ws.connect("/", timeout=30)
        client.send("go")
        client.expect()


def test_a_lifespan_that_computes_without_end(monkeypatch):
    monkeypatch.setattr("wsharness.harness.LIFESPAN_LIMIT", 0.1)

    async def app(scope, receive, send):
        await spin()

    async def main():
        async with Harness(app):
            pass

    with pytest.raises(TargetError, match="startup raised BusyLoop: the app computes .* in spin"):
        asyncio.run(main())


async def nothing():
    pass


@pytest.mark.anyio
@BACKENDS
async def test_the_tests_own_steps_may_take_long(anyio_backend):
    async with Harness(app_of(nothing), lifespan="off") as ws:
        client = await ws.connect("/")
        compute(0.2)
        await client.send("bye")
    assert not [*ws.transcript.facts("busy loop")]


def test_a_loop_that_stands_still_is_no_stall():
    with SyncHarness(Harness(app_of(nothing), lifespan="off")) as ws:
        client = ws.connect("/")
        compute(0.2)
        client.send("bye")
    assert not [*ws.transcript.facts("busy loop")]


def test_a_handler_that_catches_its_cancellation_is_given_up():
    async def stays():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    async def main():
        async with Harness(app_of(stays), grace=0.05, lifespan="off") as ws:
            await (await ws.connect("/")).send("go")

    with pytest.raises(HandlerStuck, match="in .*stays, awaiting sleep"):
        asyncio.run(main())

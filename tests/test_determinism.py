# ruff: noqa: TID251 (what a run does to the real clock and randomness is what is tested)
import asyncio
import datetime
import gc
import os
import random
import secrets
import subprocess
import sys
import time
import uuid

import anyio
import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from wsharness import determinism
from wsharness.errors import UsageError
from wsharness.runner import run
from wsharness.simulation import simulate


def cancelled_group_order(kind):
    order = []

    async def sleeper(name):
        try:
            await asyncio.sleep(100)
        finally:
            order.append(name)

    async def asyncio_group():
        async with asyncio.TaskGroup() as group:
            for name in range(8):
                group.create_task(sleeper(name))
            await asyncio.sleep(1)
            raise ValueError

    async def anyio_group():
        async with anyio.create_task_group() as group:
            for name in range(8):
                group.start_soon(sleeper, name)
            await asyncio.sleep(1)
            group.cancel_scope.cancel()

    async def anyio_scopes():
        async def scoped(name):
            with anyio.CancelScope():
                await sleeper(name)

        async with anyio.create_task_group() as group:
            for name in range(8):
                group.start_soon(scoped, name)
            await asyncio.sleep(1)
            group.cancel_scope.cancel()

    try:
        run({"asyncio": asyncio_group, "anyio": anyio_group, "scopes": anyio_scopes}[kind])
    except ExceptionGroup:
        pass
    return tuple(order)


@pytest.mark.parametrize("kind", ["asyncio", "anyio", "scopes"])
def test_a_group_cancels_in_the_same_order_every_time(kind):
    keep, orders = [], set()
    for count in range(12):
        keep.append([object() for _ in range(count * 7)])  # moves addresses
        orders.add(cancelled_group_order(kind))
    assert len(orders) == 1


SCRIPT = """
import asyncio, random, uuid, secrets, time, anyio
from wsharness.runner import run
from wsharness.simulation import simulate
out = []
async def sleeper(name):
    try:
        await asyncio.sleep(random.random() * 50)
    finally:
        out.append((name, asyncio.get_running_loop().time(), asyncio.current_task().get_name()))
async def main():
    queues = {asyncio.Queue() for _ in range(9)}
    out.append([queue.maxsize for queue in queues])
    async with anyio.create_task_group() as group:
        for name in range(9):
            group.start_soon(sleeper, name)
        await asyncio.sleep(20)
        group.cancel_scope.cancel()
    out.append((uuid.uuid4().hex, secrets.token_hex(4), time.time()))
for _ in range(3):
    run(main, schedule="random", seed=4)
size = len(out) // 3
assert out[:size] == out[size : 2 * size] == out[2 * size :]
print(out)
"""


def test_same_bytes_in_another_process_under_another_hash_seed():
    outputs = set()
    for hash_seed in ("0", "1", "77"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, check=True, encoding="utf-8"
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


def closed(pair):
    for stream in pair:
        stream.close()
    return pair


@pytest.mark.parametrize(
    "make",
    [
        lambda: asyncio.Queue(),
        lambda: asyncio.PriorityQueue(),
        lambda: asyncio.Event(),
        lambda: asyncio.Lock(),
        lambda: asyncio.Condition(),
        lambda: asyncio.BoundedSemaphore(),
        lambda: anyio.Event(),
        lambda: anyio.CancelScope(),
        lambda: closed(anyio.create_memory_object_stream(1))[0],
    ],
    ids=["queue", "priority", "event", "lock", "condition", "semaphore", "anyio event", "scope", "stream"],
)
def test_sets_of_what_apps_keep_in_sets_iterate_in_the_same_order(make):
    keep = []

    async def main():
        made = [make() for _ in range(11)]
        keep.append(made)
        return [made.index(thing) for thing in set(made)]

    orders = []
    for count in range(6):
        keep.append([object() for _ in range(count * 13)])
        orders.append(run(main))
    assert orders == [orders[0]] * 6


def test_sets_of_websockets_iterate_in_the_same_order():
    websockets = pytest.importorskip("starlette.websockets")
    keep = []

    async def main():
        made = [websockets.WebSocket({"type": "websocket"}, None, None) for _ in range(11)]
        keep.append(made)
        return [made.index(thing) for thing in set(made)]

    assert run(main) == run(main) == run(main)


def test_what_was_made_before_keeps_its_hash(monkeypatch):
    monkeypatch.setattr(determinism, "_number_of", {})
    determinism.number_known_classes()
    queue = object.__new__(asyncio.Queue)  # made without our __init__: as if before the patch
    assert hash(queue) == object.__hash__(queue)


@pytest.mark.parametrize("module", determinism.HASHED_BY_NUMBER)
def test_all_listed_classes_exist(module):
    imported = pytest.importorskip(module)
    for name in determinism.HASHED_BY_NUMBER[module]:
        assert isinstance(getattr(imported, name), type)


def test_task_behind_tells_steps_from_callbacks():
    async def waits(future):
        await future

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        task = asyncio.create_task(waits(future))
        assert [determinism.task_behind(handle) for handle in loop._ready] == [task]
        await asyncio.sleep(0)
        loop.call_soon(task.cancel)
        loop.call_soon(print)
        future.set_result(None)
        assert [determinism.task_behind(handle) for handle in loop._ready] == [None, None, task]
        python_task = asyncio.tasks._PyTask(waits(loop.create_future()), loop=loop)
        assert determinism.task_behind(list(loop._ready)[-1]) in (python_task, None)
        loop._ready.pop().cancel()
        loop._ready.popleft(), loop._ready.popleft()
        python_task._log_destroy_pending = False
        python_task.get_coro().close()

    run(main)


def test_tasks_are_named_by_their_number_in_the_run():
    async def main():
        return [asyncio.create_task(asyncio.sleep(0)).get_name() for _ in range(2)]

    assert run(main) == run(main) == ["Task-2", "Task-3"]


def test_randomness_is_seeded_and_put_back():
    async def main():
        return random.random(), random.randint(0, 10**9), uuid.uuid4(), secrets.token_bytes(9), os.urandom(3)

    state, urandom = random.getstate(), os.urandom
    assert run(main, seed=1) == run(main, seed=1)
    assert all(a != b for a, b in zip(run(main, seed=1), run(main, seed=2)))
    assert random.getstate() == state
    assert os.urandom is urandom
    assert uuid.uuid4() != uuid.uuid4()


@pytest.mark.parametrize("keep", [determinism.StateInMemory, determinism.StateInNumbers])
def test_the_state_of_a_random_is_given_back_whole(keep):
    source = random.Random(7)
    source.gauss(0, 1)  # keeps a second number for the next call
    state, kept = source.getstate(), keep(source)
    source.seed(8)
    assert source.getstate() != state
    kept.give_back()
    assert source.getstate() == state and state[2] is not None


def test_cpython_lays_a_random_out_as_expected():
    assert determinism.keep_state is determinism.StateInMemory


def test_randomness_is_put_back_when_the_run_fails():
    async def main():
        raise ValueError

    state, urandom, thresholds = random.getstate(), os.urandom, gc.get_threshold()
    with pytest.raises(ValueError):
        run(main)
    assert (random.getstate(), os.urandom, gc.get_threshold()) == (state, urandom, thresholds)
    assert abs(time.time() - determinism.EPOCH) > 100


def test_the_wall_clock_follows():
    async def main():
        before, monotonic = time.time(), time.monotonic()
        await asyncio.sleep(90_000.5)
        assert time.monotonic() - monotonic < 60
        return before, time.time() - before, datetime.datetime.now(datetime.timezone.utc)

    before, passed, now = run(main)
    assert (before, passed) == (determinism.EPOCH, 90_000.5)
    assert now == datetime.datetime(2026, 1, 2, 1, 0, 0, 500_000, tzinfo=datetime.timezone.utc)
    assert abs(time.time() - now.timestamp()) > 100


def test_the_wall_clock_can_be_left_alone():
    async def main():
        await asyncio.sleep(10**6)
        return time.time()

    assert abs(run(main, wall_clock=False) - time.time()) < 3600


def test_freezegun_is_refused_by_name(monkeypatch):
    class FakeDatetime(datetime.datetime):
        pass

    async def main():
        pass

    monkeypatch.setitem(sys.modules, "freezegun", datetime)
    monkeypatch.setattr(datetime, "datetime", FakeDatetime)
    with pytest.raises(UsageError, match="freezegun"):
        run(main)
    run(main, wall_clock=False)


def test_garbage_is_collected_less_often_in_a_run():
    async def main():
        return gc.get_threshold()

    before = gc.get_threshold()
    assert run(main) == determinism.GC_THRESHOLDS
    assert gc.get_threshold() == before


async def test_a_task_list_knows_those_that_are_alive_and_forgets_those_that_are_gone():
    tasks = determinism.TaskList()
    waiting = asyncio.ensure_future(asyncio.sleep(60))
    tasks.add(waiting)
    for _ in range(1_100):
        done = asyncio.ensure_future(asyncio.sleep(0))
        tasks.add(done)
        await done
    del done
    gc.collect()
    tasks.add(waiting)
    assert tasks.alive() == [waiting, waiting]
    assert len(tasks._tasks) < 1_100
    waiting.cancel()


def test_a_task_factory_of_the_users_own_hides_no_task():
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(lambda loop, coro, **options: asyncio.Task(coro, loop=loop, **options))
        task = loop.create_task(asyncio.sleep(1))
        found = task in loop.alive()
        await task
        return found

    assert run(main)


async def comes(ws):
    await ws.connect("/ws")


def works_in_the_background(work):
    async def handler(websocket):
        await websocket.accept()
        task = asyncio.ensure_future(work(websocket))
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            pass
        finally:
            await asyncio.sleep(1)
            task.cancel()

    return Starlette(routes=[WebSocketRoute("/ws", handler)])


def test_a_task_that_is_cancelled_after_it_has_failed_is_found():
    async def divide(websocket):
        return 1 / 0

    result = simulate(comes, works_in_the_background(divide))
    assert [(failure.code, failure.kind) for failure in result.failures] == [("WSH110", "ZeroDivisionError")]


def test_a_task_that_its_client_ended_and_that_is_cancelled_then_is_right():
    async def tick(websocket):
        while True:
            await websocket.send_text("tick")
            await asyncio.sleep(0.1)

    assert not simulate(comes, works_in_the_background(tick)).failures


LINES = asyncio.Queue(), asyncio.Lock()


def test_what_a_module_keeps_belongs_to_the_loop_of_each_run():
    queue, lock = LINES

    async def waits(websocket):
        await websocket.accept()
        async with lock:
            await queue.get()
        await websocket.close()

    async def both(ws):
        clients = [await ws.connect("/ws") for _ in range(2)]
        for client in clients:
            queue.put_nowait("x")
        for client in clients:
            await client.expect_close()

    for _ in range(2):
        simulate(both, Starlette(routes=[WebSocketRoute("/ws", waits)])).check()

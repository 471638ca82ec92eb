import asyncio
import functools
import gc
import warnings

import anyio
import pytest

from wsharness import Harness, births, simulate
from wsharness.probes import leak_fact


async def forever():
    await asyncio.Event().wait()


async def leaky(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    scope["task"] = asyncio.ensure_future(forever())
    await receive()


async def leaks(count):
    async with Harness(leaky, lifespan="off", grace=0.05) as ws:
        for client in await ws.connect_many(count, "/"):
            await client.close()
        await ws.settle()
        before = len(asyncio.all_tasks())
        assert before >= count
    found = [record.event for record in ws.transcript.facts("task leaked")]
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    return found, ws


async def test_a_leaked_task_is_told_with_where_it_was_made():
    found, ws = await leaks(2)
    line = leaky.__code__.co_firstlineno + 3
    created = f"tests/test_births.py:{line} in leaky"
    assert [fact.data["created"] for fact in found] == [created] * 2
    assert found[0].message == f"the task forever, created at {created}, still runs"
    [failure] = ws.result().failures
    assert failure.message.endswith(f"; they were created at {created}")


async def test_the_loop_is_as_before_when_the_last_harness_ended():
    loop = asyncio.get_running_loop()
    first, second = births.watch(loop), births.watch(loop)
    first()
    assert "create_task" in vars(loop)
    second()
    assert "create_task" not in vars(loop)


class Bare:
    """Without a __dict__."""

    __slots__ = ("__weakref__",)


def test_a_loop_whose_methods_cannot_be_replaced_is_left_alone():
    loop = Bare()
    births.watch(loop)()
    assert not hasattr(loop, "create_task")


async def test_a_task_that_no_handler_made_has_no_birthplace():
    forget = births.watch(asyncio.get_running_loop())
    task = asyncio.create_task(forever())
    assert births.birthplace(task) is None
    task.cancel()
    forget()


def test_only_the_users_own_code_is_a_birthplace():
    from concurrent.futures import ThreadPoolExecutor

    loop = asyncio.new_event_loop()
    forget = births.watch(loop)
    births.serving.set("alice")
    with ThreadPoolExecutor(1) as pool:
        task = pool.submit(loop.create_task, asyncio.sleep(0)).result()
    births.serving.set("")
    assert births.birthplace(task) is None
    loop.run_until_complete(task)
    forget()
    loop.close()


class Consumer:
    """Keeps its connection, as consumers of frameworks do."""

    def __init__(self, send):
        self.send = send

    async def work(self):
        await forever()


async def works_for(send, *more, **named):
    await forever()


async def took(members):
    for one in members:
        assert one
        await forever()


def within(send):
    async def inner():
        await forever()
        await send({})

    return inner()


OWN = {
    "its object has the connection": lambda send: Consumer(send).work(),
    "an argument": lambda send: works_for(send),
    "one of several": lambda send: works_for(None, None, send),
    "a keyword": lambda send: works_for(None, there=send),
    "a coroutine within": lambda send: works_for(works_for(Consumer(send))),
    "a partial": lambda send: works_for(functools.partial(works_for, by=send)),
    "a variable around it": within,
}
OTHERS = {
    "nothing": lambda _: forever(),
    "taken from a list": lambda send: took([send]),
    "among many": lambda send: works_for({"members": [send]}),
}


@pytest.mark.parametrize("given", OWN | OTHERS)
@pytest.mark.parametrize("simulated", [False, True])
def test_one_task_of_one_connection_is_told_where_it_works_for_it(given, simulated):
    kept = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        kept.append(asyncio.get_running_loop().create_task((OWN | OTHERS)[given](send)))
        await receive()

    async def once(ws):
        await ws.connect("/")

    async def really():
        async with Harness(app, lifespan="off") as ws:
            await once(ws)
        for task in kept:
            task.cancel()
        return ws.result()

    with warnings.catch_warnings(action="ignore"):  # some are given coroutines that nobody awaits
        result = simulate(once, app, lifespan="off") if simulated else asyncio.run(really())
        kept.clear()
        gc.collect()  # or they are told of in a later test
    found = [failure for failure in result.failures if failure.code == "WSH104"]
    line = app.__code__.co_firstlineno + 3
    assert [f"created at tests/test_births.py:{line} in " in failure.message for failure in found] == [True] * (
        given in OWN
    )


async def test_a_task_that_is_about_to_end_gets_a_moment():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        scope["task"] = asyncio.create_task(says_goodbye(send))

    async def says_goodbye(send):
        await asyncio.sleep(births.MOMENT / 20)

    async with Harness(app, lifespan="off") as ws:
        await ws.connect("/")
    assert list(ws.transcript.facts("task leaked")) == []


async def test_a_task_groups_task_is_called_by_what_it_runs():
    async def pump():
        await asyncio.sleep(3600)

    before = asyncio.all_tasks()
    async with anyio.create_task_group() as group:
        group.start_soon(pump)
        await asyncio.sleep(0)
        (task,) = asyncio.all_tasks() - before
        assert leak_fact(task).data["coroutine"].endswith(".pump")
        group.cancel_scope.cancel()

"""Threads that an app starts itself: time passes when they have nothing to do."""

import asyncio
import queue
import sys
import threading
import time

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from wsharness import simulate, threads
from wsharness.runner import run
from wsharness.threads import is_at_work

QUEUES = [queue.SimpleQueue, queue.Queue]


class Worker:
    """Does what it is given in a thread of its own, as aiosqlite does."""

    def __init__(self, make):
        self.given = make()
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def work(self):
        while (item := self.given.get()) is not None:
            future, function = item
            future.get_loop().call_soon_threadsafe(future.set_result, function())

    async def do(self, function):
        future = asyncio.get_running_loop().create_future()
        self.given.put((future, function))
        return await future


def takes_long():
    time.sleep(0.05)  # of real time
    return 5


def in_c():
    return sum(range(10_000_000)) and 5


@pytest.mark.parametrize("make", QUEUES)
@pytest.mark.parametrize("function", [in_c, takes_long])
def test_time_stands_still_while_a_thread_is_at_work(make, function, monkeypatch):
    monkeypatch.setattr(threads, "WAITS", tuple(name for name in threads.WAITS if name != "sleep"))

    async def main():
        worker, loop = Worker(make), asyncio.get_running_loop()
        async with asyncio.timeout(0.01):
            assert await worker.do(function) == 5
            assert await worker.do(function) == 5
        assert loop.time() == 0
        await asyncio.sleep(3600)
        assert loop.time() == 3600
        worker.given.put(None)
        worker.thread.join()

    run(main)


def test_a_thread_that_works_on_and_on_is_not_heard_for_ever(monkeypatch):
    judged = []
    monkeypatch.setattr(threads, "is_at_work", lambda thread: judged.append(thread) or True)

    async def main():
        loop = asyncio.get_running_loop()
        loop.jobs.limit = 10 * threads.SILENCE
        worker = Worker(queue.SimpleQueue)
        await asyncio.sleep(1)
        count = len(judged)
        for _ in range(100):
            await asyncio.sleep(1)
        assert len(judged) == count > 0
        worker.given.put(None)
        worker.thread.join()

    run(main)


@pytest.mark.parametrize("make", QUEUES)
def test_a_thread_that_waits_for_a_queue_is_not_at_work(make):
    worker = Worker(make)
    for _ in range(1000):
        if not is_at_work(worker.thread):
            break
        time.sleep(0.01)
    assert not is_at_work(worker.thread)
    worker.given.put(None)
    worker.thread.join()
    assert not is_at_work(worker.thread)


def test_a_database_of_aiosqlite_answers_in_virtual_time():
    async def app(scope, receive, send):
        engine = create_async_engine("sqlite+aiosqlite://")
        await receive()
        async with engine.connect() as connection:
            one = await connection.scalar(text("select 1"))
        await engine.dispose()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(one)})
        await receive()

    async def ask(ws):
        client = await ws.connect("/")
        await client.expect("1")
        await asyncio.sleep(3600)

    result = simulate(ask, app, lifespan="off")
    assert result.failures == [] and result.error is None
    assert result.transcript.end == 3600


def test_a_thread_that_has_mail_or_calls_is_at_work():
    jobs = threads.Jobs(1.0)
    given = queue.SimpleQueue()
    calls = threading.Thread(target=jobs.arrive, args=(None,), daemon=True)
    with jobs._changed:
        calls.start()
        assert is_at_work(calls)
    calls.join()
    given.put(1)
    assert threads._has_mail(sys._getframe())
    given.get()
    assert not threads._has_mail(sys._getframe())

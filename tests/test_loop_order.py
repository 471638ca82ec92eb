import asyncio
import contextvars
import gc
import sys

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from tests.orders import under_all
from wsharness.runner import run
from wsharness.scheduling import make_schedule

SCHEDULES = ["fifo", "random", "pct"]


# What asyncio promises, under every schedule


def test_callbacks_run_in_the_order_registered():
    async def main():
        loop = asyncio.get_running_loop()
        seen = []
        for number in range(20):
            loop.call_soon(seen.append, number)
        future = loop.create_future()
        for number in range(20, 40):
            future.add_done_callback(lambda _, number=number: seen.append(number))
        future.set_result(None)
        await asyncio.sleep(0.1)
        return seen

    assert all(seen == list(range(40)) for seen in under_all(main))


def test_a_futures_callback_runs_before_those_who_wait_for_it():
    async def main():
        future = asyncio.get_running_loop().create_future()
        seen = []
        future.add_done_callback(lambda _: seen.append("callback"))

        async def waiter():
            await future
            seen.append("waiter")

        tasks = [asyncio.create_task(waiter()) for _ in range(3)]
        await asyncio.sleep(0.1)
        future.set_result(None)
        await asyncio.gather(*tasks)
        return seen[0]

    assert set(under_all(main)) == {"callback"}


def test_streams_over_real_sockets_under_every_schedule():
    async def main():
        async def serve(reader, writer):
            while line := await reader.readline():
                writer.write(line.upper())
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]

        async def talk(name):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            got = []
            for number in range(5):
                writer.write(f"{name}{number}\n".encode())
                got.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
            return got == [f"{name}{number}\n".upper().encode() for number in range(5)]

        async with asyncio.timeout(20):
            good = await asyncio.gather(*(talk(name) for name in "abc"))
        server.close()
        await server.wait_closed()
        return all(good)

    for seed in range(25):
        assert run(main, schedule="random", seed=seed, real_io=True)


def test_locks_are_exclusive_and_queues_keep_their_order():
    async def main():
        lock, queue, inside, got = asyncio.Lock(), asyncio.Queue(2), [], []

        async def locked(name):
            for _ in range(3):
                async with lock:
                    inside.append(name)
                    await asyncio.sleep(0)
                    assert inside.pop() == name
                    assert not inside

        async def produce():
            for number in range(20):
                await queue.put(number)

        async def consume():
            for _ in range(20):
                got.append(await queue.get())
                queue.task_done()

        async with asyncio.TaskGroup() as group:
            for name in "abc":
                group.create_task(locked(name))
            group.create_task(produce())
            group.create_task(consume())
        await queue.join()
        return got

    assert all(got == list(range(20)) for got in under_all(main))


def test_conditions_semaphores_barriers_and_anyio_streams():
    async def main():
        barrier, limit = asyncio.Barrier(3), asyncio.Semaphore(2)
        send, receive = anyio.create_memory_object_stream(1)
        inside, got = 0, []

        async def enter():
            nonlocal inside
            await barrier.wait()
            async with limit:
                inside += 1
                assert inside <= 2
                await asyncio.sleep(0)
                inside -= 1

        async def produce():
            async with send:
                for number in range(10):
                    await send.send(number)

        async with receive, anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(enter)
            group.start_soon(produce)
            async for item in receive:
                got.append(item)
        return got

    assert all(got == list(range(10)) for got in under_all(main))


def test_one_tasks_steps_stay_in_order():
    async def main():
        seen = []

        async def count(name):
            for number in range(5):
                seen.append((name, number))
                await asyncio.sleep(0)

        await asyncio.gather(*(count(name) for name in "abc"))
        return [[number for who, number in seen if who == name] for name in "abc"]

    assert all(numbers == [[0, 1, 2, 3, 4]] * 3 for numbers in under_all(main))


def test_contextvars_task_groups_and_async_generators():
    variable = contextvars.ContextVar("variable", default=0)
    closed = []

    async def numbers():
        try:
            for number in range(3):
                yield number
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async def main():
        async def child(value):
            variable.set(value)
            await asyncio.sleep(0.1)
            return variable.get()

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(value)) for value in range(5)]
        assert [task.result() for task in tasks] == [0, 1, 2, 3, 4]
        assert variable.get() == 0
        generator = numbers()
        await anext(generator)
        return True

    assert all(under_all(main, range(5)))
    gc.collect()
    assert len(closed) == 11
    assert variable.get() == 0


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks_keep_their_numbers():
    async def main():
        loop = asyncio.get_running_loop()
        loop.set_task_factory(asyncio.eager_task_factory)
        seen = []

        async def child(name):
            seen.append(name)
            await asyncio.sleep(0)
            seen.append(name)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(child(name)) for name in "ab"]
            assert seen == ["a", "b"]
        return [hash(task) for task in tasks], sorted(seen)

    assert all(result == ([2, 3], ["a", "a", "b", "b"]) for result in under_all(main, range(5)))


def test_a_schedule_finds_what_fifo_does_not():
    async def main():
        balance = 0

        async def add():
            nonlocal balance
            before = balance
            await asyncio.sleep(0)
            balance = before + 1

        async def later():
            for _ in range(3):
                await asyncio.sleep(0)
            await add()

        await asyncio.gather(add(), later())
        return balance

    assert run(main) == 2
    found = [seed for seed in range(60) if run(main, schedule="random", seed=seed) == 1]
    assert found
    schedule = make_schedule("random", found[0])
    run(main, schedule=schedule)
    assert run(main, schedule=schedule.deviations) == 1
    assert run(main, schedule={}) == 2


def test_fifo_is_asyncios_own_order():
    async def main():
        seen = []

        async def child(name):
            for _ in range(3):
                seen.append(name)
                await asyncio.sleep(0)

        await asyncio.gather(*map(child, "abcd"))
        return seen

    assert run(main) == run(main, schedule={}) == asyncio.run(main())

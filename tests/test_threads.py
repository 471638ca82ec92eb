import asyncio
import functools
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest

from wsharness.runner import run
from wsharness.stopping import ThreadStuck
from wsharness.threads import Job, Jobs


def slow(result=None):
    time.sleep(0.02)
    return result


async def in_pool(function, *args):
    return await asyncio.get_running_loop().run_in_executor(None, function, *args)


WAYS = {"anyio": anyio.to_thread.run_sync, "asyncio": asyncio.to_thread, "executor": in_pool}
pytestmark = pytest.mark.parametrize("way", WAYS)


@pytest.fixture
def in_thread(way):
    return WAYS[way]


def test_a_job_returns_raises_and_takes_no_virtual_time(in_thread):
    def fail():
        raise KeyError("x")

    async def main():
        loop = asyncio.get_running_loop()
        assert await in_thread(slow, 5) == 5
        with pytest.raises(KeyError):
            await in_thread(fail)
        assert loop.time() == 0.0
        with anyio.fail_after(0.001):
            await in_thread(slow)
        return loop.time()

    assert run(main) == 0.0


def test_the_loop_stands_still_while_a_job_runs(in_thread):
    async def main():
        ticks = []

        async def tick():
            while True:
                ticks.append(1)
                await asyncio.sleep(0)

        def look():
            before = len(ticks)
            time.sleep(0.01)
            return len(ticks) - before

        task = asyncio.create_task(tick())
        await asyncio.sleep(0)
        counts = await asyncio.gather(*(in_thread(look) for _ in range(5)))
        task.cancel()
        return counts

    assert run(main) == [0] * 5


def test_jobs_run_one_at_a_time_in_the_order_handed_over(in_thread):
    def job(name, seen):
        seen.append(name)
        time.sleep(0.002 * (5 - name))
        seen.append(name)
        return name

    async def main():
        seen = []
        results = await asyncio.gather(*(in_thread(job, name, seen) for name in range(5)))
        return seen, results

    for _ in range(3):
        assert run(main) == ([0, 0, 1, 1, 2, 2, 3, 3, 4, 4], [0, 1, 2, 3, 4])


def test_the_order_of_jobs_is_the_same_for_the_same_seed(in_thread):
    async def main():
        seen = []

        async def client(name):
            for number in range(3):
                seen.append((name, number, await in_thread(slow if name == 2 else int)))

        await asyncio.gather(*(client(name) for name in range(4)))
        return seen

    runs = [run(main, schedule="random", seed=5) for _ in range(5)]
    assert runs == [runs[0]] * 5


def test_the_clock_jumps_again_after_a_job(in_thread):
    async def main():
        for _ in range(3):
            await in_thread(int)
            await asyncio.sleep(1000)
        return asyncio.get_running_loop().time()

    assert run(main) == 3000.0


def test_a_job_that_does_not_end_is_named(in_thread):
    released = threading.Event()
    threads_before = set(threading.enumerate())

    async def main():
        await in_thread(functools.partial(released.wait, 600))

    before = time.monotonic()
    try:
        with pytest.raises(ThreadStuck, match=r"wait' did not end within 0.2 s of real time"):
            run(main, thread_limit=0.2)
    finally:
        released.set()
    assert time.monotonic() - before < 300
    for thread in set(threading.enumerate()) - threads_before:
        if not thread.daemon and not thread.name.startswith("ThreadPoolExecutor"):
            thread.join(100)
            assert not thread.is_alive()


def test_who_let_the_jobs_go_waits_for_none(way):
    jobs = Jobs(600.0)
    jobs.hand_over(Job(jobs, slow))
    assert jobs.busy
    jobs.release()
    assert not jobs.busy
    assert jobs.catch_up() is None and jobs.parked is None


def test_a_job_cancelled_before_it_started_is_forgotten(in_thread):
    async def main():
        ran = []
        for _ in range(20):
            tasks = [asyncio.create_task(in_thread(ran.append, number)) for number in range(3)]
            for _ in range(4):
                await asyncio.sleep(0)
                tasks[1].cancel()
            await asyncio.wait(tasks)
        await asyncio.sleep(10)
        return sorted(set(ran) | {1})

    assert run(main) == [0, 1, 2]


def test_a_job_may_call_back_into_the_loop(in_thread):
    async def main():
        loop = asyncio.get_running_loop()

        async def answer():
            await asyncio.sleep(30)
            return await in_thread(int)

        def ask():
            return asyncio.run_coroutine_threadsafe(answer(), loop).result(100)

        return await in_thread(ask), loop.time()

    assert run(main) == (0, 30.0)


def test_a_job_that_waits_for_the_loop_for_ever_is_named(in_thread):
    async def main():
        loop = asyncio.get_running_loop()

        async def never():
            await asyncio.Event().wait()

        def ask():
            asyncio.run_coroutine_threadsafe(never(), loop).result(100)

        await in_thread(ask)

    with pytest.raises(ThreadStuck, match="ask"):
        run(main, thread_limit=0.2)


def test_jobs_leave_no_threads_behind(in_thread):
    async def main():
        await asyncio.gather(*(in_thread(int) for _ in range(5)))

    before = threading.active_count()
    for _ in range(5):
        run(main)
    deadline = time.monotonic() + 100
    while threading.active_count() > before + 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before + 1


def test_from_thread_of_anyio(way):
    async def main():
        async def answer(value):
            await anyio.sleep(5)
            return value + await anyio.to_thread.run_sync(int)

        def ask():
            return anyio.from_thread.run(answer, 4) + anyio.from_thread.run_sync(int)

        return await anyio.to_thread.run_sync(ask), await anyio.to_thread.run_sync(ask)

    assert run(main) == (4, 4)


def test_a_job_of_a_job_may_enter_late(way, monkeypatch):
    enter = Jobs.enter

    def late(jobs, job):
        if jobs.parked is not None:
            time.sleep(0.1)
        enter(jobs, job)

    monkeypatch.setattr(Jobs, "enter", late)

    async def main():
        loop = asyncio.get_running_loop()

        async def answer():
            return await asyncio.to_thread(int)

        return await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(answer(), loop).result(100))

    assert run(main) == 0


def test_an_executor_and_a_limiter_of_ones_own(way):
    async def main():
        limiter = anyio.CapacityLimiter(2)
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as pool:
            first = await asyncio.gather(*(loop.run_in_executor(pool, int, str(n)) for n in range(4)))
        second = await asyncio.gather(*(anyio.to_thread.run_sync(int, str(n), limiter=limiter) for n in range(6)))
        return first, second, limiter.borrowed_tokens

    assert run(main) == ([0, 1, 2, 3], [0, 1, 2, 3, 4, 5], 0)


def test_abandoned_jobs_are_settled(way):
    async def main():
        async def job(number):
            with anyio.move_on_after(0 if number % 2 else 1):
                await anyio.to_thread.run_sync(slow, abandon_on_cancel=True)

        async with anyio.create_task_group() as group:
            for number in range(6):
                group.start_soon(job, number)
            await anyio.sleep(0)
            await anyio.sleep(0)
            await anyio.sleep(0)
            group.cancel_scope.cancel()
        await anyio.sleep(100)
        return asyncio.get_running_loop().time()

    for seed in range(5):
        assert run(main, schedule="random", seed=seed) == 100.0


def test_a_thread_of_the_apps_own_may_call_back(way):
    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()

        def work():
            time.sleep(0.02)
            loop.call_soon_threadsafe(future.set_result, 9)

        threading.Thread(target=work).start()
        return await future

    assert run(main) == 9


def test_fastapi_runs_sync_dependencies(way):
    fastapi = pytest.importorskip("fastapi")
    app = fastapi.FastAPI()
    seen = []

    def user(name: str):
        time.sleep(0.001)
        return name

    def session():
        seen.append("open")
        yield "session"
        seen.append("close")

    @app.websocket("/ws")
    async def handler(websocket: fastapi.WebSocket, name=fastapi.Depends(user), _=fastapi.Depends(session)):
        await websocket.accept()
        await websocket.send_text(name)

    async def client(name):
        sent = []

        async def send(event):
            sent.append(event)

        async def receive():
            return {"type": "websocket.connect"}

        scope = {
            "type": "websocket",
            "path": "/ws",
            "query_string": f"name={name}".encode(),
            "headers": [],
            "subprotocols": [],
            "extensions": {},
        }
        await app(scope, receive, send)
        return sent[1]["text"]

    async def main():
        return await asyncio.gather(*(client(f"c{number}") for number in range(5)))

    for seed in range(3):
        assert run(main, schedule="random", seed=seed) == [f"c{number}" for number in range(5)]
    assert seen.count("open") == seen.count("close") == 15


def test_asgiref_runs_sync_code(way):
    sync = pytest.importorskip("asgiref.sync")

    async def answer():
        await asyncio.sleep(20)
        return 5

    def ask():
        return sync.async_to_sync(answer)()

    async def main():
        first = await sync.sync_to_async(slow)(4)
        return first, await sync.sync_to_async(ask)(), asyncio.get_running_loop().time()

    assert run(main) == (4, 5, 20.0)


def test_a_loop_of_the_jobs_own(way):
    async def inner():
        await asyncio.sleep(0.01)
        return 3

    async def main():
        return await anyio.to_thread.run_sync(lambda: asyncio.run(inner()))

    assert run(main) == 3


def test_other_loops_see_no_difference(way):
    async def main():
        return await anyio.to_thread.run_sync(slow, 3), await asyncio.to_thread(slow, 4)

    run(main)
    assert asyncio.run(main()) == (3, 4)

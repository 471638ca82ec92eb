"""What virtual time buys: hours of heartbeats, and how many seeded conversations fit into a second."""

import asyncio
import itertools
from functools import partial

from benchmarks.applications import Chat, heartbeat
from benchmarks.measuring import Figure, at_least, at_most, side_by_side, stopwatch
from scenarios.apps.chat import app as fastapi_chat
from wsharness import Harness, simulate

BEATS = 120  # an hour of one every 30 seconds
RUNS = 400
_seeds = itertools.count()


def hour(clients: int) -> float:
    """Seconds for an hour of clients that get a heartbeat every 30 seconds."""

    async def drive(ws: Harness) -> None:
        everyone = await ws.connect_many(clients, "/")
        await asyncio.sleep(3601)
        assert {len(client.received) for client in everyone} == {BEATS}

    with stopwatch() as watch:
        simulate(drive, heartbeat).check()
    return watch.seconds


async def _conversation(ws: Harness, prefix: str) -> None:
    """Three come, one is lost, another speaks."""
    clients = [await ws.connect(f"{prefix}/{number}") for number in range(3)]
    await clients[0].send("hello")
    for client in clients:
        await client.wait_for(lambda text: "hello" in text)
    await clients[1].close()
    await clients[2].send("bye")
    await clients[0].wait_for(lambda text: "bye" in text)


async def bare_conversation(ws: Harness) -> None:
    await _conversation(ws, "")


async def fastapi_conversation(ws: Harness) -> None:
    await _conversation(ws, "/ws")


def bare_runs(schedule: str) -> float:
    """Seconds for a run of three clients on the bare chat, transcript and checks on; some schedules break it."""
    with stopwatch() as watch:
        for seed in itertools.islice(_seeds, RUNS):
            simulate(bare_conversation, Chat(), seed=seed, schedule=schedule)
    return watch.seconds / RUNS


def fastapi_runs(schedule: str) -> float:
    """The same on the FastAPI example."""
    with stopwatch() as watch:
        for seed in itertools.islice(_seeds, RUNS):
            simulate(fastapi_conversation, fastapi_chat, seed=seed, schedule=schedule)
    return watch.seconds / RUNS


def measure() -> list[Figure]:
    """Hours of 100 and of 1,000 clients; seeded runs a second."""
    hours = side_by_side({"100": partial(hour, 100), "1,000": partial(hour, 1000)}, repeats=3)
    runs = side_by_side({"bare": partial(bare_runs, "random"), "FastAPI": partial(fastapi_runs, "random")}, repeats=5)
    return [
        at_most("simulated hour of 30 s heartbeats, 100 clients", hours["100"], "s", 2),
        at_most("simulated hour of 30 s heartbeats, 1,000 clients", hours["1,000"], "s", 3),
        at_least("seeded runs on the bare chat, 3 clients", 1 / runs["bare"], "runs/s", 2500),
        at_least("seeded runs on FastAPI's chat, 3 clients", 1 / runs["FastAPI"], "runs/s", 800),
    ]

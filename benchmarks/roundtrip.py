"""One message there and back, and a whole connection: wsharness, the bare floor, other test clients."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from benchmarks import floor, peers
from benchmarks.measuring import Contestant, Figure, compared, side_by_side, stopwatch
from wsharness import Harness, simulate

MESSAGE = {"type": "say", "room": "lobby", "text": "hi"}
MANY, SOME = 2000, 200  # peers are slow: fewer do
CONNECTIONS = 1000
OURS = ("wsharness", "wsharness simulated")
ROUND_TRIP, CONNECTION = 1.5, 2.5  # how many times the floor ours should cost
Drive: TypeAlias = Callable[[Harness], Awaitable[None]]
Conversation: TypeAlias = Callable[[int], tuple[Drive, list[float]]]


def text_round_trips(count: int) -> tuple[Drive, list[float]]:
    """A conversation of verbatim text, and where it leaves its seconds for one message there and back."""
    seconds: list[float] = []

    async def drive(ws: Harness) -> None:
        client = await ws.connect("/")
        with stopwatch() as watch:
            for _ in range(count):
                await client.send("x")
                await client.expect("x")
        seconds.append(watch.seconds / count)

    return drive, seconds


def json_round_trips(count: int) -> tuple[Drive, list[float]]:
    """The same with JSON objects, coded and matched."""
    seconds: list[float] = []

    async def drive(ws: Harness) -> None:
        client = await ws.connect("/")
        with stopwatch() as watch:
            for _ in range(count):
                await client.send(MESSAGE)
                await client.expect(MESSAGE)
        seconds.append(watch.seconds / count)

    return drive, seconds


def connections(count: int) -> tuple[Drive, list[float]]:
    """Connections one after another: connect, one echo, close, until the app's handler has ended."""
    seconds: list[float] = []

    async def drive(ws: Harness) -> None:
        with stopwatch() as watch:
            for _ in range(count):
                async with ws.connect("/") as client:
                    await client.send("x")
                    await client.expect("x")
            await ws.settle()
        seconds.append(watch.seconds / count)

    return drive, seconds


def real(conversation: Conversation, count: int) -> float:
    """Seconds on asyncio's own loop, transcript and checks of state on."""
    drive, seconds = conversation(count)

    async def main() -> None:
        async with Harness(floor.echo) as ws:
            await drive(ws)

    asyncio.run(main())
    return seconds[0]


def simulated(conversation: Conversation, count: int) -> float:
    """Seconds in virtual time."""
    drive, seconds = conversation(count)
    simulate(drive, floor.echo).check()
    return seconds[0]


def ours(conversation: Conversation, count: int) -> dict[str, Contestant]:
    """The harness on a real loop and in simulation."""
    runs = (partial(real, conversation, count), partial(simulated, conversation, count))
    return dict(zip(OURS, runs, strict=True))


def others(peer: dict[str, Any], count: int) -> dict[str, Contestant]:
    """The other test clients."""
    return {name: partial(contestant, count) for name, contestant in peer.items()}


def measure() -> list[Figure]:
    """Round trips of text and of JSON, and connections."""
    text = side_by_side(
        {"floor": partial(floor.text_round_trip, MANY)} | ours(text_round_trips, MANY) | others(peers.ROUND_TRIP, SOME)
    )
    json = side_by_side({"floor": partial(floor.json_round_trip, MANY, MESSAGE)} | ours(json_round_trips, MANY))
    connection = side_by_side(
        {"floor": partial(floor.whole_connection, CONNECTIONS)}
        | ours(connections, CONNECTIONS)
        | others(peers.CONNECTION, SOME // 2)
    )
    return [
        *compared("text round trip", text, ours=OURS, limit=ROUND_TRIP),
        *compared("JSON round trip", json, ours=OURS, limit=ROUND_TRIP),
        *compared("connect, echo, close", connection, ours=OURS, limit=CONNECTION),
    ]

"""One message there and back on each simulated server: a profile costs nothing where messages travel."""

import asyncio
from functools import partial

from benchmarks import floor
from benchmarks.measuring import Figure, side_by_side
from benchmarks.roundtrip import text_round_trips
from wsharness import Harness
from wsharness.profiles import PROFILES

MANY, REPEATS = 2000, 15
BASE, COMPARED = "uvicorn", "hypercorn"
LIMIT = 1.1  # times the base


def round_trip(profile: str, count: int) -> float:
    """Seconds for one, on asyncio's own loop, transcript and checks of state on."""
    drive, seconds = text_round_trips(count)

    async def main() -> None:
        async with Harness(floor.echo, profile=profile) as ws:
            await drive(ws)

    asyncio.run(main())
    return seconds[0]


def measure() -> list[Figure]:
    """Every profile, all taking turns; hypercorn, whose events are the largest, should cost what uvicorn does."""
    names = [name for name in PROFILES if name != "strict"]
    seconds = side_by_side({name: partial(round_trip, name, MANY) for name in names}, REPEATS)
    rows = []
    for name in names:
        goal = f"<= {LIMIT:g} x {BASE}" if name == COMPARED else None
        met = seconds[name] <= LIMIT * seconds[BASE] if goal else None
        rows.append(Figure(f"text round trip, profile {name}", seconds[name] * 1e6, "us", goal, met))
    return rows

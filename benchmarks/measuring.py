"""How the benchmarks measure: CPU time, in turn, medians; and what a figure is."""

import gc
import math
import statistics
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

Contestant: TypeAlias = Callable[[], float]
"""Does something some number of times; returns the CPU seconds each took."""

REPEATS = 9


@dataclass(frozen=True)
class Figure:
    """One number, and what it should be."""

    name: str
    value: float
    unit: str
    goal: str | None = None
    """In words: "<= 3 x floor"; None for what is only shown beside ours."""
    met: bool | None = None
    ratio_to_floor: float | None = None
    """How many times the floor it costs."""
    ratio_to_fastest_peer: float | None = None
    """How many times faster than the fastest peer."""

    def as_json(self) -> dict[str, Any]:
        """The figure as it stands in results.json: the ratios only where there are some."""
        row: dict[str, Any] = {"name": self.name, "value": rounded(self.value), "unit": self.unit}
        row |= {"goal": self.goal, "met": self.met}
        ratios = {"ratio_to_floor": self.ratio_to_floor, "ratio_to_fastest_peer": self.ratio_to_fastest_peer}
        return row | {name: rounded(ratio) for name, ratio in ratios.items() if ratio is not None}


def rounded(value: float) -> float:
    """Three digits: more would be noise."""
    return float(f"{value:.3g}")


class Stopwatch:
    """The CPU seconds of the whole process between start and stop, threads included."""

    seconds = 0.0


@contextmanager
def stopwatch() -> Iterator[Stopwatch]:
    """Measure the block, after a collection, so that nobody pays for the garbage of the one before."""
    gc.collect()
    watch = Stopwatch()
    start = time.process_time()
    try:
        yield watch
    finally:
        watch.seconds = time.process_time() - start


def side_by_side(contestants: Mapping[str, Contestant], repeats: int = REPEATS) -> dict[str, float]:
    """The median of each, all taking turns, so that a busy moment of the machine hits them alike."""
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    for contestant in contestants.values():
        contestant()  # the first time imports, compiles and fills caches
    for _ in range(repeats):
        for name, contestant in contestants.items():
            samples[name].append(contestant())
    return {name: statistics.median(values) for name, values in samples.items()}


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that should not be above the limit."""
    return Figure(name, value, unit, f"<= {limit:g} {unit}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    """A figure that should not be below the limit."""
    return Figure(name, value, unit, f">= {limit:g} {unit}", value >= limit)


def compared(name: str, seconds: Mapping[str, float], *, ours: Collection[str], limit: float) -> list[Figure]:
    """A row in microseconds for each contestant.

    The contestant "floor" is the floor; those that are neither it nor ours are peers. Ours should cost
    no more than `limit` times the floor, and less than any peer.
    """
    floor = seconds["floor"]
    peers = [value for contestant, value in seconds.items() if contestant not in {"floor", *ours}]
    fastest = min(peers, default=None)
    goal = f"<= {limit:g} x floor" + (", faster than any peer" if peers else "")
    rows = []
    for contestant, value in seconds.items():
        row = Figure(f"{name}, {contestant}", value * 1e6, "us", ratio_to_floor=value / floor)
        if contestant in ours:
            met = value <= limit * floor and value < min(peers, default=math.inf)
            faster = fastest / value if fastest is not None else None
            row = replace(row, goal=goal, met=met, ratio_to_fastest_peer=faster)
        rows.append(row)
    return rows

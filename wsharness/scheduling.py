"""Schedules: which of the ready tasks runs next; only task steps change places."""

import difflib
import random
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from wsharness.errors import UsageError

H = TypeVar("H")

NAMES = ("fifo", "random", "pct")
DEPTH = 3
HORIZON = 100
MAX_SPIN = 50  # steps one task may take in a row under pct: more would starve a task that polls for another


class Schedule(ABC):
    """Chooses among ready tasks, and remembers where it left the loop's own order.

    A step is contested when more than one task is ready. `deviations` maps the number of such a step (from 0)
    to the place in the queue of the task that ran; `make_schedule(deviations)` runs the same order again.
    """

    name: str
    ordered = False
    """It never leaves the loop's own order, so the loop need not ask."""

    def __init__(self) -> None:
        self.contested: int = 0
        self.deviations: dict[int, int] = {}

    def next(self, tasks: Sequence[int]) -> int:
        """The place in the queue of the task to run now; `tasks` are the ready ones' numbers, two or more."""
        which = self.choose(tasks)
        if which:
            self.deviations[self.contested] = which
        self.contested += 1
        return which

    @abstractmethod
    def choose(self, tasks: Sequence[int]) -> int:
        """Choose a place from 0 (the loop's own order) to len(tasks) - 1."""


class Fifo(Schedule):
    """asyncio's own order."""

    name = "fifo"
    ordered = True

    def choose(self, tasks: Sequence[int]) -> int:  # noqa: ARG002
        """Take the first."""
        return 0


class Random(Schedule):
    """Any ready task, each as likely as the others."""

    name = "random"

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed).random  # noqa: S311 (it is to be predictable)

    def choose(self, tasks: Sequence[int]) -> int:
        """Draw one."""
        return int(self._random() * len(tasks))


class PCT(Schedule):
    """Probabilistic concurrency testing: the ready task of highest priority runs; `depth` - 1 times it drops.

    Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs" (ASPLOS 2010).
    The drops fall within the first `horizon` contested steps: take the number from a run under `{}`.
    """

    name = "pct"

    def __init__(self, seed: int, depth: int = DEPTH, horizon: int = HORIZON) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311 (it is to be predictable)
        horizon = max(horizon, depth)
        self._drops = set(self._random.sample(range(horizon), depth - 1))
        self._priorities = _Priorities(self._random)
        self._lowest = 0.0
        self._last = -1
        self._spin = 0

    def choose(self, tasks: Sequence[int]) -> int:
        """Take the one of highest priority."""
        priorities = list(map(self._priorities.__getitem__, tasks))
        best = priorities.index(max(priorities))
        if self.contested in self._drops or self._spins(tasks[best]):
            self._lowest -= 1.0
            self._priorities[tasks[best]] = self._lowest
        return best

    def _spins(self, task: int) -> bool:
        self._spin = self._spin + 1 if task == self._last else 0
        self._last = task
        return self._spin > 0 and self._spin % MAX_SPIN == 0


class _Priorities(dict[int, float]):
    """Task → priority, drawn when the task is first ready."""

    def __init__(self, source: random.Random) -> None:
        super().__init__()
        self._source = source

    def __missing__(self, task: int) -> float:
        priority = self[task] = 1.0 - self._source.random()
        return priority


class Replay(Schedule):
    """asyncio's own order but for some contested steps: what `deviations` of an earlier run say."""

    name = "drawn"

    def __init__(self, steps: Mapping[int, int]) -> None:
        super().__init__()
        self._steps = dict(steps)

    def choose(self, tasks: Sequence[int]) -> int:
        """Take the one given for this step, the last if there are not so many."""
        return min(self._steps.get(self.contested, 0), len(tasks) - 1)


def make_schedule(spec: str | Mapping[int, int] | Schedule, seed: int = 0, *, horizon: int = HORIZON) -> Schedule:
    """A schedule: "fifo", "random", "pct", "pct:DEPTH", or deviations `{contested step: place}` to replay."""
    if not isinstance(spec, str):
        return spec if isinstance(spec, Schedule) else Replay(_checked(spec))
    name, colon, depth = spec.partition(":")
    if name == "fifo" and not colon:
        return Fifo()
    if name == "random" and not colon:
        return Random(seed)
    if name == "pct":
        return PCT(seed, _depth(depth) if colon else DEPTH, horizon)
    raise UsageError(_unknown(spec))


def _depth(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= HORIZON):
        raise UsageError(f"expected a depth from 1 to {HORIZON}, as in 'pct:3'; got {'pct:' + text!r}")
    return int(text)


def _checked(steps: Any) -> Mapping[int, int]:
    if not isinstance(steps, Mapping):
        raise UsageError(_unknown(steps))
    for step, which in steps.items():
        if not (_is_count(step) and _is_count(which)):
            raise UsageError(
                f"expected a schedule of whole numbers, {{contested step: place}}; got {step!r}: {which!r}"
            )
    return steps


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _unknown(spec: object) -> str:
    names = ", ".join(map(repr, NAMES))
    text = f"expected a schedule, one of {names} or {{contested step: place}}; got {spec!r}"
    close = difflib.get_close_matches(spec.lower(), NAMES, n=1) if isinstance(spec, str) else []
    return f"{text}; did you mean {close[0]!r}?" if close else text


_popleft = deque.popleft


class ReadyQueue(deque[H]):
    """What is ready to run, in order; stands in for the deque of asyncio's loop.

    The schedule picks out of the task steps that stand at the front. A plain callback is a barrier: nothing
    crosses it, so the callbacks of a future run in the order registered. Looser rules break asyncio's own streams.
    """

    __slots__ = ("_schedule", "_task_of", "_tasks")

    def __init__(self, schedule: Schedule, task_of: Callable[[H], int | None]) -> None:
        super().__init__()
        self._schedule = schedule
        self._task_of = task_of
        self._tasks: list[int] = []  # whose steps stand at the front, as far as anybody has looked

    def popleft(self) -> H:
        """Take the handle that runs next."""
        tasks = self._tasks
        if len(self) > 1:
            self._look()
            if len(tasks) > 1:
                which = self._schedule.next(tasks)
                del tasks[which]
                chosen = self[which]
                del self[which]
                return chosen
        if tasks:
            tasks.clear()
        return _popleft(self)

    def _look(self) -> None:
        """See how far the steps at the front reach now."""
        tasks, task_of = self._tasks, self._task_of
        for place in range(len(tasks), len(self)):
            task = task_of(self[place])
            if task is None:
                break
            tasks.append(task)

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._tasks.clear()

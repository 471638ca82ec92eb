"""Shrinking: the smallest scenario, and the fewest deviations from asyncio's order, that still show a failure."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from wsharness.results import Failure
from wsharness.scenario.model import RunInfo, Scenario, Step, Verb

SEEDS = 4  # random orders that a smaller conversation gets, since deviations of the larger one mean nothing there
PATIENCE = 500  # runs
MEMORY = ("WSH107",)
"""What is told in full only where a run is alone: who holds a connection costs a look at every object."""
SECOND = 50  # runs that count as much as a second that is lost with one


def loose_key(failure: Failure) -> tuple[str, str, str, int]:
    """What makes two failures one bug; who holds a connection that is kept differs from run to run."""
    code, kind, file, line = failure.key
    return (code, "" if code in MEMORY else kind, file, line)


@dataclass(slots=True)
class Outcome:
    """What a run of a scenario showed."""

    failures: list[Failure] = field(default_factory=list)
    schedule: dict[int, int] = field(default_factory=dict)
    """Its deviations from asyncio's order."""
    accepted: bool = False
    lost: float = 0.0
    """Seconds of real time that it took, as a rule, until it was stopped; 0 where it was not."""


def find(failure: Failure, outcome: Outcome) -> Failure | None:
    """The same bug among what a run showed."""
    return next((one for one in outcome.failures if loose_key(one) == loose_key(failure)), None)


Run: TypeAlias = Callable[[Sequence[Scenario]], Iterator[Outcome]]
"""Runs scenarios, each from the app's first state, and yields in their order what they showed, one by one."""


def shrink(scenario: Scenario, failure: Failure, run: Run, *, patience: int = PATIENCE) -> tuple[Scenario, Failure]:
    """The smallest scenario found that shows the same failure, and how it shows it; at most `patience` runs more."""
    improved = True
    while improved and patience > 0:
        improved = False
        candidates = list(itertools.islice(_smaller(scenario), patience))
        for candidate, outcome in zip(candidates, run(candidates), strict=False):
            patience -= 1 + int(SECOND * outcome.lost)
            again = find(failure, outcome)
            if again is not None:
                scenario, failure, improved = ran_as(candidate, outcome.schedule), again, True
            if improved or patience <= 0:
                break
    return scenario, failure


def ran_as(scenario: Scenario, schedule: dict[int, int]) -> Scenario:
    """The scenario with the order in which its tasks ran."""
    return _with_run(scenario, schedule=dict(schedule) or "fifo")


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Everything to try in place of a scenario, what saves most first."""
    schedule = (scenario.run or RunInfo()).schedule
    if schedule == "fifo":
        yield from _simpler(scenario)
        return
    yield _with_run(scenario, schedule="fifo")
    if isinstance(schedule, dict):
        yield from (_with_run(scenario, schedule=fewer) for fewer in _fewer(schedule))
    for candidate in _simpler(scenario):
        yield candidate
        yield from (_with_run(candidate, schedule="random", seed=seed) for seed in range(SEEDS))


def _fewer(schedule: dict[int, int]) -> Iterator[dict[int, int]]:
    steps = sorted(schedule)
    if len(steps) > 2:  # noqa: PLR2004 (of two, a half is one less)
        for half in (steps[: len(steps) // 2], steps[len(steps) // 2 :]):
            yield {step: schedule[step] for step in half}
    for step in steps:
        yield {other: schedule[other] for other in steps if other != step}


def _simpler(scenario: Scenario) -> Iterator[Scenario]:
    """A client, some steps, one step less; then no fault, and simpler values."""
    steps = scenario.steps
    for name in reversed(list(scenario.clients)):
        if len(scenario.clients) > 1:
            yield _with_steps(scenario, [step for step in steps if step.client != name])
    for size in sorted({len(steps) // 2, len(steps) // 4, 1} - {0}, reverse=True):
        for start in range(0, len(steps), size):
            if kept := steps[:start] + steps[start + size :]:
                yield _with_steps(scenario, kept)
    yield from _fewer_faults(scenario)
    for index, step in enumerate(steps):
        yield from (
            replace(scenario, steps=(*steps[:index], replace(step, value=value), *steps[index + 1 :]))
            for value in _simpler_values(step)
        )


def _fewer_faults(scenario: Scenario) -> Iterator[Scenario]:
    faults = dict((scenario.run or RunInfo()).faults or {})
    for name in faults:
        yield _with_run(scenario, faults={other: faults[other] for other in faults if other != name} or None)


def _simpler_values(step: Step) -> Iterator[Any]:
    if step.verb is Verb.SEND and step.value not in ("hello", "", "{}"):
        yield "hello"
    elif step.verb is Verb.SEND_BYTES and step.value not in (b"", b"\x00"):
        yield b"\x00"
    elif step.verb in (Verb.CLOSE, Verb.DROP) and step.value is not None:
        yield None
        if isinstance(step.value, dict) and "code" in step.value:
            yield step.value["code"]


def _with_steps(scenario: Scenario, steps: Sequence[Step]) -> Scenario:
    used = {step.client for step in steps}
    clients = {name: spec for name, spec in scenario.clients.items() if name in used}
    return replace(scenario, steps=tuple(steps), clients=clients)


def _with_run(scenario: Scenario, **changes: Any) -> Scenario:
    return replace(scenario, run=replace(scenario.run or RunInfo(), **changes))

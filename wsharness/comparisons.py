"""Runs of one scenario compared: in other orders of its tasks (WSH303), and once more from the same seed (WSH401)."""

import itertools
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from wsharness import checks, outcomes
from wsharness.asgi import App
from wsharness.deliveries import Deliveries, Mistake, deliveries, mistakes, played
from wsharness.narration import describe_event
from wsharness.phrases import Data
from wsharness.races import Races, one_after_another, talks
from wsharness.results import Failure
from wsharness.scenario.model import RunInfo, Scenario, Verb
from wsharness.shrinking import Outcome, ran_as, shrink
from wsharness.simulation import simulate
from wsharness.transcript import Direction, Record, Sent, Transcript, to_json
from wsharness.workers import Gone, run_all

RUNS = 32  # of races in other orders than asyncio's
REPEATED = 2  # conversations that are run twice
MOST_MESSAGES = 3  # of which it is tried whether others hear them
MOST_TALKS = 2  # kinds of messages that race
BATCH = 8  # trials that share a process
PATIENCE = 60  # candidates that are tried to make a finding smaller
STEP_LIMIT = 1.0  # seconds of CPU, as in a check

Finding: TypeAlias = tuple[Failure, Scenario]
"""What was found, and the scenario that shows it, in the order in which its tasks ran."""


@dataclass(frozen=True, slots=True)
class Run:
    """What happened, and where it left asyncio's order."""

    transcript: Transcript
    schedule: dict[int, int]


@dataclass(slots=True)
class Runner:
    """Runs scenarios of one app, each from the state right after the import."""

    app: App
    parallel: int = 1
    limit: float = 30.0
    """Real seconds after which one run is ended from outside."""
    count: int = 0
    """How many runs there were."""
    until: float | None = None
    """When, by time.monotonic(), no further run begins."""

    def __call__(self, scenarios: Iterable[Scenario], *, batch: int = 1) -> list[Run | None]:
        """What came of each, None where it did not end or it is too late; up to `batch` share a process."""
        jobs = [(self.app, scenario) for scenario in scenarios]
        found: list[Run | None] = []
        if not self._is_late():
            for _, run in run_all(_run, jobs, parallel=self.parallel, limit=self.limit, batch=batch):
                found.append(None if isinstance(run, Gone) else run)
                if self._is_late():
                    break
        self.count += len(found)
        return found + [None] * (len(jobs) - len(found))

    def _is_late(self) -> bool:
        return self.until is not None and time.monotonic() >= self.until


def _run(app: App, scenario: Scenario) -> Run:
    result = simulate(scenario, app, step_limit=STEP_LIMIT)
    if result.error is not None and not isinstance(result.error, AssertionError):
        raise result.error
    return Run(result.transcript, result.schedule)


def compare(
    run: Runner, races: Races, messages: Sequence[Data], talk: Sequence[Scenario], schedule: str, seed: int
) -> Iterator[Finding]:
    """What no single run on a route shows: `talk` is run again, and `messages` race in orders of that schedule."""
    for scenario in (races.round(messages[:MOST_MESSAGES]), *_longest(talk)):
        found = differing(run, scenario)
        if found is not None:
            yield found
            break
    if schedule != "fifo":
        yield from unsteady(run, make_races(run, races, messages), schedule, seed)


def _longest(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Those in asyncio's order with the most steps."""
    usual = [one for one in scenarios if (one.run or RunInfo()).schedule == "fifo"]
    return sorted(usual, key=lambda one: -len(one.steps))[:REPEATED]


# The same seed again


def differing(run: Runner, scenario: Scenario) -> Finding | None:
    """WSH401: two runs of one seed after which some connection has two transcripts.

    Who of several is served first is not compared: an app that keeps objects of its own in a set serves them in the
    order of their addresses, and is none the worse for it.
    """
    one, other = run([scenario, scenario])
    streams, others = _streams(scenario, one), _streams(scenario, other)
    if one is None or streams is None or others is None:
        return None
    keys = sorted(streams.keys() | others.keys())
    places = [place for key in keys for place in _first_difference(streams.get(key, []), others.get(key, []))]
    if not places:
        return None
    first, second = min(places, key=lambda pair: min(place[1].time for place in pair if place is not None))
    message = f"two runs of the same seed differ: in one {_told(first)}, in the other {_told(second)}"
    client, index = ("", 0) if first is None else (first[1].client, first[0])
    found = checks.CHECKS["WSH401"].failure(message, client=client, index=index, transcript=one.transcript)
    return found, ran_as(scenario, one.schedule)


Place: TypeAlias = tuple[int, Record]
"""A record, and where in its transcript it stands."""


def _streams(scenario: Scenario, run: Run | None) -> dict[tuple[str, str], list[Place]] | None:
    """What happened on each connection in each direction, without what was found out of it; None after a crash."""
    records = None if run is None else played(run.transcript, _leavers(scenario))
    if records is None:
        return None
    streams: dict[tuple[str, str], list[Place]] = {}
    for index, record in enumerate(records):
        if record.direction is not Direction.FACT:
            streams.setdefault((record.client, record.direction.value), []).append((index, record))
    return streams


def _first_difference(one: list[Place], other: list[Place]) -> Iterator[tuple[Place | None, Place | None]]:
    """The first place in which two streams differ, if there is one."""
    pairs = itertools.zip_longest(one, other)
    unlike = (pair for pair in pairs if None in pair or to_json(pair[0][1]) != to_json(pair[1][1]))
    return itertools.islice(unlike, 1)


def _told(place: Place | None) -> str:
    if place is None:
        return "nothing more"
    _, record = place
    return f"{_WHOSE[record.direction]} {record.client} at {record.time:.3f} s {describe_event(record.event)}"


_WHOSE = {
    Direction.RECEIVE: "the app receives of",
    Direction.SEND: "the app sends to",
    Direction.CLIENT: "the client",
    Direction.SERVER: "there comes to",
}


# Other orders


def make_races(run: Runner, races: Races, messages: Sequence[Data]) -> list[Scenario]:
    """Conversations that race, with messages that are heard by others than who says them."""
    kinds = [talks(message) for message in messages[:MOST_MESSAGES]]
    every = [talk for kind in kinds for talk in kind]
    trials = [races.trial(talk) for talk in every]
    heard = dict(zip(every, map(_heard, trials, run(trials, batch=BATCH)), strict=True))
    best = dict.fromkeys(max(kind, key=heard.__getitem__) for kind in kinds if kind)
    chosen = [talk for talk in best if heard[talk]][:MOST_TALKS]
    together = None if chosen else races.in_one_room()
    if together is not None:
        return make_races(run, together, messages)
    return [race for talk in chosen for race in races.of(talk)]


def _heard(trial: Scenario, run: Run | None) -> int:
    """How many hear what another says."""
    return len(_delivered(trial, run) or ())


def unsteady(run: Runner, races: Sequence[Scenario], schedule: str, seed: int) -> Iterator[Finding]:
    """WSH303: what some order of the tasks loses, doubles or reorders; each of the three once."""
    usual = list(map(_delivered, races, run(races)))
    seeds = range(seed, seed + RUNS // max(1, len(races)))
    tries = [(number, one) for number, told in enumerate(usual) if told is not None for one in seeds]
    scenarios = [_ordered(races[number], schedule, one) for number, one in tries]
    orders: dict[int, list[Deliveries]] = {}
    known: set[str] = set()
    for (number, _), scenario, other in zip(tries, scenarios, run(scenarios), strict=True):
        told = _delivered(scenario, other)
        if other is None or told in (None, usual[number]):
            continue
        if number not in orders:
            orders[number] = _every_order(run, races[number])
        if _mistaken([usual[number], told], orders[number]) is None:
            continue
        found = divided(run, ran_as(scenario, other.schedule))
        if found is not None and found[0].kind not in known:
            known.add(found[0].kind)
            yield found


def divided(run: Runner, scenario: Scenario) -> Finding | None:
    """WSH303: what was said reaches others in asyncio's order and not in the scenario's, or the reverse.

    A difference counts where one of the two does what the same steps do one after another, whatever their order,
    and the other does not.
    """
    usual, other = run([_ordered(scenario, "fifo"), scenario])
    told = [_delivered(scenario, usual), _delivered(scenario, other)]
    if usual is None or other is None or None in told or told[0] == told[1]:
        return None
    mistaken = _mistaken(told, _every_order(run, scenario))
    if mistaken is None:
        return None
    bad, mistake = mistaken
    names = ("fifo", f"the schedule {outcomes.shown_outcome(str(other.schedule))}")
    failure = _failure(mistake, (usual, other)[bad], names[bad], names[1 - bad])
    return failure, ran_as(scenario, other.schedule)


def _every_order(run: Runner, scenario: Scenario) -> list[Deliveries]:
    """What comes of the scenario's steps one after another, in each order; empty if that is not known of each."""
    told = [_delivered(scenario, one) for one in run(one_after_another(scenario))]
    known = [one for one in told if one is not None]
    return known if len(known) == len(told) else []


def _mistaken(told: Sequence[Deliveries | None], orders: Sequence[Deliveries]) -> tuple[int, Mistake] | None:
    """Which of two runs makes a mistake that the other does not make, and which mistake."""
    wrong = [next(mistakes(one or {}, orders), None) for one in told]
    found = [(number, mistake) for number, mistake in enumerate(wrong) if mistake is not None]
    return found[0] if len(found) == 1 else None


def _failure(mistake: Mistake, run: Run, bad: str, good: str) -> Failure:
    said = (number for number, one in enumerate(run.transcript) if _says(one, mistake.mark))
    return checks.CHECKS["WSH303"].failure(
        mistake.told(bad, good),
        client=mistake.receiver,
        kind=mistake.kind,
        index=next(said, 0),
        transcript=run.transcript,
    )


def _says(record: Record, mark: str) -> bool:
    return isinstance(record.event, Sent) and mark in str(record.event.data)


def _delivered(scenario: Scenario, run: Run | None) -> Deliveries | None:
    """What a run delivered; None where that depends on when it ended, too."""
    if run is None or scenario.steps[-1].verb is not Verb.PAUSE:
        return None
    return deliveries(run.transcript, _leavers(scenario))


def _leavers(scenario: Scenario) -> set[str]:
    return {step.client or "" for step in scenario.steps if step.verb in (Verb.CLOSE, Verb.DROP)}


def _ordered(scenario: Scenario, schedule: str, seed: int = 0) -> Scenario:
    return replace(scenario, run=replace(scenario.run or RunInfo(), schedule=schedule, seed=seed))


# Once found

_COMPARED: dict[str, Callable[[Runner, Scenario], Finding | None]] = {"WSH303": divided, "WSH401": differing}
CODES: tuple[str, ...] = tuple(_COMPARED)
"""What no single run can show."""


def shown(run: Runner, scenario: Scenario) -> Finding | None:
    """What a scenario that expects one of CODES shows again."""
    expects = scenario.run.expects if scenario.run is not None else None
    return _COMPARED[expects](run, scenario) if expects in _COMPARED else None


def smaller(run: Runner, finding: Finding) -> Finding:
    """The same by a smaller scenario."""
    failure, scenario = finding

    def run_each(scenarios: Sequence[Scenario]) -> Iterator[Outcome]:
        for candidate in scenarios:
            found = _COMPARED[failure.code](run, candidate)
            schedule = found[1].run.schedule if found is not None and found[1].run is not None else {}
            again = [replace(found[0], route=failure.route)] if found is not None else []
            yield Outcome(again, schedule if isinstance(schedule, dict) else {})

    scenario, failure = shrink(scenario, failure, run_each, patience=PATIENCE)
    return failure, scenario

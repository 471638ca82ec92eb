"""Plays scenario files, in simulation or on a deployed server, and reports what they show."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from wsharness import comparisons, gone
from wsharness.deployed import Target
from wsharness.errors import UnreachableError, UsageError, WebSocketError
from wsharness.events import Accepted
from wsharness.harness import DEPLOYED, Harness
from wsharness.link import make_faults
from wsharness.results import CaseResult, Failure, Report, Result
from wsharness.scenario.model import RunInfo, Scenario
from wsharness.scenario.running import play
from wsharness.simulation import simulate
from wsharness.targets import load_app
from wsharness.transcript import Transcript
from wsharness.workers import Gone, run_all


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What overrides what the files say."""

    app: str | None = None
    """MODULE:APP"""
    app_dir: str | None = None
    factory: bool = False
    profile: str | None = None
    seed: int | None = None
    timeout: float | None = None
    """How long a step may wait, in seconds, where it does not say so itself; None is the file's, else the usual."""
    clients: Mapping[str, Any] = field(default_factory=dict)
    """Keys of a client that are merged over every client's own."""

    def over(self, scenarios: Iterable[Scenario]) -> list[Scenario]:
        """The scenarios with what every client brings along."""
        return [
            replace(one, clients={name: spec.merged(self.clients) for name, spec in one.clients.items()})
            for one in scenarios
        ]


def run_in_simulation(scenarios: Sequence[Scenario], settings: Settings) -> Report:
    """Run scenarios in virtual time, each in a process of its own."""
    names = sorted({settings.app or (scenario.run.app if scenario.run else None) or "" for scenario in scenarios})
    if "" in names:
        raise UsageError(
            "which app? give --app MODULE:APP, or `run: {app: MODULE:APP}` in the file; "
            "to play on a deployed server, --target ws://…"
        )
    report = Report(", ".join(names), settings.seed or 0, settings.profile or "uvicorn")
    scenarios = settings.over(scenarios)

    def job(index: int) -> Result:
        return _simulate(scenarios[index], settings)

    for index, result in run_all(job, [(index,) for index in range(len(scenarios))]):
        _add(report, _name(scenarios[index], index), result)
    return report


def _simulate(scenario: Scenario, settings: Settings) -> Result:
    info = scenario.run or RunInfo()
    factory = settings.factory or (info.factory and not settings.app)
    app = load_app(settings.app or info.app or "", app_dir=settings.app_dir or info.app_dir, factory=factory)
    seed = info.seed if settings.seed is None else settings.seed
    profile = settings.profile or info.profile or "uvicorn"
    compared = replace(scenario, run=replace(info, seed=seed, profile=profile))
    found = comparisons.shown(comparisons.Runner(app), compared)  # first: it runs copies of this process
    result = simulate(
        scenario,
        app,
        seed=seed,
        schedule=info.schedule,
        profile=profile,
        timeout=settings.timeout,
        memory="holders" if scenario.run is not None else False,
    )
    if result.error is not None and not isinstance(result.error, (AssertionError, WebSocketError)):
        raise result.error
    result.error = None
    result.failures += [found[0]] if found is not None else []
    return result


def run_on_target(scenarios: Sequence[Scenario], target: Target, settings: Settings) -> Report:
    """Run scenarios on a deployed server, one after the other, in real time.

    UnreachableError if none of them reaches a WebSocket server; once one did, a server that cannot be reached is a
    failure like any other.
    """
    report = Report(str(target), settings.seed or 0, DEPLOYED)
    asyncio.run(_play_all(settings.over(scenarios), target, settings, report))
    return report


async def _play_all(scenarios: Sequence[Scenario], target: Target, settings: Settings, report: Report) -> None:
    reached = False
    for index, scenario in enumerate(scenarios):
        result = await _play_on(scenario, target, settings, reached=reached)
        reached = reached or _was_reached(result.transcript)
        _add(report, _name(scenario, index), result)


async def _play_on(scenario: Scenario, target: Target, settings: Settings, *, reached: bool) -> Result:
    info = scenario.run or RunInfo()
    seed = info.seed if settings.seed is None else settings.seed
    harness = Harness(target, timeout=settings.timeout or info.timeout, raise_app_exceptions=True)
    harness.set_faults(make_faults(info.faults or {}), seed)
    await harness.start()
    began = harness.runtime.time()
    try:
        await play(scenario, harness)
    except UnreachableError as error:
        if not (reached or _was_reached(harness.transcript)):
            raise
        harness.note_unexpected(error)
    except (WebSocketError, AssertionError) as error:
        harness.note_unexpected(error)
    finally:
        await harness.finish()
    harness.transcript[:] = [record._replace(time=record.time - began) for record in harness.transcript]
    return harness.result(name=scenario.name, seed=seed)


def _was_reached(transcript: Transcript) -> bool:
    return any(isinstance(record.event, Accepted) for record in transcript)


def _name(scenario: Scenario, index: int) -> str:
    return scenario.name or f"scenario {index + 1}"


def _add(report: Report, name: str, result: Result | Gone) -> None:
    """Count what a scenario showed."""
    case = CaseResult(name, "", report.profile, runs=1)
    failures: list[Failure]
    if isinstance(result, Gone):
        failures = [gone.failure(result, name)]
    else:
        failures = result.failures
        case.duration = result.transcript.end
    case.codes = tuple(sorted({failure.code for failure in failures}))
    report.cases.append(case)
    report.failures += [replace(failure, case=name) for failure in failures]

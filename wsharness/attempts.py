"""Conversations run against an app: many to a process, or one alone from fresh state."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from wsharness import gone, outcomes
from wsharness.asgi import App
from wsharness.conversations import Case, Options, joined
from wsharness.results import Failure, Result
from wsharness.shrinking import Outcome
from wsharness.simulation import seconds_lost, simulate
from wsharness.transcript import Fact, Transcript
from wsharness.workers import Gone, Hung, run_all

BATCH = 8  # conversations that share a process: a fork costs as much as ten of them


STEP_LIMIT = 1.0  # seconds of CPU: an app that blocks its event loop so long has stopped serving


@dataclass(slots=True)
class Attempt(Outcome):
    """What one conversation showed, and what it had to do with others."""

    duration: float = 0.0
    before: tuple[int, ...] = ()
    """The cases that ran in the same process before it, none of which showed or left anything."""
    leaves: frozenset[str] = frozenset()
    """Tasks that outlived it, by what they run and where they were made."""
    grows: bool = False
    """Something grew by as much with each connection or message: more of them will tell whether it ends."""
    seen: outcomes.Outcome = ()
    """What its clients saw."""


def run_batches(app: App, cases: Sequence[Case], options: Options) -> Iterator[tuple[Case, Attempt]]:
    """Run cases, some in a process that others have used; what they show must be shown again alone."""
    ran: list[int] = []

    def job(index: int) -> Attempt:
        outcome = run_case(app, cases[index], options, holders=False)
        outcome.before = tuple(ran)
        ran.append(index)
        return outcome

    jobs = [(index,) for index in range(len(cases))]
    runs = run_all(job, jobs, parallel=options.parallel, limit=options.limit, batch=BATCH, spoils=_spoils)
    for index, outcome in runs:
        yield cases[index], _gone(cases[index], outcome) if isinstance(outcome, Gone) else outcome


def _spoils(outcome: Attempt) -> bool:
    """After a failure nobody knows the app's state; a task that was left has lost its loop."""
    return bool(outcome.failures or outcome.leaves)


def run_alone(app: App, case: Case, options: Options) -> Attempt:
    """Run a case from the state right after the import."""
    [(_, outcome)] = run_all(run_case, [(app, case, options)], limit=options.limit)
    return _gone(case, outcome) if isinstance(outcome, Gone) else outcome


def run_after(app: App, cases: Iterable[Case], case: Case, options: Options) -> tuple[Case, Attempt]:
    """Run a case from fresh state after others, all as one conversation with one life of the app."""
    whole = replace(case, scenario=joined([*(one.scenario for one in cases), case.scenario]))
    return whole, run_alone(app, whole, options)


def _gone(case: Case, run: Gone) -> Attempt:
    lost = run.seconds if isinstance(run, Hung) else 0.0
    return Attempt([_cut(gone.failure(run, case.kind))], accepted=True, lost=lost)


def run_case(app: App, case: Case, options: Options, *, holders: bool = True) -> Attempt:
    """Run one conversation in this process; `holders` also looks for what holds a connection that was kept."""
    result = simulate(
        case.scenario,
        app,
        seed=case.seed,
        schedule=case.schedule,
        profile=options.profile,
        memory="holders" if holders else True,
        step_limit=STEP_LIMIT,
    )
    if result.error is not None and not isinstance(result.error, AssertionError):
        raise result.error
    duration = result.transcript[-1].time if result.transcript else 0.0
    left = (record.event for record in result.transcript.facts("task leaked"))
    accepted = outcomes.ever_accepted(result.transcript)
    seen = outcomes.outcome(result.transcript)
    return Attempt(
        _real(result),
        result.schedule,
        accepted,
        duration=duration,
        lost=seconds_lost(result),
        leaves=frozenset(fact.message for fact in left if isinstance(fact, Fact)),
        grows=any(any(result.transcript.facts(kind)) for kind in ("grows", "queue grew")),
        seen=seen,
    )


def _real(result: Result) -> list[Failure]:
    """Generated conversations expect nothing."""
    return [_cut(failure) for failure in result.failures if failure.code != "WSH501"]


BEFORE, AFTER = 300, 100  # records that are kept of a long transcript, around where a failure showed


def _cut(failure: Failure) -> Failure:
    """A failure with what matters of a long transcript: thousands of equal records say no more."""
    start = max(0, failure.index - BEFORE)
    kept = Transcript(failure.transcript[start : failure.index + AFTER])
    return replace(failure, transcript=kept, index=failure.index - start)

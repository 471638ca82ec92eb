"""The conversations behind `wsharness check`: every route, attacked at every step, and what they show."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from wsharness import checks, comparisons, dependence, outcomes
from wsharness.asgi import App
from wsharness.attempts import Attempt, run_after, run_alone, run_batches
from wsharness.conversations import (
    SMALL_TALK,
    Case,
    Options,
    conversations,
    entry_of,
    longer,
    opened,
    run_info_of,
)
from wsharness.entering import let_in, unreached
from wsharness.errors import NoRouteError
from wsharness.profiles import PROFILES, get_profile
from wsharness.races import Races
from wsharness.request import check_paths
from wsharness.results import CaseResult, Failure, Report, distinct
from wsharness.scenario.model import RunInfo, Scenario, to_yaml
from wsharness.scheduling import make_schedule
from wsharness.scouting import with_messages
from wsharness.shrinking import MEMORY, Outcome, find, loose_key, ran_as, shrink
from wsharness.simulation import warm_up
from wsharness.targets import Route, discover_routes
from wsharness.workers import frozen

Key = tuple[str, str, str, int]


def check(app: App, options: Options) -> Report:
    """Attack every WebSocket route of the app and report what is wrong, each bug once, smallest first."""
    get_profile("uvicorn" if options.profile == "all" else options.profile)
    make_schedule(options.schedule)
    checks.apply_severity((), ignore=options.ignore, warn=options.warn)  # a wrong code is said before the work
    warm_up()
    report = Report(options.target, options.seed, options.profile)
    with frozen():
        _check_routes(app, options, report)
    report.failures = checks.apply_severity(distinct(report.failures), ignore=options.ignore, warn=options.warn)
    return report


def _check_routes(app: App, options: Options, report: Report) -> None:
    profiles = list(PROFILES) if options.profile == "all" else [options.profile]
    for route in routes(app, options):
        before = len(report.failures)
        seen = {name: _check_route(app, route, replace(options, profile=name), report) for name in profiles}
        if options.profile == "all":
            report.failures += _divided(app, route, report.failures[before:], seen, options)


def _divided(
    app: App, route: Route, failures: list[Failure], seen: dependence.Seen, options: Options
) -> Iterator[Failure]:
    """WSH402 on one route."""
    divided = [*dependence.divided_failures(app, failures, options)]
    divided += dependence.divided_outcomes(app, seen, options)
    for failure, case in divided:
        yield _finished(failure, case, route, replace(options, profile=failure.profile))


def routes(app: App, options: Options) -> list[Route]:
    """The routes to attack: those given, else those found; NoRouteError if there are none."""
    check_paths(options.paths)
    found = [route for route in discover_routes(app) if not options.paths or route.path in options.paths]
    known = {route.path for route in found}
    found += [Route(path=path, name=path, params={}) for path in options.paths if path not in known]
    if not found:
        raise NoRouteError(f"no WebSocket route found in {options.target!r}; name one with --path /ws")
    return found


LOST = 10.0  # real seconds with runs on one route that had to be stopped, before the rest of its cases is left out


def _check_route(app: App, route: Route, options: Options, report: Report) -> list[tuple[Case, outcomes.Outcome]]:
    """Report what one route shows under one profile; what came of each case."""
    options = with_messages(app, route, let_in(app, route, options))
    found = _Found(app, options)
    results: dict[str, CaseResult] = {}
    seen: list[tuple[Case, outcomes.Outcome]] = []
    calm: list[Case] = []
    accepted = False
    lost = 0.0
    cases = list(conversations(route, options))
    for case, outcome in run_batches(app, cases, options):
        accepted |= outcome.accepted
        seen.append((case, outcome.seen))
        result = results.setdefault(case.kind, CaseResult(case.kind, route.path, options.profile))
        result.runs += 1
        result.duration += outcome.duration
        busy = any(failure.code == "WSH103" for failure in outcome.failures)
        lost += max(outcome.lost, float(busy))
        if not outcome.failures:
            calm.append(case)
        else:
            codes = found.confirm(case, outcome, [cases[index] for index in outcome.before])
            result.codes = tuple(sorted({*result.codes, *codes}))
        if found.leaves_another(case, outcome):
            result.codes = tuple(sorted({*result.codes, LEAK}))
        if outcome.grows and not _stays(outcome):
            many = longer(route, options, case)
            alone = run_alone(app, many, options)
            if not alone.lost:  # else it was stopped before it could tell
                found.take(alone, many)
        if lost >= LOST:
            break
    report.cases += results.values()
    if not accepted:
        failure = unreached(route, options, (outcome for _, outcome in seen))
        report.failures.append(failure)
        report.cases.append(CaseResult(failure.case, route.path, options.profile, codes=(failure.code,)))
    for failure, case in found.confirmed.values():
        report.failures.append(_finished(*_shrunk(app, failure, case, options), route, options))
    if accepted and not lost and options.profile in (report.profile, dependence.SERVERS[0]):
        _compare_runs(app, route, calm, options, report)
    return seen


def _stays(outcome: Attempt) -> bool:
    """Whether handlers go on when their clients have left: then everything grows, and a thousand of them take long."""
    return any(failure.code in ("WSH102", "WSH105") for failure in outcome.failures)


TALK = ("random", "beside others", "at the same time")
"""Conversations of several who say this and that: of them some are run twice."""


def _compare_runs(app: App, route: Route, calm: Sequence[Case], options: Options, report: Report) -> None:
    """Report what no single run shows; `calm` are the cases that showed nothing."""
    run = comparisons.Runner(app, options.parallel, options.limit)
    talk = [case.scenario for case in calm if case.kind in TALK]
    options = opened(options) if options.opening else options
    races = Races(route, entry_of(options), run_info_of(options))
    messages = options.messages or SMALL_TALK
    found = list(comparisons.compare(run, races, messages, talk, options.schedule, options.seed))
    codes = tuple(sorted({failure.code for failure, _ in found}))
    report.cases.append(CaseResult("runs compared", route.path, options.profile, run.count, codes))
    for finding in found:
        failure, scenario = comparisons.smaller(run, finding)
        report.failures.append(_finished(failure, _case("runs compared", scenario), route, options))


LEAK = "WSH104"
DOUBTS = 3  # how often a failure that could not be shown again is tried once more


@dataclass(slots=True)
class _Found:
    """The failures of one route that were shown from fresh state."""

    app: App
    options: Options
    confirmed: dict[Key, tuple[Failure, Case]] = field(default_factory=dict)
    _known: set[tuple[Key, str]] = field(default_factory=set)
    _doubts: Counter[Key] = field(default_factory=Counter)
    _left: set[tuple[str, str]] = field(default_factory=set)
    """Tasks that outlived a case of a kind which was then run twice."""

    def leaves_another(self, case: Case, outcome: Attempt) -> bool:
        """Run a case twice in one life of the app where a task outlives it: what all share is made once."""
        told = any(failure.code == LEAK for failure in outcome.failures)
        new = set[tuple[str, str]]() if told else {(task, case.kind) for task in outcome.leaves} - self._left
        self._left |= new
        if not new:
            return False
        twice, again = run_after(self.app, [case], case, self.options)
        leaks = [failure for failure in again.failures if failure.code == LEAK]
        self.take(replace(again, failures=leaks), twice)
        return bool(leaks)

    def confirm(self, case: Case, outcome: Attempt, before: Sequence[Case]) -> set[str]:
        """Run a case again alone, or after those before it, where it showed something new; what it showed."""
        new = [failure for failure in outcome.failures if self._is_new(failure, case)]
        if new:
            alone = run_alone(self.app, case, self.options)
            self.take(alone, case)
            new = [failure for failure in new if find(failure, alone) is None]
        if new and before:
            whole, again = run_after(self.app, before, case, self.options)
            self.take(again, whole)
            new = [failure for failure in new if find(failure, again) is None]
        self._doubts.update(loose_key(failure) for failure in new)
        known = {loose_key(failure) for failure, _ in self.confirmed.values()}
        return {failure.code for failure in outcome.failures if loose_key(failure) in known}

    def _is_new(self, failure: Failure, case: Case) -> bool:
        """Whether it was not yet seen in a case of this kind: a lost connection may be held by something else."""
        key = loose_key(failure)
        if key not in self._doubts:
            kind = case.kind if failure.code == "WSH107" else ""
            return (key, kind) not in self._known
        return self._doubts[key] < DOUBTS

    def take(self, outcome: Attempt, case: Case) -> None:
        """Keep what a case showed from fresh state."""
        case = replace(case, scenario=ran_as(case.scenario, outcome.schedule))
        for failure in outcome.failures:
            self.confirmed.setdefault(failure.key, (failure, case))
            self._known |= {(loose_key(failure), kind) for kind in ("", case.kind)}
            del self._doubts[loose_key(failure)]


WHOLE = ("WSH108", "WSH111", "WSH301")
"""What shows by many steps alike, of which fewer say less: they stand in the file once."""


def _shrunk(app: App, failure: Failure, case: Case, options: Options) -> tuple[Failure, Case]:
    """The same failure by the smallest case; what shows it among others must show it alone."""

    def run(scenarios: Sequence[Scenario]) -> Iterator[Outcome]:
        for candidate, outcome in run_batches(app, [_case(case.kind, one) for one in scenarios], options):
            if find(failure, outcome) is None or not (outcome.before or failure.code in MEMORY):
                yield outcome
            else:
                alone = run_alone(app, candidate, options)
                yield replace(alone, lost=alone.lost + outcome.lost)

    if failure.code in WHOLE:
        return failure, case
    scenario, failure = shrink(case.scenario, failure, run)
    return failure, _case(case.kind, scenario)


def _case(kind: str, scenario: Scenario) -> Case:
    """The case of a scenario that says how it is to be run."""
    info = scenario.run or RunInfo()
    return Case(kind, scenario, info.seed, info.schedule)


def _finished(failure: Failure, case: Case, route: Route, options: Options) -> Failure:
    """The failure with everything a report says of it."""
    info = replace(case.scenario.run or RunInfo(), schedule=case.schedule, seed=case.seed, expects=failure.code)
    scenario = replace(case.scenario, name=f"{failure.title} on {route.path}", run=info)
    return replace(
        failure,
        case=case.kind,
        seed=case.seed,
        profile=options.profile,
        route=route.path,
        scenario=to_yaml(scenario),
    )

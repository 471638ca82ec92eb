"""Exploration: many conversations in many orders until a budget is spent; each bug once, small, and replayable."""

import itertools
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase
from hypothesis.strategies import SearchStrategy

from wsharness import checks, comparisons, conversations, gone, outcomes, shrinking, strategies
from wsharness.asgi import App
from wsharness.errors import NoRouteError, ScenarioError, UsageError, WebSocketError
from wsharness.phrases import Data, messages_of_model
from wsharness.profiles import PROFILES, get_profile
from wsharness.races import Races
from wsharness.request import check_paths
from wsharness.results import CaseResult, Failure, Report
from wsharness.scenario.entry import Entry
from wsharness.scenario.loading import loads
from wsharness.scenario.model import ANY_CHECK, RunInfo, Scenario, to_yaml
from wsharness.scheduling import make_schedule
from wsharness.scouting import with_messages
from wsharness.shrinking import Outcome, loose_key
from wsharness.simulation import seconds_lost, simulate, warm_up
from wsharness.targets import Route, route_of
from wsharness.workers import Gone, Hung, frozen, run_all

BATCH = 100  # conversations that Hypothesis draws at a time
CHUNK = 25  # runs that share a process while they show nothing
BUDGET = 60.0
PATIENCE = 20.0  # real seconds to make one failure small
TOO_LONG = 10.0  # real seconds that a run takes, for making it small
SHARE = 1 / 3  # of the time that is left, for making small what was found
LAST = 0.05  # of the budget, which is too little to go on with
SMALL, LARGE = "explored", "explored, not made small in time"
"""What the report says of a failure."""

Bug: TypeAlias = tuple[str, str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a user may say about an exploration."""

    target: str = ""
    """MODULE:APP, for the scenarios it writes and the database."""
    app_dir: str | None = None
    factory: bool = False
    lifespan: str | None = None
    """As in a scenario's `run`: auto, on or off."""
    paths: tuple[str, ...] = ()
    profile: str = "uvicorn"
    """A server's, or "all": one after another."""
    seed: int = 0
    runs: int | None = None
    budget: float | None = None
    """Real seconds; without `runs` and `budget` it is a minute, with both whatever is spent first."""
    schedule: str = "random"
    """The orders that are tried beside asyncio's own."""
    clients: int = 3
    steps: int = strategies.STEPS
    messages: tuple[Any, ...] = ()
    faults: bool = True
    entry: Entry = field(default_factory=Entry)
    parallel: int = 1
    ignore: tuple[str, ...] = ()
    warn: tuple[str, ...] = ()
    limit: float = 30.0
    """Real seconds after which a process is ended from outside."""


def explore(app: App, options: Options, database: ExampleDatabase | None = None) -> Report:
    """Look for failures until the budget is spent; known ones, from the database, come back first.

    The app must not have run in this process: every run that counts starts in a copy of it.
    """
    _check(options)
    with frozen():
        explorer = _Explorer(app, options, database)
        explorer.recall()
        explorer.work()
        return explorer.report()


def default_database() -> ExampleDatabase | None:
    """Hypothesis' own: the folder .hypothesis, unless its settings say otherwise."""
    return settings.default.database if settings.default is not None else None


def _check(options: Options) -> None:
    for name, value, example in (("budget", options.budget, "60s"), ("runs", options.runs, "1000")):
        if value is not None and value <= 0:
            raise UsageError(f"expected --{name} above 0; got {value:g}; write --{name} {example}")
    get_profile("uvicorn" if options.profile == "all" else options.profile)
    make_schedule(options.schedule)
    checks.apply_severity((), ignore=options.ignore, warn=options.warn)


def routes(app: App, options: Options) -> list[Route]:
    """The routes to explore; NoRouteError if there are none."""
    check_paths(options.paths)
    try:
        return strategies.routes_of(app, options.paths)
    except UsageError:
        raise NoRouteError(f"no WebSocket route found in {options.target!r}; name one with --path /ws") from None


@dataclass(slots=True)
class _Found:
    failure: Failure
    scenario: Scenario
    small: bool = False
    """Nothing more is to be done: it is as small as it gets, or a run of it takes too long to find out."""
    said: str = SMALL
    known: bytes | None = None
    """As the database has it, where it is to be made small."""


class _Explorer:
    def __init__(self, app: App, options: Options, database: ExampleDatabase | None) -> None:
        self._app = app
        self._options = options
        self._database = database
        self._key = f"wsharness explore {options.target}".encode()
        self._large_key = self._key + b", not made small"
        self._routes = routes(app, options)
        self._messages: dict[str, Sequence[Any]] = {}
        self._strategy = self._conversations(options.messages)
        budget = BUDGET if options.budget is None and options.runs is None else options.budget
        self._until = None if budget is None else time.monotonic() + budget
        self._pause = (budget or 0.0) * LAST
        self._search_until = self._until
        self._found: dict[Bug, _Found] = {}
        self._calm: list[Scenario] = []
        self._compare = comparisons.Runner(app, options.parallel, options.limit)
        self._compared = False
        self._runs = 0
        self._batches = itertools.count()
        self._accepted = False
        self._seeds = options.seed
        self._usual = "uvicorn" if options.profile == "all" else options.profile
        self._profiles = itertools.cycle(PROFILES if options.profile == "all" else [options.profile])
        warm_up()

    def _conversations(
        self, messages: Sequence[Any], routes: Sequence[Route] = (), entry: Entry | None = None
    ) -> SearchStrategy[Scenario]:
        options = self._options
        return strategies.conversations(
            routes or self._routes,
            options.entry if entry is None else entry,
            clients=options.clients,
            steps=options.steps,
            moves=strategies.Moves.of(messages),
            faults=strategies.faults() if options.faults else None,
            schedules=None if options.schedule == "fifo" else strategies.schedules(),
        )

    # The budget

    def _left(self) -> int:
        """How many runs there may still be."""
        return BATCH if self._options.runs is None else max(0, self._options.runs - self._runs)

    def _spent(self) -> bool:
        return self._left() == 0 or _is_over(self._until, self._pause)

    def _is_time_to_shrink(self) -> bool:
        """Whether what was found needs the time that is left; the more is left, the later."""
        if any(not found.small for found in self._found.values()):
            return _is_over(self._search_until)
        return _is_over(self._until)

    def work(self) -> None:
        """Search, and make small what was found; again and again until the budget is spent."""
        if not self._options.messages:
            self._learn()
        while True:
            if self._until is not None:
                self._search_until = self._until - SHARE * (self._until - time.monotonic())
            self._search()
            self._shrink()
            if self._spent():
                return

    # What was found before

    def recall(self) -> None:
        """Run what the database knows, all of it, however small the budget."""
        database = self._database
        if database is None:
            return
        for key in (self._key, self._large_key):
            for value in sorted(database.fetch(key)):
                if not self._recall(value, small=key == self._key):
                    database.delete(key, value)

    def _recall(self, value: bytes, *, small: bool) -> bool:
        """Whether what the database has shows again, and nothing before it showed that."""
        scenario = self._read(value)
        if scenario is None or scenario.run is None:
            return False
        shown = [failure for failure in self._show(scenario).failures if failure.code == scenario.run.expects]
        new = {loose_key(failure): failure for failure in shown if loose_key(failure) not in self._found}
        for bug, failure in new.items():
            self._found[bug] = _Found(failure, scenario, small, known=None if small else value)
        return bool(new)

    def _show(self, scenario: Scenario) -> Outcome:
        outcome = self._run_alone(scenario)
        found = comparisons.shown(self._compare, scenario)
        if found is not None:
            path = next((spec.path for spec in scenario.clients.values()), "")
            outcome.failures.append(replace(found[0], route=route_of(self._routes, path)))
        return outcome

    def _read(self, value: bytes) -> Scenario | None:
        try:
            [scenario] = loads(value.decode())
        except (ScenarioError, UnicodeDecodeError, ValueError):
            return None
        return scenario

    # What may be said

    def _learn(self) -> None:
        """Look in the app for the messages that lead into it, and for what comes first, where none was given."""
        about, inside = self._about(), list[SearchStrategy[Scenario]]()
        for route in self._routes:
            if not _is_over(self._until):
                found = with_messages(self._app, route, about)
                self._messages[route.path] = found.messages
                entry = conversations.entry_of(found)
                if entry != conversations.entry_of(about):
                    inside.append(self._conversations(found.messages, [route], entry))
                if found.opening:
                    entry = conversations.entry_of(conversations.opened(found))
                    inside.append(self._conversations(found.deep, [route], entry))
        known = dict.fromkeys(text for messages in self._messages.values() for text in messages)
        self._strategy = st.one_of(self._conversations(tuple(known)), *inside)

    def _about(self) -> conversations.Options:
        """The options, for who looks in the app."""
        options, entry = self._options, self._options.entry
        return conversations.Options(
            target=options.target,
            profile=self._usual,
            headers=tuple(entry.headers.items()),
            cookies=tuple(entry.cookies.items()),
            query=tuple(entry.query.items()),
            params=tuple(entry.params.items()),
            subprotocols=entry.subprotocols,
            hello=tuple(entry.steps("alice"))[1:],
            parallel=options.parallel,
            limit=options.limit,
        )

    # The search

    def _search(self) -> None:
        """Draw conversations and run them, each in asyncio's order, a drawn one and one of the chosen schedule."""
        for number in self._batches:
            self._try([one for scenario in self._draw(number) for one in self._variants(scenario)])
            if not self._compared:
                self._compared = True
                self._compare_runs()
            if self._left() == 0 or self._is_time_to_shrink():
                return

    def _compare_runs(self) -> None:
        """Look for what no single run shows: a bounded number of runs beside those that are counted."""
        options = self._options
        info = RunInfo(profile=self._usual, expects=ANY_CHECK)
        talk = self._calm
        self._compare.until = self._search_until
        for route in self._routes:
            if _is_over(self._search_until) or any(code == "WSH103" for code, *_ in self._found):  # a second a run
                return
            races = Races(route, options.entry, info)
            messages = _examples(options.messages or self._messages.get(route.path) or strategies.SMALL_TALK)
            found = comparisons.compare(self._compare, races, messages, talk, options.schedule, options.seed)
            for failure, scenario in found:
                named = replace(failure, route=route.path)
                self._found.setdefault(loose_key(named), _Found(named, scenario))
            talk = []

    def _draw(self, number: int) -> list[Scenario]:
        drawn: list[Scenario] = []

        @seed(f"{self._options.seed} {number}")
        @settings(
            max_examples=min(BATCH, self._left()),
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(self._strategy)
        def draw(scenario: Scenario) -> None:
            drawn.append(scenario)

        draw()
        return drawn

    def _variants(self, scenario: Scenario) -> Iterator[Scenario]:
        options = self._options
        run = replace(
            scenario.run or RunInfo(), profile=next(self._profiles), seed=options.seed, lifespan=options.lifespan
        )
        yield replace(scenario, run=run)
        if self._options.schedule != "fifo":
            self._seeds += 1
            yield replace(scenario, run=replace(run, schedule=self._options.schedule, seed=self._seeds))

    def _try(self, scenarios: Sequence[Scenario]) -> None:
        """Run them; what shows something is run again from the first state before it counts."""
        for scenario, outcome in self._run(scenarios[: self._left()], batch=CHUNK):
            self._runs += 1
            self._accepted |= outcome.accepted
            if not outcome.failures and len(self._calm) < BATCH:
                self._calm.append(scenario)
            if not all(loose_key(failure) in self._found for failure in outcome.failures):
                self._confirm(shrinking.ran_as(scenario, outcome.schedule))
            if self._left() == 0 or self._is_time_to_shrink():
                return

    def _confirm(self, scenario: Scenario) -> None:
        outcome = self._run_alone(scenario)
        for failure in outcome.failures:
            self._found.setdefault(loose_key(failure), _Found(failure, scenario, small=outcome.lost > TOO_LONG))

    # Runs, in copies of this process

    def _run(
        self, scenarios: Sequence[Scenario], *, batch: int = 1, holders: bool = False
    ) -> Iterator[tuple[Scenario, Outcome]]:
        """Up to `batch` share a process, until one shows something."""

        def job(index: int) -> Outcome:
            return run_once(self._app, self._routes, scenarios[index], holders=holders)

        options = self._options
        jobs = [(index,) for index in range(len(scenarios))]
        runs = run_all(job, jobs, parallel=options.parallel, limit=options.limit, batch=batch, spoils=_spoils)
        for index, outcome in runs:
            yield scenarios[index], _gone(outcome, self._routes) if isinstance(outcome, Gone) else outcome

    def _run_alone(self, scenario: Scenario) -> Outcome:
        [(_, outcome)] = self._run([scenario], holders=True)
        return outcome

    def _run_fresh(self, scenarios: Sequence[Scenario], until: float | None = None) -> Iterator[Outcome]:
        for _, outcome in self._run(scenarios):
            yield outcome
            if until is not None and time.monotonic() >= until:
                return

    # Making small

    def _shrink(self) -> None:
        """Make small what is not yet, failures first, within the time that is left."""
        todo = [found for found in self._found.values() if not found.small]
        todo.sort(key=lambda found: found.failure.severity == "warning")
        for number, found in enumerate(todo):
            now = time.monotonic()
            until = now + PATIENCE
            if self._until is not None:
                until = min(until, now + max(0.0, self._until - now) / (len(todo) - number))
            self._make_small(found, until)

    def _make_small(self, found: _Found, until: float) -> None:
        if found.failure.code in comparisons.CODES:
            self._compare.until = until if self._until is not None else None
            found.failure, found.scenario = comparisons.smaller(self._compare, (found.failure, found.scenario))
        elif not _is_over(until):
            run = partial(self._run_fresh, until=until)
            found.scenario, found.failure = shrinking.shrink(found.scenario, found.failure, run)
            if found.failure.code in shrinking.MEMORY:
                found.failure = shrinking.find(found.failure, self._run_alone(found.scenario)) or found.failure
        found.small = True
        found.said = LARGE if _is_over(until) else SMALL

    # The report

    def report(self) -> Report:
        """Each failure by the smallest scenario that shows it."""
        options = self._options
        failures = [self._finished(found) for found in self._found.values()]
        if not self._accepted and not failures:
            failures.append(self._unreached())
        codes = tuple(sorted({failure.code for failure in failures}))
        route = ", ".join(route.path for route in self._routes)
        case = CaseResult("explored", route, options.profile, runs=self._runs, codes=codes)
        failures = checks.apply_severity(failures, ignore=options.ignore, warn=options.warn)
        return Report(options.target, options.seed, options.profile, failures, [case])

    def _finished(self, found: _Found) -> Failure:
        failure, scenario, options = found.failure, found.scenario, self._options
        info = replace(
            scenario.run or RunInfo(),
            app=options.target or None,
            app_dir=options.app_dir,
            factory=options.factory,
            expects=failure.code,
        )
        place = f" on {failure.route}" if failure.route else ""
        scenario = replace(scenario, name=f"{failure.title}{place}", run=info)
        text = to_yaml(scenario)
        if self._database is not None:
            if found.known is not None:
                self._database.delete(self._large_key, found.known)
            self._database.save(self._key if found.said == SMALL else self._large_key, text.encode())
        return replace(failure, case=found.said, seed=info.seed, scenario=text)

    def _unreached(self) -> Failure:
        text = "no connection was ever accepted; say what it needs: --query, --header, --cookie, --hello FILE"
        route, options = self._routes[0].path, self._options
        where = {"route": route, "case": "explored", "seed": options.seed, "profile": options.profile}
        return checks.CHECKS["WSH304"].failure(text, **where)


def _examples(kinds: Sequence[Any]) -> list[Data]:
    """Messages that the app understands, of examples and of models."""
    texts: list[Data] = []
    for kind in kinds:
        if isinstance(kind, (str, bytes)):
            texts.append(kind)
        else:
            texts += [json.dumps(kind)] if isinstance(kind, (dict, list)) else messages_of_model(kind)
    return texts


def _is_over(until: float | None, before: float = 0.0) -> bool:
    return until is not None and time.monotonic() >= until - before


def _spoils(outcome: Outcome) -> bool:
    """After a failure nobody knows the app's state."""
    return any(failure.severity == "failure" for failure in outcome.failures)


def run_once(app: App, routes: Sequence[Route], scenario: Scenario, *, holders: bool = True) -> Outcome:
    """Run one in this process; its failures are of routes, not of the paths that clients asked for."""
    schedule = (scenario.run or RunInfo()).schedule
    memory: bool | Literal["holders"] = isinstance(schedule, dict) or schedule == "fifo"
    result = simulate(scenario, app, memory="holders" if memory and holders else memory)
    if result.error is not None and not isinstance(result.error, (AssertionError, WebSocketError)):
        raise result.error
    failures = [replace(one, route=route_of(routes, one.route)) for one in result.failures if one.code != "WSH501"]
    return Outcome(failures, result.schedule, outcomes.ever_accepted(result.transcript), seconds_lost(result))


def _gone(run: Gone, routes: Sequence[Route]) -> Outcome:
    lost = run.seconds if isinstance(run, Hung) else 0.0
    failure = gone.failure(run)
    named = replace(failure, route=route_of(routes, failure.route) if failure.route else "")
    return Outcome([named], accepted=True, lost=lost)

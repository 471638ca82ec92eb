"""What depends on the server: the same conversations under several profiles, compared (WSH402)."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from wsharness import checks
from wsharness.asgi import App
from wsharness.attempts import Attempt, run_alone
from wsharness.conversations import Case, Options
from wsharness.outcomes import CRASHES, Outcome, shown_outcome
from wsharness.profiles import PROFILES
from wsharness.results import Failure
from wsharness.scenario.loading import loads
from wsharness.scenario.model import Step, Verb
from wsharness.shrinking import find, loose_key

SERVERS = tuple(name for name in PROFILES if name != "strict")
"""The profiles of servers: strict is none, and raises where any does."""
PAUSE = 0.05  # seconds: longer than an app takes to answer, shorter than it waits for anything
TRIES = 5  # conversations of a route that are run again alone, under each profile
UNDIVIDED = ("WSH107", "WSH401")
"""What need not show alone, on the same server either."""

Seen: TypeAlias = Mapping[str, Sequence[tuple[Case, Outcome]]]
"""By profile: the cases of one route, and what came of each."""


def divided_failures(app: App, failures: Sequence[Failure], options: Options) -> Iterator[tuple[Failure, Case]]:
    """Bugs that only some servers show; each is tried once more, by its own scenario, on those that did not."""
    for failure in failures:
        if failure.severity != "failure" or failure.profile not in SERVERS or failure.code in UNDIVIDED:
            continue
        key = loose_key(failure)
        shown = {one.profile for one in failures if loose_key(one) == key}
        if failure.profile != min(shown & set(SERVERS), key=SERVERS.index):
            continue  # said once, by the first server that shows it
        case = _case_of(failure)
        missing = [name for name in SERVERS if name not in shown]
        missing = [name for name in missing if not _is_shown(app, failure, case, replace(options, profile=name))]
        if missing:
            message = (
                f"{failure.code} {failure.title} under {', '.join(name for name in SERVERS if name not in missing)}; "
                f"not under {', '.join(missing)}"
            )
            found = checks.CHECKS["WSH402"].failure(message, stack=failure.stack, kind=failure.code)
            yield replace(found, severity="failure", transcript=failure.transcript, profile=failure.profile), case


def _divided(app: App, case: Case, options: Options) -> str:
    return divided({name: _alone(app, case, name, options).seen for name in SERVERS})


def _patient(case: Case) -> Case:
    """The same conversation, in which clients wait after each step: nothing is a race."""
    steps = [one for step in case.scenario.steps for one in (step, Step(None, Verb.PAUSE, PAUSE))]
    return replace(case, scenario=replace(case.scenario, steps=tuple(steps)))


def _is_shown(app: App, failure: Failure, case: Case, options: Options) -> bool:
    """Whether a bug shows in its conversation, or where its clients wait after each step.

    A conversation is cut to what shows the bug on one server; on another the client that leaves too soon may hide it.
    """
    return any(find(failure, run_alone(app, one, options)) is not None for one in (case, _patient(case)))


def divided_outcomes(app: App, seen: Seen, options: Options) -> Iterator[tuple[Failure, Case]]:
    """Conversations that end otherwise on some servers than on others, each kind of difference once.

    What differs only while several things happen at once depends on how tasks take turns: that is no server's doing.
    """
    known: set[str] = set()
    for case in list(_differing(seen))[:TRIES]:
        message = _divided(app, case, options)
        if message and message not in known and _divided(app, _patient(case), options):
            known.add(message)
            yield checks.CHECKS["WSH402"].failure(message, kind=message, profile=SERVERS[0]), case


def _differing(seen: Seen) -> Iterator[Case]:
    """The cases that every server was given and that did not end alike, the shortest first."""
    by_profile = {name: {_key(case): (case, outcome) for case, outcome in seen.get(name, ())} for name in SERVERS}
    first = by_profile[SERVERS[0]]
    for key, (case, outcome) in sorted(first.items(), key=lambda item: len(item[1][0].scenario.steps)):
        others = [found[key][1] for found in by_profile.values() if key in found]
        if len(others) == len(SERVERS) and any(Counter(other) != Counter(outcome) for other in others):
            yield case


def divided(outcomes: Mapping[str, Outcome]) -> str:
    """Which servers differ in what, each group by the first thing that some other lacks; empty where they agree.

    The order in which things come decides nothing: between clients nobody sees it, and to one client it tells of how
    handlers took turns.
    """
    groups: dict[str, list[str]] = {}
    for name, outcome in outcomes.items():
        others = [Counter(other) for other in outcomes.values() if Counter(other) != Counter(outcome)]
        groups.setdefault(_lacking(outcome, others), []).append(name)
    if len(groups) < 2:  # noqa: PLR2004 (those that differ are at least two)
        return ""
    return "; ".join(f"{shown_outcome(what)} under {', '.join(names)}" for what, names in groups.items())


def _lacking(outcome: Outcome, others: Sequence[Mapping[str, int]]) -> str:
    """The first thing of an outcome that some other does not have, or not as often."""
    if not any(map(_is_crash, outcome)) and any(_is_crash(what) for other in others for what in other):
        return "the app does not raise"  # elsewhere nothing but what it raises is looked at
    seen: Counter[str] = Counter()
    for what in outcome:
        seen[what] += 1
        if any(other.get(what, 0) < seen[what] for other in others):
            return what
    return "nothing more"


def _is_crash(what: str) -> bool:
    return f" {CRASHES} " in what


def _alone(app: App, case: Case, profile: str, options: Options) -> Attempt:
    return run_alone(app, case, replace(options, profile=profile))


def _case_of(failure: Failure) -> Case:
    [scenario] = loads(failure.scenario)
    assert scenario.run is not None
    return Case(failure.case, scenario, scenario.run.seed, scenario.run.schedule)


def _key(case: Case) -> str:
    return repr((case.kind, case.seed, case.schedule, case.scenario.clients, case.scenario.steps))

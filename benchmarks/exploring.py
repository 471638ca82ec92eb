"""What exploring costs: conversations that Hypothesis draws, each simulated, and shrinking a failure of the chat."""

import time

from hypothesis import HealthCheck, Phase, given, settings

from benchmarks.applications import Chat
from benchmarks.measuring import Figure, at_least, at_most, side_by_side, stopwatch
from scenarios.apps.chat import app as fastapi_chat
from wsharness import CheckFailed, fresh, simulate
from wsharness.scenario.model import Scenario
from wsharness.strategies import scenarios

DRAWN = 300
SHRUNK = 3
quick = settings(max_examples=DRAWN, database=None, deadline=None, suppress_health_check=list(HealthCheck))


def drawn() -> float:
    """Seconds for a conversation of up to three clients, drawn and run in asyncio's order."""
    ran = 0

    @settings(quick, phases=(Phase.generate,))
    @given(scenarios(Chat(), clients=3, paths=["/"], schedules=False))
    def talk(scenario: Scenario) -> None:
        nonlocal ran
        ran += 1
        simulate(scenario, Chat())

    with stopwatch() as watch:
        talk()
    return watch.seconds / ran


def shrinking() -> float:
    """Real seconds to find and shrink the chat's failures, most of it in copies of the process."""

    @settings(quick, phases=(Phase.generate, Phase.shrink))
    @given(scenarios(fastapi_chat, clients=3))
    def survives(scenario: Scenario) -> None:
        simulate(scenario, fastapi_chat).check()

    kept = fresh.find(fastapi_chat)
    if kept is not None:
        kept.results.clear()
    began = time.perf_counter()
    try:
        survives()
    except (CheckFailed, ExceptionGroup):
        return time.perf_counter() - began
    raise AssertionError("the chat has known failures")


def measure() -> list[Figure]:
    """Conversations a second, and seconds to shrink."""
    per_run = side_by_side({"drawn": drawn}, repeats=3)["drawn"]
    seconds = side_by_side({"shrinking": shrinking}, repeats=SHRUNK)["shrinking"]
    return [
        at_least("conversations drawn by Hypothesis, 3 clients, bare chat", 1 / per_run, "runs/s", 300),
        at_most("find and shrink the failures of FastAPI's chat", seconds, "s", 5),
    ]

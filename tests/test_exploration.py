import asyncio
import dataclasses
import json
import math
import os
import time
from functools import partial

import pytest
from hypothesis.database import InMemoryExampleDatabase
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests import rooms
from wsharness import comparisons, exploration, scouting
from wsharness.errors import NoRouteError, UsageError
from wsharness.exploration import Options, explore
from wsharness.scenario.entry import Entry
from wsharness.scenario.loading import loads
from wsharness.simulation import simulate

MEMBERS = []
COUNT = {"total": 0, "visits": 0}


@pytest.fixture(autouse=True)
def all_the_time(monkeypatch):
    """A busy machine would make less of each finding: the runs are counted, and not the seconds."""
    monkeypatch.setattr(exploration, "PATIENCE", math.inf)


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch):
    """A look in the app for its messages takes longer than most of what is shown here."""
    monkeypatch.setattr(exploration, "with_messages", lambda app, route, options: options)


def serve(handler, *paths):
    return Starlette(routes=[WebSocketRoute(path, handler) for path in paths or ("/ws",)])


async def talk(websocket, answer):
    await websocket.accept()
    try:
        while True:
            await answer(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


async def echo(websocket):
    await talk(websocket, websocket.send_text)


async def chat(websocket):
    """Keeps its members in its module, and dead ones among them."""
    MEMBERS.append(websocket)

    async def answer(text):
        for member in MEMBERS:
            await member.send_text(text)

    await talk(websocket, answer)


async def nobody_hears(websocket):
    await websocket.accept()
    text = await websocket.receive_text()
    if "Z" in text:
        raise ValueError("Z is no letter")


async def counter(websocket):
    """Alice and bob lose no visit in asyncio's own order."""
    COUNT["visits"] += 1
    for _ in range(0 if websocket.path_params["who"] == "alice" else 3):
        await asyncio.sleep(0)
    before = COUNT["total"]
    await asyncio.sleep(0)
    COUNT["total"] = before + 1
    await websocket.accept()
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass
    assert COUNT["total"] == COUNT["visits"]


async def careful(websocket):
    await websocket.accept()
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


def look(app, database=None, **options):
    options.setdefault("runs", 60)
    return explore(app, Options(target="shop:app", parallel=2, **options), database)


def test_each_bug_is_found_once_small_and_replays():
    report = look(serve(chat, "/ws/{room}"))
    assert MEMBERS == []
    crashes = [failure for failure in report.failures if failure.code == "WSH101"]
    assert len({failure.key for failure in report.failures}) == len(report.failures)
    assert crashes
    for failure in crashes:
        [scenario] = loads(failure.scenario)
        assert len(scenario.steps) <= 6
        assert (scenario.run.app, scenario.run.expects, failure.route) == ("shop:app", "WSH101", "/ws/{room}")
        assert scenario.name == "unhandled exception on /ws/{room}"
        MEMBERS.clear()
        assert failure.key in {again.key for again in simulate(scenario, serve(chat, "/ws/{room}")).failures}
    MEMBERS.clear()
    [case] = report.cases
    assert (case.name, case.route, case.runs) == ("explored", "/ws/{room}", 60)
    assert "WSH101" in case.codes


def test_who_holds_a_connection_is_told_of_what_was_made_small():
    async def keeps_who_speaks(websocket):
        await websocket.accept()
        await websocket.receive_text()
        MEMBERS.append(websocket)

    report = look(serve(keeps_who_speaks), runs=20, schedule="fifo", faults=False)
    [held] = [failure for failure in report.failures if failure.code == "WSH107"]
    assert held.message.endswith("still held by tests.test_exploration.MEMBERS[…]")
    [scenario] = loads(held.scenario)
    assert len(scenario.steps) == 2


def test_a_sound_app_has_no_failure():
    report = look(serve(echo))
    assert {failure.code for failure in report.failures} <= {"WSH112"}
    assert report.counts["failures"] == 0


def test_a_known_failure_comes_back_first():
    database = InMemoryExampleDatabase()
    first = look(serve(nobody_hears), database, messages=("Z",))
    assert [failure.code for failure in first.failures if failure.severity == "failure"] == ["WSH101"]
    again = look(serve(nobody_hears), database, runs=1)
    assert {one.scenario for one in again.failures} >= {one.scenario for one in first.failures}


def test_what_does_not_come_back_is_forgotten():
    database = InMemoryExampleDatabase()
    look(serve(nobody_hears), database, messages=("Z",))
    key = b"wsharness explore shop:app"
    database.save(key, b"nonsense")
    database.save(key, b"\xff")
    assert len(list(database.fetch(key))) >= 3
    assert look(serve(careful), database, runs=1).failures == []
    assert list(database.fetch(key)) == []


def test_a_failure_of_another_order_has_few_deviations():
    report = look(serve(counter, "/{who}"), runs=150, faults=False, clients=2)
    [failure] = [one for one in report.failures if one.kind == "AssertionError"]
    [scenario] = loads(failure.scenario)
    assert len(scenario.steps) <= 3
    assert scenario.run.schedule == "fifo" or len(scenario.run.schedule) <= 4


def test_the_same_seed_finds_the_same():
    first, second = (look(serve(nobody_hears), messages=("Z",), runs=60) for _ in range(2))
    assert [one.scenario for one in first.failures] == [one.scenario for one in second.failures]


def test_models_and_schedules_are_used():
    class Say(BaseModel):
        letter: str

    report = look(serve(nobody_hears), messages=(Say,), schedule="fifo", runs=30, faults=False)
    for failure in report.failures:
        [scenario] = loads(failure.scenario)
        assert scenario.run.schedule == "fifo"


def test_a_budget_of_time_ends_it():
    began = time.monotonic()
    report = look(serve(echo), runs=None, budget=0.5)
    assert time.monotonic() - began < 300
    assert report.counts["runs"] > 0


class Clock:
    """A second for each run."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(exploration, "time", self)
        monkeypatch.setattr(comparisons, "time", self)
        for module in (exploration, comparisons):
            monkeypatch.setattr(module, "run_all", partial(self.run_all, module.run_all))

    def monotonic(self):
        return self.now

    def run_all(self, run_all, *args, **options):
        for found in run_all(*args, **options):
            self.now += 1
            yield found


async def full_of_bugs(websocket):
    async def answer(text):
        number = len(text) % 30
        exec(compile("\n" * number + "raise ValueError(text)", __file__, "exec"), {"text": text})

    await talk(websocket, answer)


def test_a_budget_includes_making_small_and_what_is_left_large_is_made_small_next_time(monkeypatch):
    clock = Clock(monkeypatch)
    database = InMemoryExampleDatabase()
    app = serve(full_of_bugs)
    report = look(app, database, runs=None, budget=20.0)
    assert 19 <= clock.now <= 21
    large = {failure.key for failure in report.failures if failure.case == "explored, not made small in time"}
    assert large
    for failure in report.failures:
        [scenario] = loads(failure.scenario)
        assert failure.key in {one.key for one in simulate(scenario, app).failures}
    monkeypatch.setattr(exploration, "PATIENCE", 1000)
    again = look(app, database, runs=1)
    assert {failure.key for failure in again.failures} == {failure.key for failure in report.failures}
    assert {failure.case for failure in again.failures if failure.key in large} == {"explored"}
    known = [value for key in database.data for value in database.fetch(key)]
    assert sorted(known) == sorted(failure.scenario.encode() for failure in again.failures)


def test_what_shows_nothing_is_explored_until_the_budget_ends(monkeypatch):
    clock = Clock(monkeypatch)
    assert look(serve(careful), runs=None, budget=60.0).failures == []
    assert 57 <= clock.now <= 61


def test_known_failures_come_back_however_small_the_budget(monkeypatch, few_runs):
    database = InMemoryExampleDatabase()
    monkeypatch.setattr(exploration, "PATIENCE", 0)
    look(rooms.LateHistory().app(), database, runs=4)
    known = {key: sorted(database.fetch(key)) for key in database.data}
    Clock(monkeypatch)
    found = look(rooms.LateHistory().app(), database, runs=None, budget=1.0).failures
    assert "WSH303" in {failure.code for failure in found}
    assert {failure.scenario.encode() for failure in found} >= {value for values in known.values() for value in values}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"runs": 0}, "expected --runs above 0; got 0; write --runs 1000"),
        ({"budget": 0.0}, "expected --budget above 0; got 0; write --budget 60s"),
        ({"budget": -1.0}, "expected --budget above 0; got -1"),
        ({"profile": "uvicom"}, "did you mean 'uvicorn'"),
        ({"schedule": "rand"}, "did you mean 'random'"),
        ({"ignore": ("WSH999",)}, "unknown check 'WSH999'"),
    ],
)
def test_mistakes_are_said_before_anything_runs(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        look(serve(echo), **options)


def test_an_app_without_routes():
    with pytest.raises(NoRouteError, match="no WebSocket route found in 'shop:app'; name one with --path /ws"):
        look(Starlette())


def test_a_route_that_nobody_can_enter_is_said_to_be_unreached():
    async def closed(websocket):
        await websocket.close()

    report = look(serve(closed), runs=20, faults=False)
    [failure] = [failure for failure in report.failures if failure.code == "WSH304"]
    assert failure.case in {case.name for case in report.cases}


def test_warnings_and_ignored_codes():
    report = look(serve(nobody_hears), messages=("Z",), warn=("WSH101",), ignore=("WSH112",))
    assert ("WSH101", "warning") in {(one.code, one.severity) for one in report.failures}
    assert "WSH112" not in {one.code for one in report.failures}


def test_a_run_that_hangs_is_a_busy_loop(monkeypatch):
    monkeypatch.setattr(exploration, "CHUNK", 3)

    async def hang(websocket):
        await websocket.accept()
        if await websocket.receive_text() == "Z":
            while True:  # the watchdog would find it; what is in C it does not
                time.sleep(1)

    report = look(serve(hang), messages=("Z",), runs=10, limit=0.5, faults=False, schedule="fifo")
    assert "WSH103" in {failure.code for failure in report.failures}


def test_a_run_that_ends_its_process_is_found_and_comes_back():
    async def deadly(websocket):
        await websocket.accept()
        if (await websocket.receive())["type"] == "websocket.receive":
            os._exit(7)

    database = InMemoryExampleDatabase()
    [failure] = look(serve(deadly), database, runs=20).failures
    assert (failure.code, failure.kind, failure.route) == ("WSH113", "exit code 7", "/ws")
    assert failure.frame.function.endswith("deadly")
    [known] = look(serve(deadly), database, runs=1).failures
    assert known.key == failure.key


def test_the_database_is_hypothesis_own():
    from hypothesis import settings

    assert type(exploration.default_database()) is type(settings.default.database)


def test_every_servers_behaviour_can_be_explored():
    report = look(serve(nobody_hears), messages=("Z",), profile="all", runs=60, faults=False)
    [failure] = [one for one in report.failures if one.code == "WSH101" and one.kind == "ValueError"]
    [scenario] = loads(failure.scenario)
    assert scenario.run.profile == failure.profile != "all"
    assert report.profile == "all"


@pytest.fixture
def few_runs(monkeypatch):
    """A finding need not become small."""
    monkeypatch.setattr(comparisons, "PATIENCE", 2)


def test_what_no_single_run_shows_is_found_and_comes_back(few_runs):
    database = InMemoryExampleDatabase()
    report = look(rooms.LateHistory().app(), database, runs=4)
    [failure] = [one for one in report.failures if one.code == "WSH303"]
    [scenario] = loads(failure.scenario)
    assert (scenario.run.expects, scenario.run.app, failure.route) == ("WSH303", "shop:app", "/ws")
    assert "which alice sent, never comes to carol" in failure.message
    again = look(rooms.LateHistory().app(), database, runs=1, schedule="fifo")
    assert [one.scenario for one in again.failures if one.code == "WSH303"] == [failure.scenario]
    look(rooms.History().app(), database, runs=1, schedule="fifo")
    forgotten = look(rooms.LateHistory().app(), database, runs=1, schedule="fifo")
    assert "WSH303" not in {one.code for one in forgotten.failures}


def test_examples_and_models_race(few_runs):
    class Say(BaseModel):
        letter: str

    report = look(rooms.Hasty().app(), messages=(Say, {"a": "b"}, b"x"), runs=1)
    [failure] = [one for one in report.failures if one.code == "WSH303"]
    assert "letter" in failure.scenario


class Posts(rooms.Hasty):
    """Passes on what has words that only its source tells."""

    async def hear(self, websocket, text):
        message = json.loads(text)
        if message["op"] == "post":
            await super().hear(websocket, message["body"])


def test_what_the_app_understands_is_looked_for_and_races(few_runs, monkeypatch):
    monkeypatch.setattr(exploration, "with_messages", scouting.with_messages)
    report = look(Posts().app(), runs=1)
    [failure] = [one for one in report.failures if one.code == "WSH303"]
    assert '"op": "post"' in failure.scenario
    asked = []

    def ask(app, route, options):
        asked.append((route.path, options))
        return options

    monkeypatch.setattr(exploration, "with_messages", ask)
    entry = Entry(headers={"a": "b"}, hello=({"x": 1},))
    look(Posts().app(), runs=1, entry=entry, profile="all", schedule="fifo")
    look(Posts().app(), runs=1, messages=("given",), schedule="fifo")
    [(path, options)] = asked
    assert (path, options.headers, options.profile) == ("/ws", (("a", "b"),), "uvicorn")
    assert [step.value for step in options.hello] == [{"x": 1}]


def test_a_seed_that_gives_two_transcripts_is_a_failure(few_runs):
    report = look(rooms.Timed().app(), runs=1, schedule="fifo", messages=("hello",))
    [failure] = [one for one in report.failures if one.code == "WSH401"]
    assert (failure.severity, failure.route) == ("failure", "/ws")


async def quotes(websocket):
    async def answer(text):
        if websocket.path_params["symbol"] == "ACME" and text == "buy" and websocket.query_params.get("as"):
            raise LookupError("sold out")

    await talk(websocket, answer)


def test_what_was_learnt_of_a_route_is_brought_along(monkeypatch):
    def learnt(_, route, options):
        return dataclasses.replace(
            options,
            params=(("symbol", "ACME"),),
            query=(("as", "ann"),),
            messages=("sell",),
            opening=("x",),
            deep=("buy",),
        )

    monkeypatch.setattr(exploration, "with_messages", learnt)
    report = explore(serve(quotes, "/quotes/{symbol}"), Options(runs=60, schedule="fifo"))
    assert "LookupError" in {failure.kind for failure in report.failures}

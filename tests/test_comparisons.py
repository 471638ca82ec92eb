from collections import defaultdict
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from tests import rooms
from tests.test_attempts import never_ends
from wsharness import comparisons
from wsharness.comparisons import CODES, Runner, compare, differing, divided, make_races, shown, smaller, unsteady
from wsharness.races import Races
from wsharness.scenario.entry import Entry
from wsharness.scenario.loading import loads
from wsharness.scenario.model import ANY_CHECK, RunInfo, Verb, to_yaml
from wsharness.targets import Route, discover_routes

RACES = Races(Route("/ws", "", {}), Entry(), RunInfo(expects=ANY_CHECK))


def look(room, schedule="random"):
    """What a comparison of runs says of a room."""
    return list(compare(Runner(room().app(), 2), RACES, ("hello",), (), schedule, 0))


@pytest.mark.parametrize("room", rooms.SOUND)
def test_a_sound_room_is_left_alone(room, monkeypatch):
    monkeypatch.setattr(comparisons, "RUNS", 16)
    assert [failure.message for failure, _ in look(room)] == []


@pytest.mark.parametrize(("room", "kind"), rooms.RACING.items())
def test_what_only_some_order_does_is_a_warning_that_names_it(room, kind):
    [(failure, scenario)] = look(room)
    assert (failure.code, failure.severity, failure.kind) == ("WSH303", "warning", kind)
    assert failure.message.startswith(f"{kind}: 'note-alice-1', which alice sent, ")
    assert " under fifo" in failure.message and f" under the schedule {scenario.run.schedule}" in failure.message
    assert failure.client in ("bob", "carol")
    assert failure.transcript[failure.index].event.data == "note-alice-1"


def test_a_finding_is_made_smaller_and_its_file_shows_it_again(monkeypatch):
    monkeypatch.setattr(comparisons, "PATIENCE", 20)
    [finding] = look(rooms.Hasty)
    run = Runner(rooms.Hasty().app(), 2)
    failure, scenario = smaller(run, finding)
    assert len(scenario.steps) < len(finding[1].steps)
    assert len(scenario.run.schedule) < len(finding[1].run.schedule)
    assert str(scenario.run.schedule) in failure.message
    [again] = loads(to_yaml(replace(scenario, run=replace(scenario.run, expects="WSH303"))))
    assert shown(run, again)[0].message == failure.message
    assert shown(Runner(rooms.Room().app()), again) is None


def test_asyncios_own_order_is_not_compared_with_others_where_nothing_else_is_wanted():
    assert look(rooms.Hasty, "fifo") == []


def test_there_is_no_race_where_nobody_hears_another():
    class Echo(rooms.Room):
        async def hear(self, websocket, text):
            await self.deliver(websocket, text)

    run = Runner(Echo().app())
    assert make_races(run, RACES, ("hello", '{"text": "hi"}')) == []
    assert run.count == 3
    assert list(unsteady(run, [], "random", 0)) == []


def test_the_place_in_a_message_that_others_hear_is_found():
    class Loud(rooms.Room):
        async def hear(self, websocket, text):
            await super().hear(websocket, text.partition('"text": "')[2].partition('"')[0].upper())

    races = make_races(Runner(Loud().app()), RACES, ('{"type": "say", "text": "hi"}',))
    said = [step.value for step in races[0].steps if step.verb is Verb.SEND]
    assert said[0] == '{"type": "say", "text": "note-alice-1"}'


def test_a_bounded_number_of_runs():
    for room in (rooms.Room, rooms.Board):
        run = Runner(room().app(), 2)
        list(compare(run, RACES, ("hello", '{"a": "b", "c": "d"}'), (), "random", 0))
        assert run.count < 100


def test_a_run_in_which_somebody_is_turned_out_says_nothing():
    class Strict(rooms.Hasty):
        async def hear(self, websocket, text):
            await super().hear(websocket, text)
            if text.endswith("alice-2"):
                await websocket.close()

    assert look(Strict) == []


HELLO = """
wsharness: 1
clients: {alice: {path: /ws}, bob: {path: /ws}}
steps:
  - alice: connect
  - bob: connect
  - alice: {send: hello}
  - pause: 1s
run: {expects: WSH401}
"""
[SCENARIO] = loads(HELLO)


@pytest.mark.parametrize("room", [rooms.Timed, rooms.Process])
def test_what_differs_between_two_runs_of_a_seed_is_a_failure_that_says_where(room):
    failure, scenario = differing(Runner(room().app()), SCENARIO)
    assert (failure.code, failure.severity, failure.client) == ("WSH401", "failure", "alice")
    one, _, other = failure.message.partition(", in the other ")
    assert one.startswith("two runs of the same seed differ: in one the app sends to alice at 0.000 s ")
    assert other.startswith("the app sends to alice at 0.000 s ")
    assert "hello" in failure.transcript[failure.index].event["text"]
    assert shown(Runner(room().app()), scenario)[0].code == "WSH401"
    assert look(room)[0][0].code == "WSH401"


def test_of_two_runs_one_may_end_before_the_other(tmp_path):
    class Once(rooms.Room):
        """What is kept outside the process is not put back."""

        async def hear(self, websocket, text):
            if not (tmp_path / "said").exists():
                (tmp_path / "said").touch()
                await super().hear(websocket, text)

    failure, _ = differing(Runner(Once().app()), SCENARIO)
    assert failure.message.endswith("in one the app sends to alice at 0.000 s 'hello', in the other nothing more")


def test_the_same_runs_are_the_same_and_a_crash_is_not_compared():
    assert differing(Runner(rooms.Room().app()), SCENARIO) is None

    class Crashing(rooms.Timed):
        async def hear(self, websocket, text):
            await super().hear(websocket, text)
            raise ValueError("too late")

    assert differing(Runner(Crashing().app()), SCENARIO) is None


def test_the_longest_talk_is_run_again(monkeypatch):
    class Fussy(rooms.Timed):
        async def hear(self, websocket, text):
            if text == "please":
                await super().hear(websocket, text)

    [talk] = loads(HELLO.replace("hello", "please"))
    [found] = compare(Runner(Fussy().app()), RACES, ("hello",), [SCENARIO, talk], "fifo", 0)
    assert found[0].code == "WSH401"
    monkeypatch.setattr(comparisons, "REPEATED", 0)
    assert list(compare(Runner(Fussy().app()), RACES, ("hello",), [talk], "fifo", 0)) == []


def test_what_hangs_is_not_compared():
    run = Runner(never_ends, limit=0.5)
    assert differing(run, SCENARIO) is None
    assert divided(run, SCENARIO) is None


def test_what_ends_in_the_middle_is_not_compared():
    short = replace(SCENARIO, steps=SCENARIO.steps[:-1], run=RunInfo(schedule="random", expects="WSH303"))
    assert shown(Runner(rooms.Hasty().app()), short) is None


def test_other_scenarios_are_not_compared():
    assert CODES == ("WSH303", "WSH401")
    assert shown(Runner(rooms.Timed().app()), replace(SCENARIO, run=RunInfo(expects="WSH101"))) is None
    assert shown(Runner(rooms.Timed().app()), replace(SCENARIO, run=None)) is None


def test_who_hear_each_other_in_one_room_only_race_there():
    members = defaultdict(list)

    async def talk(websocket):
        await websocket.accept()
        here = members[websocket.path_params["room"]]
        here.append(websocket)
        async for text in websocket.iter_text():
            for member in here:
                await member.send_text(text)

    app = Starlette(routes=[WebSocketRoute("/rooms/{room}", talk)])
    [route] = discover_routes(app)
    races = make_races(Runner(app), replace(RACES, route=route), ("hello",))
    assert {spec.path for race in races for spec in race.clients.values()} == {"/rooms/alice"}

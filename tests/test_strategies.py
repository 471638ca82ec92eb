import json
from typing import Annotated, Literal

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis.errors import NoSuchExample
from hypothesis.vendor.pretty import pretty
from pydantic import BaseModel, Field
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from wsharness import strategies
from wsharness.errors import CheckFailed, UsageError
from wsharness.events import is_sendable
from wsharness.link import Faults
from wsharness.scenario.loading import loads
from wsharness.scenario.model import Scenario, Step, Verb, to_yaml
from wsharness.simulation import simulate
from wsharness.strategies import scenarios

quick = settings(
    max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
MEMBERS = []


class Say(BaseModel):
    type: Literal["say"]
    text: Annotated[str, Field(max_length=5)]
    to: int | None = None


async def echo(websocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


async def chat(websocket):
    await websocket.accept()
    MEMBERS.append(websocket)
    try:
        while True:
            text = await websocket.receive_text()
            for member in MEMBERS:
                await member.send_text(text)
    except WebSocketDisconnect:
        MEMBERS.remove(websocket)
        for member in MEMBERS:
            await member.send_text("somebody left")


def serve(handler, *paths):
    return Starlette(routes=[WebSocketRoute(path, handler) for path in paths or ("/ws",)])


def smallest(strategy, condition=lambda _: True):
    return find(strategy, condition, settings=settings(quick, phases=(Phase.generate, Phase.shrink), max_examples=2000))


# Parts


def test_messages_are_the_examples_and_what_the_models_allow():
    assert smallest(strategies.messages("hi", Say)) == "hi"
    assert smallest(strategies.messages(Say)) == {"type": "say", "text": ""}

    @quick
    @given(strategies.messages(Say))
    def valid(message):
        Say.model_validate(message)

    valid()


def test_near_misses_are_one_step_from_the_message():
    good = {"type": "say", "text": "hi"}

    @quick
    @given(strategies.near_misses(good))
    def differs(data):
        assert isinstance(data, (str, bytes))

    differs()
    assert smallest(strategies.near_misses(good), lambda data: "text" not in str(data)) == '{"type": "say"}'
    assert json.loads(smallest(strategies.near_misses(Say))) != {"type": "say", "text": ""}


def test_payloads_shrink_to_hello_and_hold_the_catalogue():
    assert smallest(strategies.payloads()) == "hello"
    assert smallest(strategies.payloads(), lambda data: isinstance(data, bytes)) is not None
    assert smallest(strategies.payloads({"n": 1})) == "{}"
    assert smallest(strategies.payloads(largest=10), lambda data: len(data) == 10)
    with pytest.raises(NoSuchExample):
        smallest(strategies.payloads(largest=10), lambda data: len(data) > 60)


def test_close_codes_are_those_a_frame_may_carry():
    @quick
    @given(strategies.close_codes())
    def sendable(code):
        assert is_sendable(code)

    sendable()
    assert smallest(strategies.close_codes()) == 1000
    assert smallest(strategies.close_codes(), lambda code: 3000 < code < 3999) is not None


def test_close_reasons_fit_into_a_frame():
    @quick
    @given(strategies.close_reasons())
    def fits(reason):
        assert len(reason.encode()) <= 123

    fits()
    assert smallest(strategies.close_reasons()) == ""
    assert smallest(strategies.close_reasons(), lambda reason: len(reason.encode()) == 123)


def test_endings_shrink_to_dropped():
    assert smallest(strategies.endings()) == (Verb.DROP, None)
    assert smallest(strategies.endings(), lambda end: end[0] is Verb.CLOSE) == (Verb.CLOSE, None)
    assert smallest(strategies.endings(), lambda end: isinstance(end[1], dict) and "code" in end[1])


def test_faults_shrink_to_none_and_schedules_to_fifo():
    assert smallest(strategies.faults()) == Faults()
    assert smallest(strategies.faults(), lambda fault: fault.half_open) == Faults(half_open=True)
    assert smallest(strategies.faults(), lambda fault: fault.limit_data is not None) == Faults(limit_data=0)
    assert smallest(strategies.schedules()) == {}
    assert smallest(strategies.schedules(), lambda steps: len(steps) > 1) == {0: 1, 1: 1}

    @quick
    @given(strategies.schedules(deviations=2, horizon=5))
    def few(steps):
        assert len(steps) <= 2
        assert all(step < 5 for step in steps)

    few()


# Scenarios


def test_a_scenario_shrinks_to_one_client_that_connects():
    scenario = smallest(scenarios(serve(echo), faults=True))
    assert [step.verb for step in scenario.steps] == [Verb.CONNECT]
    assert scenario.run.schedule == "fifo"
    assert scenario.run.faults is None


def test_every_scenario_can_be_written_and_read_again():
    @quick
    @given(scenarios(serve(echo), faults=True))
    def survives(scenario):
        assert loads(to_yaml(scenario)) == [scenario]

    survives()


def test_whoever_acts_is_in_and_says_hello_first():
    app = serve(echo, "/rooms/{room}")
    hello = [{"type": "hello"}, Step("bob", Verb.SEND, "me")]

    @quick
    @given(scenarios(app, hello=hello, query={"v": "1"}, headers={"x": "y"}, subprotocols=["a"]))
    def in_order(scenario):
        inside = set()
        for number, step in enumerate(scenario.steps):
            if step.verb is Verb.CONNECT:
                inside.add(step.client)
                said = scenario.steps[number + 1 : number + 3]
                assert [(one.client, one.value) for one in said] == [
                    (step.client, {"type": "hello"}),
                    (step.client, "me"),
                ]
            else:
                assert step.client is None or step.client in inside
            if step.verb in (Verb.DROP, Verb.CLOSE):
                inside.remove(step.client)
        for spec in scenario.clients.values():
            assert (spec.query, spec.headers, spec.subprotocols) == ({"v": "1"}, {"x": "y"}, ("a",))
            assert spec.path in ("/rooms/alice", "/rooms/bob", "/rooms/carol")

    in_order()


def test_clients_are_in_one_room_or_in_rooms_of_their_own():
    app = serve(echo, "/rooms/{room}")

    def rooms(scenario):
        return [spec.path for spec in scenario.clients.values()]

    assert smallest(scenarios(app), lambda one: rooms(one) == ["/rooms/alice", "/rooms/bob"])
    assert smallest(scenarios(app), lambda one: rooms(one) == ["/rooms/alice"] * 2)


def test_clients_visit_every_route():
    app = serve(echo, "/a", "/b")
    assert smallest(scenarios(app)).clients["alice"].path == "/a"
    assert smallest(scenarios(app), lambda one: {spec.path for spec in one.clients.values()} == {"/a", "/b"})


def test_more_clients_than_names_have_numbers():
    scenario = smallest(scenarios(serve(echo), clients=6), lambda one: len(one.clients) == 6)
    assert list(scenario.clients)[-2:] == ["client5", "client6"]


def test_own_strategies_take_the_place_of_the_usual_ones():
    app = serve(echo)
    made = scenarios(
        app,
        payloads=strategies.st.just("noise"),
        endings=strategies.st.just((Verb.CLOSE, 4000)),
        faults=strategies.st.just(Faults(stall=True)),
        schedules=strategies.st.just({3: 1}),
        messages=["talk"],
    )

    @quick
    @given(made)
    def only_these(scenario):
        assert {step.value for step in scenario.steps if step.verb is Verb.SEND} <= {"noise", "talk"}
        assert {step.value for step in scenario.steps if step.verb is Verb.CLOSE} <= {4000}
        assert scenario.run.schedule == {3: 1}

    only_these()
    assert smallest(made, lambda one: one.run.faults).run.faults == {"alice": {"stall": True}}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"paths": "/ws"}, r"expected paths to be a list; got '/ws'; write \['/ws'\]"),
        ({"messages": "hi"}, r"expected messages to be a list of examples and models; got 'hi'"),
        ({"messages": {"a": 1}}, r"write \[\{'a': 1\}\]"),
        ({"clients": 0}, "expected at least one client and one step; got clients=0, steps=12"),
    ],
)
def test_mistakes_say_what_to_write(options, sentence):
    with pytest.raises(UsageError, match=sentence):
        scenarios(serve(echo), **options)


def test_an_app_without_routes_needs_paths():
    async def bare(scope, receive, send): ...

    with pytest.raises(UsageError, match=r"no WebSocket route found in .*; name one: paths=\['/ws'\]"):
        scenarios(bare)
    assert smallest(scenarios(bare, paths=["/x"])).clients["alice"].path == "/x"


# Against apps


def test_a_chat_with_state_in_its_module_fails_with_the_smallest_conversation_for_each_bug():
    app = serve(chat)

    @settings(database=None, derandomize=True, max_examples=100, deadline=None, phases=(Phase.generate, Phase.shrink))
    @given(scenarios(app, clients=3))
    def survives(scenario):
        simulate(scenario, app).check()

    with pytest.raises((CheckFailed, ExceptionGroup)) as raised:
        survives()
    notes = "\n".join(getattr(raised.value, "__notes__", ()))
    for error in getattr(raised.value, "exceptions", ()):
        notes += "\n".join(error.__notes__)
    assert "alice: connect\n  - bob: connect\n" in notes
    assert "run: {seed: 0, expects: any}" in notes


@pytest.mark.filterwarnings("ignore:Generating overly large repr")  # a payload of a megabyte is in its scenario
def test_a_sound_app_passes():
    app = serve(echo)

    @quick
    @given(scenarios(app, faults=True))
    def survives(scenario):
        result = simulate(scenario, app)
        assert {failure.code for failure in result.failures} <= {"WSH112"}

    survives()


def test_a_scenario_is_printed_as_its_file():
    scenario = smallest(scenarios(serve(echo)), lambda one: len(one.steps) == 2)
    [again] = eval(pretty(scenario).removesuffix("[0]"), {"loads": loads})
    assert again == scenario
    tricky = Scenario(steps=(Step("a", Verb.SEND, "'''\\"), Step("a", Verb.SEND, '"""')), clients={})
    assert "loads(" in pretty(tricky)
    callback = Scenario(steps=(Step("a", Verb.EXPECT, len),))
    assert pretty(callback).startswith("Scenario(")

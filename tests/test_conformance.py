import asyncio
import contextlib
import itertools
import os
from collections import defaultdict
from dataclasses import replace

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests import rooms
from tests.bugs import load
from wsharness import attempts, comparisons, conformance, conversations, targets
from wsharness.conversations import Options
from wsharness.errors import NoRouteError, UsageError
from wsharness.scenario.loading import loads
from wsharness.scenario.model import Verb


def check(app, **options):
    return conformance.check(app, Options(target="shop:app", parallel=2, **{"runs": 0, **options}))


@pytest.fixture(autouse=True, scope="module")
def few_payloads():
    """One payload of each kind, which is enough to see that they are sent, and no look at a test run's big heap."""
    kinds = {type(payload.data): payload for payload in reversed(conversations.CATALOGUE)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "CATALOGUE", tuple(kinds.values()))
        patch.setattr("wsharness.growth.sizes", dict)
        patch.setattr(conversations, "MANY_MESSAGES", 30)
        yield


def found(report):
    return {(failure.code, failure.kind.rpartition(".")[2]) for failure in report.failures}


@pytest.fixture
def every_fifth(monkeypatch):
    """Fewer conversations, of each kind some, where any of them shows it."""
    monkeypatch.setattr(
        conformance, "conversations", lambda *args: itertools.islice(conversations.conversations(*args), 0, None, 5)
    )


@pytest.fixture(scope="module")
def chat(few_payloads):
    app = targets.load_app("scenarios.apps.chat:app")
    return check(app, runs=4)


def test_the_chat_has_the_failures_it_is_known_for(chat):
    assert {("WSH101", "WebSocketDisconnect"), ("WSH101", "WebSocketDisconnected")} & found(chat)
    assert {"WSH107", "WSH112"} <= {failure.code for failure in chat.failures}
    assert "WSH501" not in {failure.code for failure in chat.failures}


def test_each_bug_is_reported_once(chat):
    assert len({failure.key for failure in chat.failures}) == len(chat.failures)


def test_a_failure_is_shown_by_few_steps_that_can_be_loaded(chat):
    for failure in chat.failures:
        assert failure.scenario.count("\n") <= 30
        if failure.code in ("WSH111", "WSH301"):  # they need many visits, or many messages
            continue
        [scenario] = loads(failure.scenario)
        assert scenario.run.expects == failure.code
        assert len(scenario.steps) <= 9
    crash = next(failure for failure in chat.failures if failure.code == "WSH112")
    [scenario] = loads(crash.scenario)
    assert [step.verb for step in scenario.steps] == [Verb.CONNECT, Verb.SEND_BYTES]


def test_a_bug_that_needs_two_clients_in_one_room_is_found():
    rooms = defaultdict(list)

    async def talk(websocket):
        await websocket.accept()
        room = rooms[websocket.path_params["room"]]
        room.append(websocket)
        try:
            async for text in websocket.iter_text():
                for member in list(room):
                    await member.send_text(text)
        finally:
            room.remove(websocket)

    report = check(Starlette(routes=[WebSocketRoute("/rooms/{room}", talk)]))
    assert ("WSH101", "WebSocketDisconnect") in found(report)


def test_handlers_that_stay_are_not_multiplied(monkeypatch, every_fifth):
    here = []

    async def poll(websocket):
        await websocket.accept()
        here.append(websocket)
        while websocket in here:
            await asyncio.sleep(5)

    def grows(*_, **__):
        return replace(run_case(*_, **__), grows=True)

    run_case = attempts.run_case
    monkeypatch.setattr(attempts, "run_case", grows)
    monkeypatch.setattr(conformance, "longer", None)
    report = check(Starlette(routes=[WebSocketRoute("/ws", poll)]))
    assert "WSH102" in {failure.code for failure in report.failures}


def test_a_thousand_visits_that_are_stopped_tell_nothing(monkeypatch):
    stopped = conformance.checks.CHECKS["WSH103"].failure("stopped from outside")

    def show(app, cases, options):
        return ((case, attempts.Attempt([], accepted=True, grows=True)) for case in cases)

    monkeypatch.setattr(conformance, "run_batches", show)
    monkeypatch.setattr(conformance, "run_alone", lambda *_: attempts.Attempt([stopped], accepted=True, lost=30.0))
    monkeypatch.setattr(conformance, "_compare_runs", lambda *_: None)
    monkeypatch.setattr(conformance, "with_messages", lambda app, route, options: options)
    report = check(counts, paths=("/ws",))
    assert "WSH103" not in {failure.code for failure in report.failures}


@pytest.mark.parametrize("lost, before, runs, alone", [(5.0, (), 2, 1), (5.0, (0,), 2, 2), (1.0, (), 10, 1)])
def test_what_takes_seconds_is_not_tried_again_and_again(monkeypatch, lost, before, runs, alone):
    stuck = conformance.checks.CHECKS["WSH102"].failure("still waiting")
    alone_with = []

    def show(app, cases, options):
        return ((case, attempts.Attempt([stuck], accepted=True, lost=lost, before=before)) for case in cases)

    def show_alone(app, case, options):
        alone_with.append(case)
        return next(show(app, [case], options))[1]

    monkeypatch.setattr(conformance, "run_batches", show)
    monkeypatch.setattr(conformance, "run_alone", show_alone)
    monkeypatch.setattr(conformance, "with_messages", lambda app, route, options: options)
    report = check(Starlette(routes=[WebSocketRoute("/ws", deadly)]))
    assert (found(report), report.counts["runs"]) == ({("WSH102", "")}, runs)
    assert len(alone_with) == alone


def test_cases_count_their_runs(chat):
    assert sum(case.runs for case in chat.cases) == chat.counts["runs"] > 40
    assert {case.route for case in chat.cases} == {"/ws/{client_id}"}


def test_the_same_seed_finds_the_same(every_fifth):
    first, second = (check(load("missing_key").broken(), runs=10, seed=4) for _ in range(2))
    assert "WSH101" in {failure.code for failure in first.failures}
    assert [f.scenario for f in first.failures] == [f.scenario for f in second.failures]
    assert first.failures == second.failures


def test_what_is_safe_on_one_server_turns_for_ever_on_another():
    app = targets.load_app("scenarios.apps.safe:app")
    report = conformance.check(app, Options(target="scenarios.apps.safe:app", profile="hypercorn", runs=0, parallel=2))
    busy = next(failure for failure in report.failures if failure.code == "WSH103")
    assert busy.frame.function == "safe_websocket_endpoint"


@pytest.mark.parametrize("name", ["missing_key"])
def test_a_bug_is_found_and_its_mended_twin_has_none(name):
    bug = load(name)
    route = bug.PATH.partition("?")[0]
    query = tuple(tuple(pair.split("=")) for pair in bug.PATH.partition("?")[2].split("&") if pair)
    broken = check(bug.broken(), query=query)
    assert set(bug.EXPECTS) & {failure.code for failure in broken.failures}
    assert all(failure.route == route for failure in broken.failures)
    twin = check(bug.correct(), query=query)
    assert [f.message for f in twin.failures if f.severity == "failure"] == []


def test_the_chosen_routes_only():
    app = targets.load_app("scenarios.apps.chat:app")
    options = Options(target="x:app", paths=("/ws/{client_id}", "/more"))
    assert [route.path for route in conformance.routes(app, options)] == ["/ws/{client_id}", "/more"]


def test_no_route_is_said_and_what_to_do():
    with pytest.raises(NoRouteError, match="--path /ws"):
        check(Starlette())
    assert issubclass(NoRouteError, UsageError)


STATE = []


async def counts(scope, receive, send):
    """Fails on the third connection of its life."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    await receive()
    STATE.append(1)
    await send({"type": "websocket.accept"})
    await receive()
    await send({"type": "websocket.close"})
    if len(STATE) > 2:
        raise ValueError("full")


def test_what_shows_only_after_other_conversations_is_shown_with_those_it_needs():
    report = check(counts, paths=("/ws",))
    crash = next(failure for failure in report.failures if failure.kind == "ValueError")
    [scenario] = loads(crash.scenario)
    assert [step.verb for step in scenario.steps].count(Verb.CONNECT) >= 3
    assert STATE == []


LOOPS = set()


async def remembers_its_loop(scope, receive, send):
    """Right on a server, which has one loop; wrong where runs in one process each have their own."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    LOOPS.add(id(asyncio.get_running_loop()))
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass
    if len(LOOPS) > 1:
        raise ValueError("another loop")


def test_what_only_a_shared_process_shows_is_no_failure():
    assert found(check(remembers_its_loop, paths=("/ws",))) == set()


def test_a_task_that_only_one_way_to_leave_leaves_behind_is_found_and_a_shared_worker_is_none():
    async def leaves_one(scope, receive, send):
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        await send({"type": "websocket.accept"})
        if not kept:
            kept.append(asyncio.ensure_future(shares()))
        while (event := await receive())["type"] != "websocket.disconnect":
            pass
        if event["code"] == 4001:
            kept.append(asyncio.ensure_future(lingers()))

    async def shares():
        await asyncio.Event().wait()

    async def lingers():
        await asyncio.Event().wait()

    kept = []
    report = check(leaves_one, paths=("/",))
    [failure] = [one for one in report.failures if one.code != "WSH107"]
    assert (failure.code, failure.case, failure.kind.rpartition(".")[2]) == ("WSH104", "close 4001", "lingers")
    [scenario] = loads(failure.scenario)
    assert len(scenario.steps) == 4  # noqa: PLR2004 (connect and close, twice)


def test_a_subprotocol_that_was_not_offered_is_found_and_the_offered_ones_are_none():
    async def takes_it_for_granted(websocket):
        await websocket.accept(subprotocol="v1")
        await reads(websocket)

    async def chooses(websocket):
        offered = websocket.scope["subprotocols"]
        await websocket.accept(subprotocol="v1" if "v1" in offered else next(iter(offered), None))
        await reads(websocket)

    async def answers_with_the_next(websocket):
        offered = websocket.scope["subprotocols"]
        await websocket.accept(subprotocol="v2" if "v1" in offered else None)
        await reads(websocket)

    async def reads(websocket):
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    handlers = takes_it_for_granted, chooses, answers_with_the_next
    report = check(Starlette(routes=[WebSocketRoute(f"/{one.__name__}", one) for one in handlers]))
    assert [(one.code, one.route, one.frame.function.rpartition(".")[2]) for one in report.failures] == [
        ("WSH207", "/takes_it_for_granted", "takes_it_for_granted"),
        ("WSH207", "/answers_with_the_next", "answers_with_the_next"),
    ]


def test_a_route_that_never_accepts_is_a_warning():
    async def closed(scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.close"})

    report = check(closed, paths=("/ws",))
    assert found(report) == {("WSH304", "")}
    assert report.failures[0].severity == "warning" and "a client sees HTTP 403" in report.failures[0].message
    assert {case.name for case in report.cases if "WSH304" in case.codes} == {report.failures[0].case} == {"every case"}


@pytest.fixture
def one_talk(monkeypatch):
    """Of the conversations of one run only one; what compares runs is left."""
    talk = lambda route, options: [conversations.talking(route, ["hello"], options)]  # noqa: E731
    monkeypatch.setattr(conformance, "conversations", talk)
    monkeypatch.setattr(conformance, "with_messages", lambda app, route, options: options)
    monkeypatch.setattr(comparisons, "PATIENCE", 8)


def test_runs_in_several_orders_are_compared(one_talk):
    report = check(rooms.Skipping().app())
    [failure] = [one for one in report.failures if one.code == "WSH303"]
    assert (failure.severity, failure.route, failure.case, failure.kind) == ("warning", "/ws", "runs compared", "lost")
    [scenario] = loads(failure.scenario)
    assert (scenario.run.expects, scenario.run.app) == ("WSH303", "shop:app")
    assert {Verb.CONNECT, Verb.SEND, Verb.DROP} <= {step.verb for step in scenario.steps}
    case = next(case for case in report.cases if case.name == "runs compared")
    assert case.codes == ("WSH303",) and 30 < case.runs < 100


def test_runs_of_one_seed_are_compared_once_whatever_the_servers(one_talk):
    report = check(rooms.Timed().app(), profile="all")
    assert [one.route for one in report.failures if one.code == "WSH401"] == ["/ws"]
    assert [one.profile for one in report.cases if one.name == "runs compared"] == ["uvicorn"]
    assert not [one for one in report.failures if one.code == "WSH402" and "WSH401" in one.message]


def test_who_wants_asyncios_order_gets_no_other(one_talk):
    assert found(check(rooms.Skipping().app(), schedule="fifo")) == set()


def test_a_sound_room_has_no_failure(one_talk):
    assert found(check(rooms.Queued().app())) == set()


def die():
    os._exit(7)


async def deadly(websocket):
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        async for text in websocket.iter_text():
            if text == "hello":
                die()
    await websocket.close()


def test_what_ends_the_process_is_found_in_line_and_small(one_talk):
    report = check(Starlette(routes=[WebSocketRoute("/ws", deadly)]))
    [failure] = report.failures
    assert (failure.code, failure.frame.function, failure.frame.user) == ("WSH113", "die", True)
    assert failure.message == "the process that ran the app ended with exit code 7"
    [scenario] = loads(failure.scenario)
    assert (scenario.run.expects, [step.verb for step in scenario.steps]) == ("WSH113", [Verb.CONNECT, Verb.SEND])
    assert (failure.client, failure.route) == ("alice", "/ws")
    assert [record.event for record in failure.transcript.of("alice")][-2]["text"] == "hello"

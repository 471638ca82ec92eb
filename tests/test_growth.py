import gc
import logging
import logging.handlers
import queue
import weakref

import pytest
from quart import Quart, websocket

from tests.bugs import load
from wsharness import checks, conversations, simulate
from wsharness.conversations import COMINGS, SLOW_READER, Options, longer
from wsharness.growth import FEW, sizes
from wsharness.targets import Route

ROUTE = Route("/ws", "", {})
OPTIONS = Options(target="x:app", runs=0, messages=('{"number": 1, "text": "hi"}',))


@pytest.fixture(autouse=True)
def fewer(monkeypatch):
    """What shows with a thousand connections shows with a hundred, if that is many."""
    monkeypatch.setattr(checks, "MANY_CONNECTIONS", 100)
    monkeypatch.setattr(conversations, "MANY_VISITS", 120)
    monkeypatch.setattr(conversations, "MANY_MESSAGES", 150)
    monkeypatch.setattr(checks, "MANY_MESSAGES", 300)


def case(kind):
    return next(case for case in conversations.conversations(ROUTE, OPTIONS) if case.kind == kind)


def longest(kind):
    return longer(ROUTE, OPTIONS, case(kind)).scenario


def run(app, scenario):
    return simulate(scenario, app, memory=True)


def codes(result):
    return {failure.code for failure in result.failures}


def test_a_queue_without_a_limit_and_one_with():
    few, scenario = case(SLOW_READER).scenario, longest(SLOW_READER)
    bug = load("unbounded_queue")
    result = run(bug.broken(), few)
    assert any(result.transcript.facts("queue grew")) and "WSH108" not in codes(result)
    [failure] = [one for one in run(bug.broken(), scenario).failures if one.code == "WSH108"]
    assert "entries wait for carol" in failure.message and "deque, list[" not in failure.message
    assert codes(run(bug.correct(), scenario)) == set()


def test_one_slow_reader_and_what_waits_for_it():
    scenario = case(SLOW_READER).scenario
    bug = load("slow_reader")
    [failure] = [one for one in run(bug.broken(), scenario).failures if one.code == "WSH301"]
    assert "bob" in failure.message and any("show" in frame.function for frame in failure.stack)
    assert "WSH301" not in codes(run(bug.correct(), scenario))


def test_what_grows_with_every_connection():
    bug = load("state_grows")
    few = run(bug.broken(), case("comings and goings").scenario)
    assert any(few.transcript.facts("grows")) and codes(few) == set()
    [failure] = run(bug.broken(), longest(COMINGS)).failures
    assert failure.code == "WSH111" and ".transcripts in bare.app" in failure.message
    assert not any(run(bug.correct(), case("comings and goings").scenario).transcript.facts("grows"))


@pytest.mark.parametrize("name", ["cancellation_swallowed", "disconnect_ignored"])
def test_tasks_that_never_end_are_not_told_of_as_lists_of_tasks(name):
    result = run(load(name).broken(), longest(COMINGS))
    assert "WSH102" in codes(result)
    assert not [one.message for one in result.failures if one.code == "WSH111"]


@pytest.mark.parametrize("limit", [3, 20])
def test_what_has_a_limit_does_not_grow(limit):
    last = []

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        await send({"type": "websocket.accept"})
        last.append(len(last))
        del last[:-limit]
        while (await receive())["type"] != "websocket.disconnect":
            pass

    assert codes(run(app, longest(COMINGS))) == set()


def test_garbage_does_not_grow():
    visits = weakref.WeakSet()

    class Visit:
        def __init__(self):
            self.me = self  # only the garbage collector takes it away
            visits.add(self)

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise NotImplementedError
        Visit()
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass

    assert codes(run(app, longest(COMINGS))) == set()


def test_handshakes_without_an_answer_are_not_told_at_length(monkeypatch):
    async def app(scope, receive, send):
        while (await receive())["type"] != "websocket.disconnect":
            pass

    monkeypatch.setattr("wsharness.harness.Harness.explain", None)
    result = simulate(case("comings and goings").scenario, app, lifespan="off")
    assert codes(result) == {"WSH109"}


def test_without_stalls_and_many_connections_nothing_is_measured(monkeypatch):
    monkeypatch.setattr("wsharness.growth.sizes", None)
    run(load("state_grows").correct(), next(conversations.conversations(ROUTE, OPTIONS)).scenario)
    run(load("slow_reader").correct(), case("held up").scenario)
    assert FEW > 1


def test_sizes_see_what_the_garbage_collector_does_not_track():
    class Shop:
        pass

    shop = Shop()
    shop.prices = {"tea": 2, "milk": 1}
    found = sizes()
    assert found[id(shop.prices)][0] == 2
    shop.prices["oat"] = 3
    other = ["new"]
    again = sizes(found)
    gc.unfreeze()
    assert (again[id(shop.prices)][0], again[id(other)][0]) == (3, 1)


def test_after_a_run_nothing_is_frozen():
    before = gc.get_freeze_count()
    assert before == 0
    run(load("slow_reader").correct(), case(SLOW_READER).scenario)
    assert gc.get_freeze_count() == 0


async def complains(scope, receive, send):
    """Logs something of each visit into a queue that nobody empties, as where the listener's thread has no turn."""
    if scope["type"] != "websocket":
        raise NotImplementedError
    logging.getLogger("shop").warning("somebody came")
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def test_what_is_logged_is_no_state_of_the_app(monkeypatch):
    monkeypatch.setattr(logging.root, "handlers", [logging.handlers.QueueHandler(queue.Queue())])
    assert codes(run(complains, longest(COMINGS))) == set()


def test_what_a_framework_keeps_unread_while_a_handler_waits_is_not_the_apps():
    app, members = Quart("app"), []

    @app.websocket("/ws")
    async def room():
        send = websocket._get_current_object().send
        members.append(send)
        try:
            while True:
                text = await websocket.receive()
                for member in members:
                    await member(text)
        finally:
            members.remove(send)

    result = run(app, longest(SLOW_READER))
    assert not list(result.transcript.facts("queue grew"))
    assert "WSH301" in codes(result)

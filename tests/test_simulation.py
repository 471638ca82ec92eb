import asyncio
import contextlib
import contextvars
import gc
import logging
import os
import subprocess
import sys
import weakref

import litestar
import pytest
import quart
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs import load
from wsharness import simulation
from wsharness.errors import CheckFailed, ExpectationError, TargetError, UsageError
from wsharness.link import Faults
from wsharness.runtime import AsyncioRuntime
from wsharness.scenario.model import ClientSpec, RunInfo, Scenario, Step, Verb
from wsharness.simulation import simulate

KEPT = []


def serve(handler):
    return Starlette(routes=[WebSocketRoute("/ws", handler)])


async def echo(websocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass


async def visit(ws):
    await ws.connect("/ws")


def codes(drive, app, **options):
    return {failure.code for failure in simulate(drive, app, **options).failures}


async def race(ws):
    clients = [await ws.connect("/ws", name=name) for name in ("ann", "bob", "eve")]
    for client in clients:
        await client.send(client.name)


def chatter():
    members = []

    async def chat(websocket):
        await websocket.accept()
        members.append(websocket)
        try:
            while True:
                text = await websocket.receive_text()
                await asyncio.gather(*(member.send_text(text) for member in members))
        except WebSocketDisconnect:
            members.remove(websocket)

    return serve(chat)


@pytest.mark.parametrize("schedule", ["fifo", "random"])
def test_the_same_seed_gives_the_same_transcript(schedule):
    first, second = (simulate(race, chatter(), seed=3, schedule=schedule).transcript for _ in range(2))
    assert first.to_ndjson() == second.to_ndjson()
    assert len(first) > 20


def test_another_seed_gives_another_order_somewhere():
    seen = {simulate(race, chatter(), seed=seed, schedule="random").transcript.to_ndjson() for seed in range(8)}
    assert len(seen) > 1


def test_what_passes_has_no_failure_and_a_name():
    async def conversation(ws):
        client = await ws.connect("/ws")
        await client.send("a")
        await client.expect("a")

    result = simulate(conversation, serve(echo), memory=True)
    result.check()
    assert (result.failures, result.name, result.error) == ([], "conversation", None)


def test_what_a_run_held_is_free_at_its_end_but_what_clients_heard():
    held, kept = [], []

    async def conversation(ws):
        client = await ws.connect("/ws")
        await client.send("a")
        await client.expect("a")
        held.append(weakref.ref(ws))
        kept.append(client)

    simulate(conversation, serve(echo))
    held.clear()  # the first run of an app imports and caches
    gc.collect()
    gc.disable()
    try:
        simulate(conversation, serve(echo), schedule="random")
        assert held[0]() is None
    finally:
        gc.enable()
    assert (kept[1].received, kept[1].sent, kept[1].state) == (["a"], ["a"], "left")
    for late in (kept[1].send("b"), kept[1].expect("b"), kept[1].reconnect()):
        with pytest.raises(UsageError, match="the harness has ended"):
            asyncio.run(late)


def test_an_hour_of_heartbeats_takes_no_hour():
    async def heart(websocket):
        await websocket.accept()
        for number in range(120):
            await asyncio.sleep(30)
            await websocket.send_text(str(number))
        await websocket.close()

    async def listen(ws):
        client = await ws.connect("/ws")
        for number in range(120):
            assert await client.expect_text(within=31) == str(number)
        await client.expect_close(1000)

    result = simulate(listen, serve(heart))
    result.check()
    assert result.transcript.end >= 3600


def test_two_locks_in_two_orders_are_a_deadlock():
    locks = asyncio.Lock(), asyncio.Lock()

    async def transfer(websocket):
        await websocket.accept()
        first, second = locks if websocket.query_params["way"] == "there" else reversed(locks)
        async with first:
            await asyncio.sleep(1)
            async with second:
                await websocket.close()

    async def both(ws):
        await ws.connect("/ws?way=there")
        await ws.connect("/ws?way=back")
        await asyncio.sleep(5)

    result = simulate(both, serve(transfer))
    assert {failure.code for failure in result.failures} == {"WSH105"}
    assert result.failures[0].frame.function.endswith("transfer")


def test_what_holds_connections_is_looked_for_a_few_times_only():
    async def keeps(websocket):
        await websocket.accept()
        app.state.members.append(websocket)

    async def many(ws):
        for client in await ws.connect_many(2 * simulation.MOST_KEPT, "/ws"):
            await client.close()

    app = serve(keeps)
    app.state.members = []
    result = simulate(many, app, memory="holders")
    kept = list(result.transcript.facts("kept"))
    assert len(kept) == simulation.MOST_KEPT
    assert "app.state._state[…][…]" in kept[0].event.message


def test_what_an_app_raised_keeps_no_connection():
    async def fragile(websocket):
        await websocket.accept()
        raise ValueError(websocket)

    assert codes(visit, serve(fragile), memory=True) == {"WSH101"}


def test_what_a_framework_logs_keeps_no_connection(monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest's own keep what was logged
    app = quart.Quart(__name__)

    @app.websocket("/ws")
    async def fragile():
        await quart.websocket.accept()
        raise ValueError

    assert codes(visit, app, memory=True) == {"WSH101"}


async def test_a_timer_of_the_harness_does_not_hold_the_apps_context():
    runtime, served, seen = AsyncioRuntime(), contextvars.ContextVar("served"), []
    served.set("a connection")
    for delay in (0, 0.001):
        runtime.call_later(delay, lambda: seen.append(served.get(None)))
    await asyncio.sleep(0.05)
    assert seen == [None, None]


def test_a_handler_that_ignores_its_clients_end_is_stuck():
    async def deaf(websocket):
        await websocket.accept()
        while True:
            await asyncio.sleep(10)

    assert codes(visit, serve(deaf)) == {"WSH102"}


def test_a_task_for_each_connection_that_never_ends_is_leaked():
    tasks = set()

    async def tick():
        while True:
            await asyncio.sleep(10)

    async def leaky(websocket):
        await websocket.accept()
        tasks.add(asyncio.ensure_future(tick()))

    async def twice(ws):
        for _ in range(2):
            await ws.connect("/ws")

    result = simulate(twice, serve(leaky))
    [leak] = [failure for failure in result.failures if failure.code == "WSH104"]
    assert "2 tasks of" in leak.message and "tick" in leak.message


def test_an_exception_that_nobody_retrieves_is_found():
    async def die():
        raise ZeroDivisionError("one over none")

    async def careless(websocket):
        asyncio.ensure_future(die())
        await echo(websocket)

    result = simulate(visit, serve(careless))
    assert {failure.code for failure in result.failures} == {"WSH110"}
    assert result.failures[0].message == "ZeroDivisionError: one over none"


def test_a_lock_that_a_context_manager_waits_for_is_a_deadlock():
    lock = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def both():
        async with lock, lock:
            yield

    async def handler(websocket):
        await websocket.accept()
        async with both():
            await websocket.receive_text()

    [failure] = simulate(visit, serve(handler)).failures
    assert (failure.code, failure.message) == ("WSH105", "still awaiting Lock.acquire")


def test_an_exception_in_a_callback_of_the_app_is_told_of():
    async def rings(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        asyncio.get_running_loop().call_later(3, {}.pop, "nobody")  # no function of the user's: nobody's fault
        asyncio.get_running_loop().call_later(3, lambda: {}["nobody"])
        await receive()

    async def talk(ws):
        client = await ws.connect("/")
        await asyncio.sleep(5)
        await client.close()

    [failure] = [one for one in simulate(talk, rings, lifespan="off").failures if one.code != "WSH206"]
    assert (failure.code, failure.kind, failure.message) == ("WSH110", "KeyError", "KeyError: 'nobody'")


def test_a_connection_that_is_still_held_is_found_only_when_asked():
    async def hoarder(websocket):
        KEPT.append(websocket)
        await echo(websocket)

    try:
        assert codes(visit, serve(hoarder), memory=True) == {"WSH107"}
        assert codes(visit, serve(hoarder)) == set()
    finally:
        KEPT.clear()


@pytest.mark.parametrize("schedule", ["fifo", "random"])
def test_what_the_harness_holds_for_a_moment_is_not_kept(schedule):
    async def raw(scope, receive, send):
        assert scope["type"] == "websocket"
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    async def leave(ws):
        for client in await ws.connect_many(3, "/ws"):
            await client.close()

    assert codes(leave, raw, memory=True, schedule=schedule) == set()


def test_an_exception_of_the_app_is_a_failure_and_none_of_the_drivers():
    async def boom(websocket):
        await websocket.accept()
        raise ValueError("boom")

    result = simulate(visit, serve(boom))
    assert result.error is None
    assert [failure.message for failure in result.failures] == ["ValueError: boom"]
    with pytest.raises(CheckFailed, match="WSH101"):
        result.check()


def test_the_drivers_own_exception_is_kept_for_the_check():
    async def wrong(ws):
        raise LookupError("mine")

    result = simulate(wrong, serve(echo))
    assert result.failures == []
    with pytest.raises(LookupError, match="mine"):
        result.check()


def test_what_is_expected_in_vain_is_a_failure():
    async def vain(ws):
        client = await ws.connect("/ws")
        await client.send("a")
        await client.expect("b")

    assert codes(vain, serve(echo)) == {"WSH501"}


def test_a_scenario_is_played_like_a_function():
    steps = (
        Step(client="alice", verb=Verb.CONNECT),
        Step(client="alice", verb=Verb.SEND, value="a"),
        Step(client="alice", verb=Verb.EXPECT, value="b"),
    )
    scenario = Scenario(name="a for b", clients={"alice": ClientSpec(path="/ws")}, steps=steps)
    result = simulate(scenario, serve(echo))
    assert (result.name, [failure.code for failure in result.failures]) == ("a for b", ["WSH501"])
    assert "step 3" in result.failures[0].message


async def test_inside_a_running_loop_it_says_so():
    with pytest.raises(UsageError, match="running"):
        simulate(visit, serve(echo))


def test_an_unknown_profile_is_named():
    with pytest.raises(UsageError, match="did you mean 'uvicorn'"):
        simulate(visit, serve(echo), profile="uvicron")


def test_a_startup_that_fails_is_one_sentence():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(TargetError, match="no database"):
        simulate(visit, app)


@pytest.mark.parametrize("name", ["busy_loop", "leaked_task", "lock_order"])
def test_the_mended_twin_of_a_broken_app_has_no_failure(name):
    bug = load(name)

    async def conversation(ws):
        clients = await ws.connect_many(2, bug.PATH)
        for client in clients:
            await client.send(bug.HELLO[0])
        await asyncio.sleep(5)

    assert codes(conversation, bug.correct(), memory=True) == set()


# What a scenario says of its run


def talk(**run):
    steps = (Step("ann", Verb.CONNECT), Step("ann", Verb.SEND, "hi"), Step("ann", Verb.EXPECT, "hi"))
    return Scenario(clients={"ann": ClientSpec("/ws")}, steps=steps, run=RunInfo(**run) if run else None)


def test_a_scenarios_own_run_holds_where_no_argument_says_otherwise():
    scenario = talk(seed=7, profile="daphne", schedule={3: 1}, timeout=0.5)
    result = simulate(scenario, serve(echo))
    assert (result.seed, result.profile) == (7, "daphne")
    result = simulate(scenario, serve(echo), seed=1, profile="uvicorn", schedule="fifo")
    assert (result.seed, result.profile) == (1, "uvicorn")


def test_the_result_holds_the_deviations_which_replay_it():
    for seed in range(20):
        first = simulate(race, chatter(), seed=seed, schedule="random")
        again = simulate(race, chatter(), seed=seed, schedule=first.schedule)
        assert again.transcript.to_ndjson() == first.transcript.to_ndjson()
        assert again.schedule == first.schedule
    assert first.schedule


def test_pct_knows_how_long_the_run_is(monkeypatch):
    horizons = []
    make = simulation.make_schedule
    monkeypatch.setattr(
        simulation, "make_schedule", lambda *args, **kw: horizons.append(kw.get("horizon")) or make(*args, **kw)
    )
    simulate(race, chatter(), schedule="pct:3")
    assert 0 < horizons[-1] < 100


def test_faults_are_the_clients_links():
    async def drive(ws):
        client = await ws.connect("/ws", name="ann")
        await client.send("a")
        await client.expect("a")

    slow = simulate(drive, serve(echo), faults={"ann": {"latency": 0.125}, "bob": Faults(stall=True)})
    slow.check()
    assert slow.transcript.end == 0.625  # there and back twice, and the close
    written = simulate(talk(faults={"ann": {"stall": True}}), serve(echo))
    assert {failure.code for failure in written.failures} == {"WSH501"}
    with pytest.raises(UsageError, match="unknown fault 'latencies'; did you mean 'latency'"):
        simulate(drive, serve(echo), faults={"ann": {"latencies": 1}})
    with pytest.raises(UsageError, match="unknown fault 'x'; known: latency, jitter"):
        simulate(drive, serve(echo), faults={"ann": {"x": 1}})


def test_a_wait_with_a_limit_hides_no_deadlock():
    lock = asyncio.Lock()

    async def twice(websocket):
        await websocket.accept()
        async with lock:
            await websocket.receive_text()
            async with lock:
                await websocket.close()

    async def impatient(ws):
        client = await ws.connect("/ws")
        await client.send("go")
        with pytest.raises(ExpectationError):
            await client.expect(within=5)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)

    assert "WSH105" in codes(impatient, serve(twice))


TWO_RUNS = """
import sys
from scenarios.apps.chat import app, manager
from wsharness import simulate
from tests.test_simulation import crowd
for seed in (3, 3):
    sys.stdout.write(simulate(crowd, app, seed=seed, schedule="random").transcript.to_ndjson())
    manager.active_connections.clear()
"""


async def crowd(ws):
    clients = [await ws.connect(f"/ws/{number}") for number in range(5)]
    for client in clients:
        await client.send("hello")
    await clients[2].drop()
    await clients[0].send("bye")


def test_the_same_bytes_in_another_process_under_another_hash_seed():
    outputs = set()
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", TWO_RUNS], env=environment, capture_output=True, check=True, encoding="utf-8"
        )
        outputs.add(done.stdout)
    [output] = outputs
    lines = output.splitlines()
    assert len(lines) > 60
    assert lines[: len(lines) // 2] == lines[len(lines) // 2 :]


async def both_ways(receive, send):
    """Receives in one task and sends in another; either learns of the client's end as an exception."""

    async def tick():
        while True:
            await asyncio.sleep(1)
            await send("tick")

    async with asyncio.TaskGroup() as group:
        group.create_task(tick())
        await receive()
        raise LookupError("no such message")


async def starlette_talk(websocket):
    await websocket.accept()
    await both_ways(websocket.receive_text, websocket.send_text)


@litestar.websocket("/ws")
async def litestar_talk(socket: litestar.WebSocket) -> None:
    await socket.accept()
    await both_ways(socket.receive_text, socket.send_text)


async def leave(ws):
    await (await ws.connect("/ws")).close()


async def say(ws):
    await (await ws.connect("/ws")).send("hi")
    await ws.settle()


def test_a_group_that_only_says_that_the_client_left_is_a_disconnect_not_handled():
    assert codes(leave, serve(starlette_talk)) == {"WSH106"}
    assert codes(leave, litestar.Litestar([litestar_talk])) == set()


def test_a_group_is_told_by_what_is_wrong_in_it():
    for app in (serve(starlette_talk), litestar.Litestar([litestar_talk])):
        [failure] = simulate(say, app).failures
        assert (failure.code, failure.message) == ("WSH101", "LookupError: no such message")


def test_a_group_of_several_is_told_by_all():
    async def talk(websocket):
        await websocket.accept()
        raise ExceptionGroup("two", [ValueError("one"), ExceptionGroup("more", [KeyError("two"), OSError()])])

    [failure] = simulate(leave, serve(talk)).failures
    assert failure.message == "ExceptionGroup: ValueError: one; KeyError: 'two'; OSError"


async def stopping(scope, receive, send):
    """Cancels all tasks when it is shut down."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await send({"type": "lifespan.shutdown.complete"})
        return
    await receive()
    await send({"type": "websocket.accept"})
    await receive()


def test_an_app_that_cancels_all_tasks_cancels_its_own():
    result = simulate(leave, stopping)
    assert (result.failures, result.error) == ([], None)

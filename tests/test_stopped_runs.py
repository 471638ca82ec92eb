"""Runs that have to be stopped: apps that never let the loop run, and what is said of them."""

import asyncio
import contextlib
import functools
import threading

import pytest
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from wsharness import inprocess, simulation
from wsharness.errors import TargetError
from wsharness.simulation import simulate
from wsharness.workers import run_all


def serve(handler):
    return Starlette(routes=[WebSocketRoute("/ws", handler)])


async def visit(ws):
    await ws.connect("/ws")


def test_a_loop_that_swallows_the_disconnect_is_a_busy_loop():
    async def greedy(websocket):
        await websocket.accept()
        while True:
            try:
                await websocket.receive_text()
            except Exception:
                continue

    [failure] = simulate(visit, serve(greedy), step_limit=0.2).failures
    assert failure.code == "WSH103"
    assert failure.frame.function.endswith("greedy")


@pytest.mark.parametrize("profile", ["uvicorn", "hypercorn"])  # whose send gives the loop a turn
@pytest.mark.parametrize("turns", [True, False])
def test_an_app_that_sends_without_end_in_no_time_is_a_busy_loop(monkeypatch, profile, turns):
    monkeypatch.setattr(simulation, "run", functools.partial(simulation.run, turn_limit=2_000))
    monkeypatch.setattr(inprocess, "FLOOD", 1 << 12)

    async def flood(websocket):
        await websocket.accept()
        while True:
            await websocket.send_text("x")
            if turns:
                await asyncio.sleep(0)

    async def stay(ws):
        await ws.connect("/ws")
        await asyncio.sleep(5)

    result = simulate(stay, serve(flood), profile=profile)
    assert [failure.code for failure in result.failures] == ["WSH103"]
    assert result.failures[0].frame.function.endswith("flood")


def test_much_in_no_time_is_no_busy_loop(monkeypatch):
    monkeypatch.setattr(simulation, "run", functools.partial(simulation.run, turn_limit=1_000))
    monkeypatch.setattr(inprocess, "FLOOD", 1 << 10)
    everybody = []

    async def shout(websocket):
        await websocket.accept()
        everybody.append(websocket)
        with contextlib.suppress(WebSocketDisconnect):
            async for text in websocket.iter_text():
                for one in everybody:
                    await one.send_text(text)
                    await asyncio.sleep(0)
        everybody.remove(websocket)

    async def talk(ws):
        clients = await ws.connect_many(1_500, "/ws")
        await clients[0].send("hi")
        await ws.expect_all(clients, "hi")
        for client in clients[1:]:
            await client.close()
        for _ in range(1_000):
            await clients[0].send("x")
            await clients[0].expect("x")

    result = simulate(talk, serve(shout))
    assert (result.failures, result.error) == ([], None)


def test_a_step_that_waits_for_something_outside_blocks_the_loop():
    lock = threading.Lock()

    async def selfish(websocket):
        await websocket.accept()
        with lock:
            await asyncio.sleep(1)

    async def two(ws):
        await ws.connect_many(2, "/ws")

    [failure] = simulate(two, serve(selfish), step_limit=0.05).failures
    assert failure.code == "WSH103"
    assert "blocked event loop" in failure.message
    assert failure.frame.function.endswith("selfish")
    assert not lock.locked()


def test_the_end_of_a_stopped_run_is_not_the_apps_doing(monkeypatch):
    monkeypatch.setattr(simulation, "run", functools.partial(simulation.run, thread_limit=0.1))
    released = threading.Event()

    async def waits(websocket):
        try:
            await asyncio.to_thread(released.wait)
        finally:
            await websocket.close()
            raise ValueError("cancelled")

    result = simulate(visit, serve(waits))
    released.set()
    assert [failure.code for failure in result.failures] == ["WSH102"]
    assert [type(record.event).__name__ for record in result.transcript] == ["Connect", "Fact"]


def ends_in_a_handler(error):
    async def handler(websocket):
        await websocket.accept()
        raise error

    return handler


def ends_in_a_task(error):
    async def end():
        raise error

    async def handler(websocket):
        await websocket.accept()
        task = asyncio.create_task(end())
        await websocket.receive()
        await task

    return handler


def ends_in_a_callback(error):
    def end():
        raise error

    async def handler(websocket):
        await websocket.accept()
        asyncio.get_running_loop().call_soon(end)
        await websocket.receive()

    return handler


def ends_when_it_is_cancelled(error):
    async def handler(websocket):
        await websocket.accept()
        try:
            await asyncio.Event().wait()
        finally:
            raise error

    return handler


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
@pytest.mark.parametrize(
    "ends, code",
    [
        (ends_in_a_handler, "WSH101"),
        (ends_in_a_task, "WSH113"),
        (ends_in_a_callback, "WSH113"),
        (ends_when_it_is_cancelled, "WSH105"),
    ],
)
def test_what_would_end_the_servers_process_is_a_failure_and_ends_no_run(ends, code, error):
    [(_, result)] = run_all(simulate, [(visit, serve(ends(error)))])
    [failure] = result.failures
    assert failure.code == code
    if code != "WSH105":
        assert type(error).__name__ in failure.message
        assert failure.frame.file.endswith("test_stopped_runs.py") and failure.frame.user
    if code == "WSH101":
        assert failure.message.endswith("; it ends the process of hypercorn and daphne")


def test_what_the_driver_raises_is_the_drivers():
    async def leave(ws):
        raise SystemExit(5)

    with pytest.raises(SystemExit):
        simulate(leave, serve(ends_in_a_handler(ValueError())))


@pytest.mark.parametrize("error", [SystemExit("no database"), KeyboardInterrupt("no database")], ids=repr)
def test_what_would_end_the_process_in_the_lifespan_is_said(error):
    @contextlib.asynccontextmanager
    async def lifespan(app):
        raise error
        yield

    app = Starlette(routes=[WebSocketRoute("/ws", ends_in_a_handler(error))], lifespan=lifespan)
    with pytest.raises(TargetError, match="the app's lifespan startup failed: .*no database"):
        list(run_all(simulate, [(visit, app)]))

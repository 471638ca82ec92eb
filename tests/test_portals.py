"""What TestClient does in both modes where the app's loop makes no turn any more."""

import asyncio
import contextlib
import threading
import time

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from wsharness import portals, stalls, testclient, testsession
from wsharness.errors import HandlerStuck, LoopBlocked
from wsharness.testclient import TestClient

MODES = pytest.mark.parametrize("strict", [False, True])


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    for module in (portals, testsession):
        monkeypatch.setattr(module, "GLANCE", 0.1)
    monkeypatch.setattr(testclient, "GRACE", 0.1)


@pytest.fixture
def gate():
    """Holds threads back until the test is over."""
    event = threading.Event()
    yield event
    event.set()


def serve(act):
    async def handler(ws):
        await ws.accept()
        await ws.receive_text()
        await act()

    async def http(request):
        return PlainTextResponse("here")

    async def busy(request):
        await act()

    return Starlette(routes=[WebSocketRoute("/", handler), Route("/", http), Route("/busy", busy)])


async def spin():
    while True:
        pass


async def catches_all():
    while True:
        with contextlib.suppress(Exception):
            await spin()


@pytest.mark.parametrize(
    ("act", "strict", "backend"),
    [(spin, False, "asyncio"), (spin, True, "trio"), (catches_all, True, "asyncio"), (catches_all, False, "trio")],
)
def test_a_handler_that_computes_without_end(act, strict, backend):
    client = TestClient(serve(act), strict=strict, backend=backend, timeout=0.3)
    with (
        pytest.raises(LoopBlocked, match=r"(?s)computes in one step, at tests/test_portals\.py:\d+ in spin, .*'go'"),
        client.websocket_connect("/") as ws,
    ):
        ws.send_text("go")
        ws.receive_text()
    assert not [thread for thread in threading.enumerate() if thread.name.endswith("portal of wsharness")]


@MODES
def test_a_handler_that_waits_for_something_outside(strict, gate):
    async def waits():
        gate.wait()

    client = TestClient(serve(waits), strict=strict, timeout=0.3)
    with (
        pytest.raises(LoopBlocked, match=r"(?s)waits for something outside in one step, at .* in .*waits, "),
        client.websocket_connect("/") as ws,
    ):
        ws.send_text("go")
        ws.receive_text()
    with pytest.raises(AssertionError, match="mine") as failed, client.websocket_connect("/") as ws:
        ws.send_text("go")
        raise AssertionError("mine")
    assert any("its thread was left behind" in note for note in failed.value.__notes__)


def test_in_strict_mode_it_is_the_same_whoever_is_first(monkeypatch):
    monkeypatch.setattr(stalls, "STEP_LIMIT", 0.1)
    monkeypatch.setattr(testsession, "GLANCE", 60.0)  # so the watchdog is
    client = TestClient(serve(spin), strict=True, timeout=0.3)
    with (
        pytest.raises(LoopBlocked, match=r"(?s)computes in one step, at .* in spin, .*'go'"),
        client.websocket_connect("/") as ws,
    ):
        ws.send_text("go")
        ws.receive_text()


@MODES
def test_a_session_that_expects_nothing_ends(strict):
    with (
        pytest.raises(LoopBlocked, match="in spin"),
        TestClient(serve(spin), strict=strict, timeout=0.3).websocket_connect("/") as ws,
    ):
        ws.send_text("go")


@MODES
def test_the_others_go_on(strict):
    with TestClient(serve(spin), strict=strict, timeout=0.3) as client:
        with pytest.raises(LoopBlocked), client.websocket_connect("/") as ws:
            ws.send_text("go")
            ws.receive_text()
        assert client.get("/").text == "here"


def test_http_is_more_patient():
    with TestClient(serve(spin), timeout=0.05) as client:
        with pytest.raises(LoopBlocked, match="computes in one step, at .* in spin"):
            client.get("/busy")
        with pytest.raises(LoopBlocked, match="computes in one step, at .* in spin"):
            client.portal.call(spin)


def test_a_lifespan_that_computes_without_end():
    @contextlib.asynccontextmanager
    async def lifespan(app):
        await spin()
        yield

    with pytest.raises(LoopBlocked, match="in spin"), TestClient(Starlette(lifespan=lifespan), timeout=0.05):
        pass


def test_a_slow_step_is_no_endless_one(monkeypatch):
    async def slow():
        time.sleep(0.3)
        return "at its end"

    monkeypatch.setattr(portals, "GLANCE", 5.0)
    with TestClient(serve(slow), timeout=0.05) as client:
        assert client.portal.call(slow) == "at its end"
        with client.websocket_connect("/") as ws:
            ws.send_text("go")


@MODES
def test_a_handler_that_catches_its_cancellation_is_given_up(strict):
    async def stays():
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)

    with (
        pytest.raises(HandlerStuck, match=r"in .*stays, awaiting sleep"),
        TestClient(serve(stays), strict=strict, timeout=0.3).websocket_connect("/") as ws,
    ):
        ws.send_text("go")


def test_calls_are_those_of_anyio():
    async def fail():
        raise TimeoutError("mine")

    seen = []

    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            seen.append("cancelled")

    with portals.open_portal(1) as portal:
        with pytest.raises(TimeoutError, match="mine"):
            portal.plain.call(fail)
        assert portal.plain.call(threading.current_thread) is not threading.current_thread()
        waiting = portal.plain.start_task_soon(wait)
        portal.call(asyncio.sleep, 0)
        assert waiting.cancel()
        portal.call(asyncio.sleep, 0.01)
        assert seen == ["cancelled"]
        future, value = portal.plain.start_task(start)
        assert (future.result(), value) == (2, 1)
    with pytest.raises(RuntimeError):
        portal.call(int)


async def start(*, task_status):
    task_status.started(1)
    return 2

"""What docs/migrating.md says of Starlette's TestClient, row by row: itself, one import changed, strict, and ws."""

import asyncio
import contextlib
import threading

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import WebSocketRoute
from starlette.testclient import TestClient as StarlettesClient
from starlette.websockets import WebSocketDisconnect

from tests.test_migrating import ROWS, TESTED, row
from wsharness import portals, stalls, testclient, testsession
from wsharness.errors import (
    ConnectionLost,
    ConnectionRejected,
    ExpectationError,
    HandlerStuck,
    LoopBlocked,
)
from wsharness.harness import Harness
from wsharness.sync import SyncHarness
from wsharness.testclient import TestClient, WebSocketDenialResponse

SHORT = 0.1  # seconds of patience


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    for module in (portals, testsession):
        monkeypatch.setattr(module, "GLANCE", SHORT)
    monkeypatch.setattr(testclient, "GRACE", SHORT)
    monkeypatch.setattr(stalls, "STEP_LIMIT", SHORT)


@pytest.fixture
def gate():
    """Lets go what would wait for ever."""
    event = threading.Event()
    yield event
    event.set()


def app_of(handler, **options):
    return Starlette(routes=[WebSocketRoute("/", handler)], **options)


def theirs(handler, **options):
    return StarlettesClient(app_of(handler, **options))


def imported(handler, **options):
    return TestClient(app_of(handler, **options), timeout=0.4)


def strict(handler, **options):
    return TestClient(app_of(handler, **options), timeout=0.4, strict=True)


def ours(handler, **options):
    return SyncHarness(Harness(app_of(handler), timeout=0.4, grace=SHORT, **options))


def waits(gate, act, *, nothing_helps=False):
    """Whether a call waits for the gate; None where it waits on."""

    def acts():
        with contextlib.suppress(Exception):
            act()

    thread = threading.Thread(target=acts, daemon=True)
    thread.start()
    thread.join(3 * SHORT)
    waited = thread.is_alive()
    gate.set()
    thread.join(1.0 if nothing_helps else 30.0)
    return None if thread.is_alive() else waited


def receives(client):
    with client.websocket_connect("/") as ws:
        ws.send_text("go")
        ws.receive_text()


def expects(ws):
    client = ws.connect("/")
    client.send("go")
    return client.expect()


async def silent(ws):
    await ws.accept()
    await ws.receive_text()
    await ws.receive_text()


@row("`receive_*()` where nothing comes")
def test_silence(gate):
    async def until_gate(ws):
        await ws.accept()
        while not gate.is_set():
            await asyncio.sleep(0.01)
        await ws.send_text("late")
        await ws.receive()

    assert waits(gate, lambda: receives(theirs(until_gate)))
    for client in (imported, strict):
        with pytest.raises(ExpectationError, match=r"within 0\.4 s"):
            receives(client(silent))
    with pytest.raises(ExpectationError, match=r"within 0\.4 s"), ours(silent) as ws:
        expects(ws)


async def refuses(ws):
    await ws.close(4403)


@row("close before accept: the app's close code")
def test_close_before_accept():
    for client in (theirs, imported):
        with pytest.raises(WebSocketDisconnect) as closed:
            receives(client(refuses))
        assert closed.value.code == 4403
    with pytest.raises(WebSocketDenialResponse) as denied:
        receives(strict(refuses))
    with ours(refuses) as ws, pytest.raises(ConnectionRejected) as rejected:
        ws.connect("/")
    assert (denied.value.status_code, rejected.value.status) == (403, 403)


async def denies(ws):
    await ws.send_denial_response(PlainTextResponse("go away", 401, {"x-a": "b"}))


@row("denial response")
def test_denial_response():
    for client in (theirs, imported, strict):
        with pytest.raises(WebSocketDenialResponse) as denied:
            receives(client(denies))
        assert (denied.value.status_code, denied.value.headers["x-a"], denied.value.content) == (401, "b", b"go away")
    with ours(denies) as ws, pytest.raises(ConnectionRejected) as rejected:
        ws.connect("/")
    assert (rejected.value.status, rejected.value.body) == (401, b"go away")
    assert ("x-a", "b") in rejected.value.headers


async def crashes(ws):
    await ws.accept()
    await ws.receive_text()
    raise ValueError("boom")


@row("the app raises: its exception")
def test_the_app_raises():
    for client in (theirs, imported):
        with pytest.raises(ValueError, match="boom"):
            receives(client(crashes))
    with pytest.raises(WebSocketDisconnect) as seen:
        receives(strict(crashes))
    assert isinstance(seen.value.__cause__, ValueError)
    with pytest.raises(ValueError, match="boom"), ours(crashes) as ws:
        expects(ws)


@row("the app computes for ever")
def test_the_app_computes_for_ever(gate):
    async def spins(ws):
        await ws.accept()
        await ws.receive_text()
        while not gate.is_set():
            pass
        await ws.send_text("late")
        await ws.receive()

    for client in (imported, strict):
        with pytest.raises(LoopBlocked, match="in test_the_app_computes_for_ever.spins"):
            receives(client(spins))
    with pytest.raises(LoopBlocked, match="in test_the_app_computes_for_ever.spins"), ours(spins) as ws:
        expects(ws)
    assert waits(gate, lambda: receives(theirs(spins)))


@row("the handler catches its cancellation")
def test_the_handler_catches_its_cancellation(gate):
    async def stays(ws):
        await ws.accept()
        while not gate.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.2)

    def opens(client):
        with client.websocket_connect("/"):
            pass

    for client in (imported, strict):
        with pytest.raises(HandlerStuck, match="in .*stays, awaiting sleep"):
            opens(client(stays))
    with pytest.raises(HandlerStuck, match="in .*stays, awaiting sleep"), ours(stays) as ws:
        ws.connect("/")
    assert waits(gate, lambda: opens(theirs(stays)))


@row("the handler returned")
def test_the_handler_returned(gate):
    async def leaves(ws):
        await ws.accept()
        await ws.receive_text()

    assert waits(gate, lambda: receives(theirs(leaves)), nothing_helps=True) is None
    with pytest.raises(ExpectationError, match="has ended"):
        receives(imported(leaves))
    with pytest.raises(WebSocketDisconnect) as lost:
        receives(strict(leaves))
    assert lost.value.code == 1006
    with ours(leaves) as ws, pytest.raises(ConnectionLost):
        expects(ws)


@row("the end of `with`: the handler is cancelled")
def test_the_end_of_the_block():
    ended = []

    async def cleans_up(ws):
        await ws.accept()
        try:
            await ws.receive_text()
        finally:
            await asyncio.sleep(0.02)
            ended.append(True)

    async def stays(ws):
        await ws.accept()
        await asyncio.sleep(60)

    def opens(client):
        with contextlib.suppress(WebSocketDisconnect), client.websocket_connect("/"):
            pass

    opens(theirs(cleans_up))
    assert not ended
    opens(imported(cleans_up))
    opens(strict(cleans_up))
    assert len(ended) == 2
    opens(imported(stays))
    with pytest.raises(HandlerStuck):
        opens(strict(stays))
    with pytest.raises(HandlerStuck), ours(stays) as ws:
        ws.connect("/")


@row("`receive_text()` of a binary message")
def test_the_other_kind_of_message():
    async def binary(ws):
        await ws.accept()
        await ws.send_bytes(b"x")
        await ws.receive_text()

    for client in (theirs, imported):
        with pytest.raises(KeyError):
            receives(client(binary))
    with pytest.raises(ExpectationError, match="expected a text message"):
        receives(strict(binary))
    with pytest.raises(ExpectationError), ours(binary) as ws:
        ws.connect("/").expect_text()


@row("a session per event loop")
def test_loops():
    loops = []

    async def notes(ws):
        loops.append(asyncio.get_running_loop())
        await ws.accept()
        await ws.receive_text()

    for client in (theirs, imported, strict):
        one = client(notes)
        with one.websocket_connect("/") as first, one.websocket_connect("/") as second:
            first.send_text("bye")
            second.send_text("bye")

    async def main():
        async with Harness(app_of(notes)) as ws:
            await (await ws.connect("/")).send("bye")
        loops.append(asyncio.get_running_loop())

    asyncio.run(main())
    same = [loops[number] is loops[number + 1] for number in range(0, 8, 2)]
    assert same == [False, False, True, True]


@row("lifespan inside `with client:` only")
def test_lifespan():
    seen = []

    @contextlib.asynccontextmanager
    async def lifespan(app):
        yield {"started": True}

    async def notes(ws):
        seen.append(hasattr(ws.state, "started"))
        await ws.accept()
        await ws.receive_text()

    def talks(client):
        with client.websocket_connect("/") as ws:
            ws.send_text("bye")

    for client in (theirs, imported, strict):
        talks(client(notes, lifespan=lifespan))
        with client(notes, lifespan=lifespan) as entered:
            talks(entered)
    with SyncHarness(Harness(app_of(notes, lifespan=lifespan))) as ws:
        ws.connect("/").send("bye")
    assert seen == [False, True] * 3 + [True]


@row("`extra_headers`, pairs of bytes")
def test_headers_of_the_accept():
    async def accepts(ws):
        await ws.accept(headers=[(b"x-a", b"b")])
        await ws.receive_text()

    for client in (theirs, imported, strict):
        with client(accepts).websocket_connect("/") as ws:
            assert (b"x-a", b"b") in ws.extra_headers
            ws.send_text("bye")
    with ours(accepts) as ws:
        client = ws.connect("/")
        assert ("x-a", "b") in client.accepted.headers
        client.send("bye")


@row("`close(1006)`")
def test_close_1006():
    codes = []

    async def notes(ws):
        await ws.accept()
        codes.append((await ws.receive())["code"])

    for client in (theirs, imported, strict):
        with client(notes).websocket_connect("/") as ws:
            ws.close(1006)
    with ours(notes) as ws:
        ws.connect("/").drop()
    assert codes == [1006, 1006, 1005, 1005]  # as uvicorn tells of a loss


def test_every_row_of_the_page_is_tested():
    heads = {"Starlette", "httpx-ws", "WebsocketCommunicator", "suite", "---"}
    suites = (
        "FastAPI 0.",
        "Starlette 1.",
        "Strawberry",
        "Ariadne",
        "wireup",
        "dishka",
        "marimo",
    )  # measured, not tested
    rows = [one for one in ROWS if one not in heads and not one.startswith(suites)]
    assert [one for one in rows if not any(one.startswith(begins) for begins in TESTED)] == []

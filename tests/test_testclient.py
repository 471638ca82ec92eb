import contextlib
import gc
import importlib
import os
import sys
import threading
import weakref

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from wsharness.errors import ExpectationError, UsageError
from wsharness.testclient import TestClient, WebSocketDenialResponse

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def serve(handler):
    return Starlette(routes=[WebSocketRoute("/", handler), Route("/", lambda request: JSONResponse({"http": True}))])


async def echo(ws: WebSocket):
    await ws.accept(subprotocol=ws.scope["subprotocols"][0] if ws.scope["subprotocols"] else None)
    async for text in ws.iter_text():
        await ws.send_text(text)


@BACKENDS
@pytest.mark.parametrize("strict", [False, True])
def test_a_conversation_beside_http(backend, strict):
    headers = {"x-a": "1"}
    client = TestClient(serve(echo), backend=backend, strict=strict)
    assert client.get("/").json() == {"http": True}
    with client.websocket_connect("/", ["v1"], headers=headers) as ws:
        ws.send_text("hi")
        assert ws.receive_text() == "hi"
        ws.send_json({"a": 1})
        assert ws.receive_json() == {"a": 1}
        ws.send_json("é")
        assert ws.receive() == {"type": "websocket.send", "text": '"é"'}
        assert ws.accepted_subprotocol == "v1"
        assert client.get("/").json() == {"http": True}
    assert headers == {"x-a": "1"}


def test_rejections_are_told_as_starlette_tells_them():
    async def close(ws):
        await ws.close(4001, "no")

    async def deny(ws):
        await ws.send_denial_response(PlainTextResponse("go away", 401))

    with pytest.raises(WebSocketDisconnect) as closed, TestClient(serve(close)).websocket_connect("/"):
        pass
    assert (closed.value.code, closed.value.reason) == (4001, "no")
    assert closed.value.__notes__[0].startswith("the app closed with 4001 'no'\n  0.00")
    with pytest.raises(WebSocketDenialResponse) as denied, TestClient(serve(deny)).websocket_connect("/"):
        pass
    assert (denied.value.status_code, denied.value.content) == (401, b"go away")


@BACKENDS
def test_a_silent_app_is_a_failure_with_its_transcript(backend):
    async def silent(ws):
        await ws.accept()
        await ws.receive_text()
        await anyio.sleep_forever()

    with TestClient(serve(silent), backend=backend, timeout=0.05).websocket_connect("/") as ws:
        ws.send_text("anyone?")
        with pytest.raises(
            ExpectationError, match=r"(?s)got nothing: none within 0\.05 s.*anyone\?.*in .*silent, awaiting"
        ):
            ws.receive_text()


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("verb", ["send_text", "receive_text"])
def test_a_session_is_used_inside_its_block(verb, strict):
    session = TestClient(serve(echo), strict=strict).websocket_connect("/")
    arguments = ["hi"] if verb == "send_text" else []
    with pytest.raises(UsageError, match=r"not open; write `with client.websocket_connect\(...\) as ws:`"):
        getattr(session, verb)(*arguments)
    with session:
        pass
    with pytest.raises(UsageError, match="the event loop of this session has ended; use it inside its `with`"):
        getattr(session, verb)(*arguments)


@pytest.mark.parametrize(("app", "timeout"), [(echo, -1), (echo, "1s"), (None, 5)])
def test_what_no_client_can_be_made_of_is_refused(app, timeout):
    with pytest.raises(UsageError, match="expected (timeout in seconds|an ASGI app, a callable)"):
        TestClient(app, timeout=timeout)


def test_a_handler_that_returned_is_no_endless_wait():
    async def leave(ws):
        await ws.accept()

    with TestClient(serve(leave)).websocket_connect("/") as ws:
        with pytest.raises(ExpectationError, match="the app's handler has ended"):
            ws.receive_text()
        ws.send_text("late")


async def crash(ws):
    await ws.accept()
    await ws.receive_text()
    raise ValueError("boom")


def test_the_apps_exception_comes_once_and_from_where_it_is_missed():
    with pytest.raises(ValueError, match="boom"), TestClient(serve(crash)).websocket_connect("/") as ws:
        ws.send_text("x")
        ws.receive_text()
    with pytest.raises(ValueError, match="boom"), TestClient(serve(crash)).websocket_connect("/") as ws:
        ws.send_text("x")


def test_a_failing_body_stays_primary():
    with pytest.raises(AssertionError, match="mine") as failed, TestClient(serve(crash)).websocket_connect("/") as ws:
        ws.send_text("x")
        raise AssertionError("mine")
    assert failed.value.__notes__ == ["also, in the app: ValueError: boom"]


@BACKENDS
def test_cleanup_after_the_client_left_is_not_cut(backend):
    done = []

    async def careful(ws):
        await ws.accept()
        try:
            await ws.receive_text()
        except WebSocketDisconnect as left:
            await anyio.sleep(0.01)
            done.append((left.code, left.reason))

    with TestClient(serve(careful), backend=backend).websocket_connect("/") as ws:
        ws.close(4000, "bye")
    assert done == [(4000, "bye")]


@BACKENDS
def test_a_handler_may_end_as_its_client_leaves(backend):
    async def closes(ws: WebSocket):
        await ws.accept()
        await ws.close()
        for _ in range(turns):
            await anyio.sleep(0)

    with TestClient(serve(closes), backend=backend) as client:
        for turns in [*range(8)] * 10:
            with client.websocket_connect("/") as session:
                assert session.receive()["type"] == "websocket.close"


def test_sessions_share_a_loop_in_an_entered_client():
    members = []

    async def chat(ws):
        await ws.accept()
        members.append(ws)
        async for text in ws.iter_text():
            for member in members:
                await member.send_text(text)

    with TestClient(serve(chat)) as client, client.websocket_connect("/") as a:
        with client.websocket_connect("/") as b:
            b.send_text("hi")
            assert (a.receive_text(), b.receive_text()) == ("hi", "hi")
        a.send_text("to one who left")
        assert a.receive_text() == "to one who left"


def test_without_an_http_client_it_says_what_to_install(monkeypatch):
    for name in ("starlette.testclient", "wsharness.testclient"):
        monkeypatch.delitem(sys.modules, name)
    for name in ("httpx", "httpx2"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="pip install httpx2"):
        importlib.import_module("wsharness.testclient")


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="no list of open files on this system")
@pytest.mark.parametrize("strict", [False, True])
def test_sessions_leave_nothing_behind(strict):
    def left():
        gc.collect()
        return len(os.listdir("/proc/self/fd")), threading.active_count()

    def talk():
        with client.websocket_connect("/") as ws:
            ws.send_text("hi")
            assert ws.receive_text() == "hi"
        return weakref.ref(ws)

    client = TestClient(serve(echo), strict=strict)
    talk()
    before = left()
    sessions = [talk() for _ in range(20)]
    with contextlib.ExitStack() as opened:
        for _ in range(20):
            opened.enter_context(client.websocket_connect("/")).send_text("bye")
    del opened
    assert left() == before
    assert not [session for session in sessions if session() is not None]

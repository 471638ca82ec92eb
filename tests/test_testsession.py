"""Each lie of Starlette's client as a pair: what the default mode shows, as Starlette, and what a client sees."""

import asyncio
from contextlib import asynccontextmanager

import anyio
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.test_testclient import BACKENDS, echo
from wsharness.errors import ExpectationError, HandlerStuck, UsageError, WebSocketError
from wsharness.testclient import Session, TestClient, WebSocketDenialResponse, WebSocketTestSession
from wsharness.testsession import StrictSession


def client_of(app, mode="strict", **options):
    """A client of a raw app, or of a Starlette handler, in one of the two modes; other names are profiles."""
    if mode != "default":
        options |= {"strict": True, "profile": mode}
    return TestClient(app, timeout=1, **options)


def connect(app, mode="strict", path="/", **options):
    return client_of(app, mode).websocket_connect(path, **options)


def serve(handler):
    http = Route("/", lambda request: JSONResponse(dict(request.state._state)))
    return Starlette(routes=[WebSocketRoute("/", handler), http])


async def accept(receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})


# Starlette's API


def test_both_sessions_are_starlettes():
    for mode, kind in [("default", Session), ("strict", StrictSession)]:
        session = connect(serve(echo), mode)
        assert isinstance(session, kind)
        assert isinstance(session, WebSocketTestSession)


def test_binary_messages_and_headers_of_the_accept():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x-a", b"1")]})
        assert (await receive())["bytes"] == b"[1]"
        await send({"type": "websocket.send", "bytes": b"[2]"})
        await send({"type": "websocket.send", "bytes": b"\0"})
        assert (await receive())["text"] == "[3]"
        await send({"type": "websocket.close", "code": 3000, "reason": "done"})
        await receive()

    with connect(app) as ws:
        assert ws.extra_headers == [(b"x-a", b"1")]
        ws.send_json([1], mode="binary")
        assert ws.receive_json(mode="binary") == [2]
        assert ws.receive_bytes() == b"\0"
        ws.send({"type": "websocket.receive", "text": "[3]"})
        assert ws.receive() == {"type": "websocket.close", "code": 3000, "reason": "done"}
        with pytest.raises(WebSocketDisconnect) as ended:
            ws.receive_text()
        assert (ended.value.code, ended.value.reason) == (3000, "done")
        with pytest.raises(WebSocketDisconnect):
            ws.send_text("late")


def test_what_the_app_is_told_of_the_request():
    scopes = []

    async def app(scope, receive, send):
        scopes.append(scope)
        await accept(receive, send)
        await receive()

    for mode in ("default", "strict", "daphne"):
        client = client_of(app, mode, root_path="/api", client=("10.0.0.1", 1), headers={"x-default": "1"})
        client.cookies["c"] = "d"
        url = "wss://chat.example:8443/a%20b?x=%C3%A9&y=1"
        with client.websocket_connect(url, ["v1", "v2"], headers={"x-own": "2", "host": "here:81"}, auth=("me", "pw")):
            pass
    default, strict, daphne = scopes
    assert "asgi" not in default
    assert "http_version" not in default
    assert strict["asgi"] == {"version": "3.0", "spec_version": "2.5"}
    assert strict["http_version"] == "1.1"
    assert "state" not in daphne  # there is none on daphne
    assert daphne["client"] == ["10.0.0.1", 1]
    for key in ("query_string", "root_path", "scheme", "subprotocols", "state", "extensions"):
        assert strict[key] == default[key], key
    assert (strict["raw_path"], strict["path"]) == (b"/a%20b", "/a b")
    assert strict["server"] == ("here", 81)
    sent, told = dict(default["headers"]), dict(strict["headers"])
    assert told.pop(b"sec-websocket-key") != sent.pop(b"sec-websocket-key")  # 16 bytes in base64
    assert told.pop(b"upgrade") == b"websocket"
    assert told.pop(b"connection").lower() == sent.pop(b"connection")
    assert told == sent


def test_what_the_app_leaves_in_its_scope():
    async def app(scope, receive, send):
        scope["user"] = "alice"
        await accept(receive, send)
        await receive()

    for mode in ("default", "strict"):
        with connect(app, mode) as ws:
            assert ws.scope["user"] == "alice"


def test_the_lifespans_state_is_there():
    @asynccontextmanager
    async def lifespan(app):
        yield {"db": "open"}

    async def tell(ws):
        await ws.accept()
        await ws.send_json(ws.state._state)
        await ws.receive()

    http = Route("/", lambda request: JSONResponse(request.state._state))
    app = Starlette(routes=[WebSocketRoute("/", tell), http], lifespan=lifespan)
    with client_of(app) as client, client.websocket_connect("/") as ws:
        assert ws.receive_json() == client.get("/").json() == {"db": "open"}


def test_sessions_and_requests_share_a_loop_as_in_a_server():
    loops = {"default": set(), "strict": set()}

    async def tell(ws):
        loops[ws.query_params["mode"]].add(asyncio.get_running_loop())
        await echo(ws)

    for mode, count in [("default", 2), ("strict", 1)]:
        client = client_of(serve(tell), mode)
        first, second = (client.websocket_connect(f"/?mode={mode}") for _ in range(2))
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)  # the loop stays as long as someone is on it
        second.send_text("still there?")
        assert second.receive_text() == "still there?"
        second.__exit__(None, None, None)
        assert len(loops[mode]) == count


# The handshake


async def close_early(scope, receive, send):
    await receive()
    await send({"type": "websocket.close", "code": 4001, "reason": "no token"})


def test_a_close_before_accept_is_http_403():
    with pytest.raises(WebSocketDisconnect) as told, connect(close_early, "default"):
        pass
    assert (told.value.code, told.value.reason) == (4001, "no token")
    with (
        pytest.raises(WebSocketDenialResponse, match=r"HTTP 403 \(the app closed with 4001") as seen,
        connect(close_early),
    ):
        pass
    assert (seen.value.status_code, seen.value.content) == (403, b"")
    assert (seen.value.code, seen.value.reason) == (1006, "")  # what browsers say
    assert isinstance(seen.value, WebSocketDisconnect)


def test_a_denial_response_is_the_same_in_both():
    async def deny(ws):
        await ws.send_denial_response(PlainTextResponse("go away", 401, {"x-why": "token"}))

    for mode in ("default", "strict"):
        with pytest.raises(WebSocketDenialResponse) as denied, connect(serve(deny), mode):
            pass
        assert (denied.value.status_code, denied.value.text) == (401, "go away")
        assert denied.value.headers["x-why"] == "token"


@pytest.mark.parametrize(("profile", "status"), [("strict", 500), ("uvicorn", 500), ("granian", 403)])
def test_a_handler_that_returns_without_an_answer(profile, status):
    async def app(scope, receive, send):
        await receive()

    with pytest.raises(ExpectationError, match="the app's handler has ended"), connect(app, "default"):
        pass  # Starlette waits for ever
    with pytest.raises(WebSocketDenialResponse) as seen, connect(app, profile):
        pass
    assert seen.value.status_code == status


def test_a_denial_response_without_a_body():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.http.response.start", "status": 401, "headers": []})

    with pytest.raises(ExpectationError, match="the app's handler has ended"), connect(app, "default"):
        pass  # Starlette waits for ever
    with pytest.raises(WebSocketDisconnect) as seen, connect(app):
        pass
    assert (type(seen.value), seen.value.code) == (WebSocketDisconnect, 1006)


def test_an_event_that_is_no_accept():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.send", "text": "hi"})

    with connect(app, "default"):
        pass  # taken for an accept
    with pytest.raises(WebSocketDenialResponse) as seen, connect(app):
        pass
    assert seen.value.status_code == 500
    assert str(seen.value.__cause__) == "unexpected ASGI event 'websocket.send' before the answer"


def test_an_exception_before_accept():
    async def app(scope, receive, send):
        raise ValueError("boom")

    with pytest.raises(ValueError, match="boom"), connect(app, "default"):
        pass
    with pytest.raises(WebSocketDenialResponse) as seen, connect(app):
        pass
    assert seen.value.status_code == 500
    assert repr(seen.value.__cause__) == "ValueError('boom')"


def test_a_subprotocol_nobody_offered():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "v9"})
        await receive()

    with connect(app, "default", subprotocols=["v1"]) as ws:
        assert ws.accepted_subprotocol == "v9"
    with pytest.raises(WebSocketDisconnect) as seen, connect(app, subprotocols=["v1"]):
        pass
    assert seen.value.code == 1006
    assert "one of the subprotocols the client offered" in str(seen.value.__cause__)
    with (
        pytest.raises(WebSocketError, match="'v9', which was not offered"),
        connect(app, "uvicorn", subprotocols=["v1"]),
    ):
        pass


def test_a_line_break_in_a_header():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept", "headers": [(b"x-a", b"1\r\nx-b: 2")]})
        await receive()

    with connect(app, "default"):
        pass
    with pytest.raises(WebSocketDenialResponse) as seen, connect(app):
        pass
    assert "header" in str(seen.value.__cause__)


@BACKENDS
def test_a_handshake_that_nobody_answers(backend):
    async def silent(scope, receive, send):
        while (await receive())["type"] != "websocket.disconnect":
            pass

    client = TestClient(silent, backend=backend, strict=True, timeout=0.05)
    with pytest.raises(ExpectationError, match=r"(?s)not answered within 0\.05 s.*silent, awaiting receive") as failed:
        client.websocket_connect("/").__enter__()
    assert not hasattr(failed.value, "__notes__")  # the handler has been told that its client left


# The end


@pytest.mark.parametrize(
    ("profile", "code"), [("strict", 1006), ("uvicorn", 1006), ("hypercorn", 1011), ("granian", 1005)]
)
def test_a_handler_that_has_returned(profile, code):
    async def app(scope, receive, send):
        await accept(receive, send)

    with connect(app, "default") as ws, pytest.raises(ExpectationError, match="the app's handler has ended"):
        ws.receive_text()  # Starlette waits for ever
    with connect(app, profile) as ws:
        with pytest.raises(WebSocketDisconnect) as seen:
            ws.receive_text()
        assert seen.value.code == code
        assert ws.receive() == {"type": "websocket.close", "code": code, "reason": ""}


def test_a_handler_that_has_returned_on_daphne():
    async def app(scope, receive, send):
        await accept(receive, send)

    with connect(app, "daphne") as ws, pytest.raises(ExpectationError, match="the app's handler for client has ended"):
        ws.receive_text()  # the connection stays open


async def crash(scope, receive, send):
    await accept(receive, send)
    await receive()
    raise ValueError("boom")


@pytest.mark.parametrize(("profile", "code"), [("strict", 1006), ("hypercorn", 1011)])
def test_an_exception_is_what_the_client_sees_and_its_cause(profile, code):
    with connect(crash, "default") as ws:
        ws.send_text("x")
        with pytest.raises(ValueError, match="boom"):
            ws.receive_text()
    with connect(crash, profile) as ws:
        ws.send_text("x")
        with pytest.raises(WebSocketDisconnect) as seen:
            ws.receive_text()
        assert seen.value.code == code
        assert repr(seen.value.__cause__) == "ValueError('boom')"


def test_an_exception_that_nobody_saw_is_raised_at_the_end():
    with pytest.raises(ValueError, match="boom"), connect(crash) as ws:
        ws.send_text("x")
    with TestClient(crash, strict=True, raise_server_exceptions=False).websocket_connect("/") as ws:
        ws.send_text("x")


def test_a_failing_body_stays_primary():
    with pytest.raises(AssertionError, match="mine") as failed, connect(crash) as ws:
        ws.send_text("x")
        raise AssertionError("mine")
    assert failed.value.__notes__ == ["also, in the app: ValueError: boom"]


LATE = {
    "a second accept": {"type": "websocket.accept"},
    "a close code that no frame carries": {"type": "websocket.close", "code": 1006},
    "a close reason that is too long": {"type": "websocket.close", "code": 1000, "reason": "x" * 124},
    "bytes for text": {"type": "websocket.send", "text": b"hi"},
    "a message that is too big": {"type": "websocket.send", "text": "x" * (1024 * 1024 + 1)},
    "neither text nor bytes": {"type": "websocket.send"},
}


@pytest.mark.parametrize("event", LATE.values(), ids=LATE)
def test_what_a_server_refuses(event):
    async def app(scope, receive, send):
        await accept(receive, send)
        await send(event)
        await receive()

    with connect(app, "default"):
        pass
    with pytest.raises((RuntimeError, ValueError, TypeError, KeyError)), connect(app):
        pass


@pytest.mark.parametrize("late", [{"type": "websocket.send", "text": "x"}, {"type": "websocket.close"}])
def test_after_the_apps_close(late):
    async def app(scope, receive, send):
        await accept(receive, send)
        await send({"type": "websocket.close"})
        await send(late)

    with connect(app, "default") as ws:
        assert ws.receive()["type"] == "websocket.close"
        assert ws.receive()["type"] == late["type"]
    with pytest.raises(RuntimeError, match="unexpected ASGI event"), connect(app) as ws:
        assert ws.receive()["type"] == "websocket.close"
        assert ws.receive()["type"] == "websocket.close"


@pytest.mark.parametrize(("profile", "seen"), [("default", "sent"), ("strict", "OSError"), ("hypercorn", "sent")])
def test_a_send_to_a_client_that_left(profile, seen):
    outcome = []

    async def app(scope, receive, send):
        await accept(receive, send)
        while (await receive())["type"] != "websocket.disconnect":
            pass
        try:
            await send({"type": "websocket.send", "text": "late"})
            outcome.append("sent")
        except OSError:
            outcome.append("OSError")

    with connect(app, profile) as ws:
        ws.close()
    assert outcome == [seen]


def test_the_app_is_told_once_that_its_client_left():
    told = {"default": [], "strict": []}

    async def app(scope, receive, send):
        await accept(receive, send)
        with anyio.move_on_after(0.05):
            while True:
                told[scope["path"][1:]].append(await receive())

    for mode in told:
        with connect(app, mode, f"/{mode}") as ws:
            ws.close(4000, "bye")
    left = {"type": "websocket.disconnect", "code": 4000, "reason": "bye"}
    assert told == {"default": [left], "strict": [left]}


@pytest.mark.parametrize(("code", "told"), [(1006, 1006), (1005, 1005), (1001, 1001)])
def test_codes_that_no_frame_carries_are_what_they_stand_for(code, told):
    seen = []

    async def app(scope, receive, send):
        await accept(receive, send)
        seen.append((await receive())["code"])

    with connect(app) as ws:
        ws.close(code)
        ws.close(code)
    assert seen == [told]


def test_a_handler_that_ignores_its_clients_leaving():
    async def app(scope, receive, send):
        await accept(receive, send)
        await anyio.sleep_forever()

    with connect(app, "default"):
        pass  # cancelled
    with pytest.raises(HandlerStuck, match="app, awaiting sleep"), connect(app):
        pass


@BACKENDS
def test_cleanup_that_takes_time_is_not_cut(backend):
    done = []

    async def app(scope, receive, send):
        await accept(receive, send)
        await receive()
        await anyio.sleep(0.01)
        done.append(True)

    with TestClient(app, backend=backend, strict=True).websocket_connect("/"):
        pass
    assert done


# Sentences


def test_a_silent_app_is_a_failure_with_its_transcript():
    async def silent(ws):
        await ws.accept()
        await ws.receive_text()
        await anyio.sleep_forever()

    client = TestClient(serve(silent), strict=True, timeout=0.05)
    match = r"(?s)expected a message or a close within 0\.05 s; no message came.*anyone\?.*silent, awaiting"
    with pytest.raises(ExpectationError, match=match), client.websocket_connect("/") as ws:
        ws.send_text("anyone?")
        assert ws.transcript
        ws.receive_text()


def test_a_message_of_the_other_kind():
    async def app(scope, receive, send):
        await accept(receive, send)
        await send({"type": "websocket.send", "bytes": b"\0\1"})
        await send({"type": "websocket.send", "text": "hi"})
        await receive()

    with connect(app) as ws:
        with pytest.raises(ExpectationError, match="expected a text message; got .*00 01"):
            ws.receive_text()
        with pytest.raises(ExpectationError, match="expected a binary message; got 'hi'"):
            ws.receive_bytes()


def test_what_no_client_can_do():
    with connect(serve(echo)) as ws:
        with pytest.raises(UsageError, match=r"expected what a client can do.*got 'websocket\.connect'"):
            ws.send({"type": "websocket.connect"})
        with pytest.raises(UsageError, match="expected text or bytes to send; got 3"):
            ws.send_text(3)
        with pytest.raises(UsageError, match="expected a close code .*got 70000"):
            ws.close(70000)
        ws.close()
        with pytest.raises(UsageError, match="this session has closed; send before"):
            ws.send_text("x")
        with pytest.raises(WebSocketDisconnect):  # the server's answer
            ws.receive_text()


def test_nothing_more_comes_after_a_loss():
    with connect(serve(echo)) as ws:
        ws.close(1006)
        with pytest.raises(UsageError, match="this session has closed; receive before"):
            ws.receive_text()


def test_sessions_are_for_one_with_block():
    session = connect(serve(echo))
    with pytest.raises(UsageError, match="the session is not open; write `with client"):
        session.send_text("x")
    with session:
        pass
    with pytest.raises(UsageError, match="this session has been used; open another"):
        session.__enter__()


def test_a_profile_is_for_strict():
    with pytest.raises(UsageError, match="write strict=True beside it"):
        TestClient(echo, profile="uvicorn")
    with pytest.raises(UsageError, match="did you mean 'uvicorn'"):
        TestClient(echo, strict=True, profile="uvicon")


def test_a_flood_blocks_the_app_and_not_the_test():
    sent = []

    async def flood(scope, receive, send):
        await accept(receive, send)
        for number in range(25_000):
            await send({"type": "websocket.send", "text": str(number)})
            sent.append(number)
        await receive()

    with connect(flood) as ws:
        assert ws.receive_text() == "0"
        assert len(sent) < 11_000
        assert [ws.receive_text() for _ in range(10_999)][-1] == "10999"
    assert len(sent) < 25_000

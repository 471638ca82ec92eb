"""wsharness/app/websocket.py: both state machines, messages, and misuse that says what to do."""

import asyncio
from typing import Any

import pytest
import starlette.websockets
from starlette.datastructures import URL, Address, Headers, QueryParams, State
from starlette.responses import PlainTextResponse, StreamingResponse

from tests.app.driver import Transcript, binary, connect, left, text
from wsharness.app.exceptions import DeclarationError, WebSocketDisconnected, WebSocketUseError
from wsharness.app.websocket import WebSocket, WebSocketDisconnect, WebSocketState


def handle(handler: Any, *messages: Any, **scope: Any) -> Transcript:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await handler(WebSocket(scope, receive, send))

    transcript = connect(app, scope.pop("path", "/"), *messages, **scope)
    if transcript.raised is not None:
        raise transcript.raised
    return transcript


def test_states_have_the_documented_numbers() -> None:
    assert {state.name: state.value for state in WebSocketState} == {
        "CONNECTING": 0,
        "CONNECTED": 1,
        "RESPONSE": 2,
        "DISCONNECTED": 3,
    }


def test_states_equal_starlettes_of_the_same_name() -> None:
    for state in WebSocketState:
        theirs = starlette.websockets.WebSocketState[state.name]
        assert state == theirs
        assert theirs == state
        assert hash(state) == hash(theirs)
    assert WebSocketState.CONNECTED != WebSocketState.CONNECTING
    assert WebSocketState.CONNECTED != 1
    assert WebSocketState.RESPONSE != starlette.websockets.WebSocketState.DISCONNECTED


def test_a_disconnect_carries_code_and_reason() -> None:
    assert (WebSocketDisconnect().code, WebSocketDisconnect().reason) == (1000, "")
    assert (WebSocketDisconnect(1001, "bye").code, WebSocketDisconnect(1001, "bye").reason) == (1001, "bye")


def test_starlettes_own_code_takes_it_for_a_websocket() -> None:
    async def handler(websocket: WebSocket) -> None:
        assert isinstance(websocket, starlette.websockets.WebSocket)
        assert not isinstance(websocket, dict)

    handle(handler)


def test_it_shows_the_connection() -> None:
    async def handler(websocket: WebSocket) -> None:
        assert websocket.url == URL("ws://example.org/chat?room=1")
        assert str(websocket.base_url) == "ws://example.org/"
        assert websocket.client == Address("testclient", 50000)
        assert websocket.headers == Headers({"host": "example.org", "cookie": "a=1; b=2"})
        assert websocket.query_params == QueryParams("room=1")
        assert websocket.path_params == {}
        assert websocket.cookies == {"a": "1", "b": "2"}
        assert isinstance(websocket.state, State)
        websocket.state.user = "alice"
        assert websocket["state"] == {"user": "alice"}
        assert websocket.session == {"s": 1}
        assert websocket.user == "u"
        assert websocket.auth == "scopes"
        assert websocket.app == "the app"

    more = {"session": {"s": 1}, "user": "u", "auth": "scopes", "app": "the app"}
    headers = [("host", "example.org"), ("cookie", "a=1; b=2")]
    handle(handler, path="/chat", query="room=1", headers=headers, **more)


def test_accept_sends_subprotocol_and_headers() -> None:
    async def handler(websocket: WebSocket) -> None:
        states = [(websocket.client_state, websocket.application_state)]
        await websocket.accept(subprotocol="chat.v1", headers=[(b"x", b"1")])
        states.append((websocket.client_state, websocket.application_state))
        assert states == [
            (WebSocketState.CONNECTING, WebSocketState.CONNECTING),
            (WebSocketState.CONNECTED, WebSocketState.CONNECTED),
        ]

    assert handle(handler).sent == [{"type": "websocket.accept", "subprotocol": "chat.v1", "headers": [(b"x", b"1")]}]


def test_accept_without_anything_sends_no_headers() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.receive()  # the handshake may be read first
        await websocket.accept()

    assert handle(handler).sent == [{"type": "websocket.accept", "subprotocol": None, "headers": []}]


def test_text_bytes_and_json_go_both_ways() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())
        await websocket.send_bytes(await websocket.receive_bytes())
        await websocket.send_json(await websocket.receive_json())
        await websocket.send_json(await websocket.receive_json(mode="binary"), mode="binary")

    messages = (text("hi"), binary(b"\x00"), text('{"a": "\u20ac"}'), binary(b"[1, 2]"))
    assert handle(handler, *messages).sent[1:] == [
        {"type": "websocket.send", "text": "hi"},
        {"type": "websocket.send", "bytes": b"\x00"},
        {"type": "websocket.send", "text": '{"a":"\u20ac"}'},
        {"type": "websocket.send", "bytes": b"[1,2]"},
    ]


@pytest.mark.parametrize("kind", ["text", "bytes", "json"])
def test_iterating_ends_when_the_client_leaves(kind: str) -> None:
    received = []

    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        async for data in getattr(websocket, f"iter_{kind}")():
            received.append(data)

    message = binary(b"1") if kind == "bytes" else text("1")
    handle(handler, message, message, left(1001))
    assert received == [{"text": "1", "bytes": b"1", "json": 1}[kind]] * 2


@pytest.mark.parametrize("receive", ["receive_text", "receive_bytes", "receive_json"])
def test_a_client_that_leaves_raises_with_its_code_and_reason(receive: str) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(WebSocketDisconnect) as caught:
            await getattr(websocket, receive)()
        assert (caught.value.code, caught.value.reason) == (1001, "gone")
        assert websocket.client_state is WebSocketState.DISCONNECTED
        with pytest.raises(WebSocketDisconnected, match="the client has left"):
            await websocket.receive()

    handle(handler, left(1001, "gone"))


def test_a_disconnect_without_reason_has_an_empty_one() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(WebSocketDisconnect) as caught:
            await websocket.receive_text()
        assert caught.value.reason == ""

    handle(handler, {"type": "websocket.disconnect", "code": 1006})


def test_a_message_of_the_other_kind_is_a_key_error() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(KeyError, match="text"):
            await websocket.receive_text()
        with pytest.raises(KeyError, match="bytes"):
            await websocket.receive_bytes()

    handle(handler, binary(b"1"), text("1"))


def test_json_that_is_none_raises_the_decoders_error() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(ValueError, match="Expecting"):
            await websocket.receive_json()

    handle(handler, text("{"))


@pytest.mark.parametrize("call", ["send_json", "receive_json"])
def test_an_unknown_mode_is_refused(call: str) -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        arguments = ({},) if call == "send_json" else ()
        with pytest.raises(WebSocketUseError, match="expected the mode 'text' or 'binary'; got 'txt'"):
            await getattr(websocket, call)(*arguments, mode="txt")

    handle(handler)


@pytest.mark.parametrize("call", ["receive_text", "receive_bytes", "receive_json"])
def test_receiving_before_accept_is_refused(call: str) -> None:
    async def handler(websocket: WebSocket) -> None:
        with pytest.raises(RuntimeError, match=r"await accept\(\) first"):
            await getattr(websocket, call)()

    handle(handler)


def test_sending_before_accept_is_refused() -> None:
    async def handler(websocket: WebSocket) -> None:
        with pytest.raises(RuntimeError, match=r"got 'websocket\.send': await accept\(\) first"):
            await websocket.send_text("hi")

    assert handle(handler).sent == []


def test_accepting_twice_is_refused() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(WebSocketUseError, match="accepted already"):
            await websocket.accept()

    handle(handler)


def test_close_sends_code_and_reason_once() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.close(4001, "enough")
        assert websocket.application_state is WebSocketState.DISCONNECTED
        with pytest.raises(WebSocketDisconnected, match="this connection is closed"):
            await websocket.close()
        with pytest.raises(starlette.websockets.WebSocketDisconnected):
            await websocket.send_text("late")

    assert handle(handler).closed == (4001, "enough")


def test_close_before_accept_refuses_the_connection() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.close()

    assert handle(handler).sent == [{"type": "websocket.close", "code": 1000, "reason": ""}]


def test_a_send_that_fails_is_a_lost_connection() -> None:
    async def handler(websocket: WebSocket) -> None:
        await websocket.accept()
        with pytest.raises(WebSocketDisconnect) as caught:
            await websocket.send_text("hi")
        assert caught.value.code == 1006
        assert websocket.application_state is WebSocketState.DISCONNECTED

    handle(handler, broken=True)


def test_an_os_error_before_accept_stays_one() -> None:
    async def send(event: Any) -> None:
        raise OSError("broken")

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    websocket = WebSocket({"type": "websocket"}, receive, send)
    with pytest.raises(OSError, match="broken"):
        asyncio.run(websocket.accept())


def test_events_out_of_order_are_refused() -> None:
    async def first(websocket: WebSocket) -> None:
        await websocket.receive()
        with pytest.raises(WebSocketUseError, match=r"got 'websocket\.connect'"):
            await websocket.receive()

    handle(first, {"type": "websocket.connect"})

    async def receive() -> Any:
        return {"type": "websocket.receive"}

    websocket = WebSocket({"type": "websocket"}, receive, None)  # type: ignore[arg-type]
    with pytest.raises(WebSocketUseError, match=r"expected 'websocket\.connect' from the server"):
        asyncio.run(websocket.receive())


@pytest.mark.parametrize("streaming", [False, True])
def test_a_denial_response_answers_with_http(streaming: bool) -> None:
    async def handler(websocket: WebSocket) -> None:
        response = StreamingResponse(iter(["a", "b"]), 404) if streaming else PlainTextResponse("ab", 404)
        await websocket.send_denial_response(response)
        assert websocket.application_state is WebSocketState.DISCONNECTED
        with pytest.raises(WebSocketDisconnected):
            await websocket.close()

    transcript = handle(handler, extensions={"websocket.http.response": {}})
    assert (transcript.status, transcript.body) == (404, b"ab")


def test_a_denial_response_needs_the_servers_extension() -> None:
    async def handler(websocket: WebSocket) -> None:
        with pytest.raises(WebSocketUseError, match=r"call close\(\) instead"):
            await websocket.send_denial_response(PlainTextResponse("no"))

    assert handle(handler).sent == []


def test_a_denial_response_starts_once() -> None:
    async def handler(websocket: WebSocket) -> None:
        start = {"type": "websocket.http.response.start", "status": 404, "headers": []}
        await websocket.send(start)
        assert websocket.application_state is WebSocketState.RESPONSE
        with pytest.raises(WebSocketUseError, match=r"expected 'websocket\.http\.response\.body'"):
            await websocket.send(start)
        await websocket.send({"type": "websocket.http.response.body", "body": b"", "more_body": True})
        assert websocket.application_state is WebSocketState.RESPONSE

    handle(handler)


def test_a_scope_of_another_type_is_refused() -> None:
    with pytest.raises(DeclarationError, match="got 'http': use Request"):
        WebSocket({"type": "http"}, None, None)  # type: ignore[arg-type]
    with pytest.raises(AssertionError):  # FastAPI's
        WebSocket({"type": "http"}, None, None)  # type: ignore[arg-type]


def test_it_is_a_mapping_of_its_scope_and_equal_to_itself_alone() -> None:
    scope = {"type": "websocket", "path": "/"}
    one, other = (WebSocket(scope, None, None) for _ in range(2))  # type: ignore[arg-type]
    assert dict(one) == scope
    assert len(one) == 2
    assert one == one
    assert one != other
    assert len({one, other}) == 2

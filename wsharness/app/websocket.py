"""The WebSocket class: one connection as its handler sees it, with both state machines in view."""

import enum
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast

from starlette import websockets
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose, WebSocketDisconnect

from wsharness.app.exceptions import DeclarationError, WebSocketDisconnected, WebSocketUseError

__all__ = ["WebSocket", "WebSocketClose", "WebSocketDisconnect", "WebSocketState"]


class WebSocketState(enum.Enum):
    """How far a connection has come, seen from one of its ends."""

    CONNECTING = 0
    CONNECTED = 1
    RESPONSE = 2
    DISCONNECTED = 3

    def __eq__(self, other: object) -> bool:
        # Starlette numbers two of them otherwise; code that compares with its enumeration means the name.
        if isinstance(other, websockets.WebSocketState):
            return self.name == other.name
        return self is other

    __hash__ = enum.Enum.__hash__


# What may be received, and sent, in each state, and the state it leads to (ASGI spec, "WebSocket").
_RECEIVED = {
    WebSocketState.CONNECTING: {"websocket.connect": WebSocketState.CONNECTED},
    WebSocketState.CONNECTED: {
        "websocket.receive": WebSocketState.CONNECTED,
        "websocket.disconnect": WebSocketState.DISCONNECTED,
    },
}
_SENT = {
    WebSocketState.CONNECTING: {
        "websocket.accept": WebSocketState.CONNECTED,
        "websocket.close": WebSocketState.DISCONNECTED,
        "websocket.http.response.start": WebSocketState.RESPONSE,
    },
    WebSocketState.CONNECTED: {
        "websocket.send": WebSocketState.CONNECTED,
        "websocket.close": WebSocketState.DISCONNECTED,
    },
    WebSocketState.RESPONSE: {"websocket.http.response.body": WebSocketState.DISCONNECTED},
}


class WebSocket(HTTPConnection):
    """One WebSocket connection: accept it, receive, send and close.

    `client_state` is what the client has done so far, `application_state` what the application has.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "websocket":
            raise DeclarationError(f"expected a scope of type 'websocket'; got {scope['type']!r}: use Request for HTTP")
        super().__init__(scope)
        self._receive = receive
        self._send = send
        self.client_state: WebSocketState = WebSocketState.CONNECTING
        self.application_state: WebSocketState = WebSocketState.CONNECTING

    # ASGI events

    async def receive(self) -> Message:
        """The next ASGI event from the server."""
        allowed = _RECEIVED.get(self.client_state)
        if allowed is None:
            raise WebSocketDisconnected(
                "cannot receive: the client has left; stop at the WebSocketDisconnect that said so"
            )
        event = await self._receive()
        state = allowed.get(event["type"])
        if state is None:
            raise WebSocketUseError(
                f"expected {_alternatives(allowed)} from the server; got {event['type']!r}:"
                " something between server and application changes the events"
            )
        self.client_state = state
        return event

    async def send(self, message: Message) -> None:
        """Send one ASGI event to the server."""
        before = self.application_state
        allowed = _SENT.get(before)
        if allowed is None:
            raise WebSocketDisconnected(
                f"cannot send {message['type']!r}: this connection is closed; send before close()"
            )
        state = allowed.get(message["type"])
        if state is None:
            raise WebSocketUseError(_out_of_order(message["type"], before))
        if not message.get("more_body", False):
            self.application_state = state
        try:
            await self._send(message)
        except OSError as error:
            if before is not WebSocketState.CONNECTED:
                raise
            self.application_state = WebSocketState.DISCONNECTED
            raise WebSocketDisconnect(code=1006) from error

    # The handshake

    async def accept(
        self, subprotocol: str | None = None, headers: Iterable[tuple[bytes, bytes]] | None = None
    ) -> None:
        """Accept the connection, with a subprotocol and headers for the answer."""
        if self.client_state is WebSocketState.CONNECTING:
            await self.receive()
        await self.send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": headers or []})

    async def send_denial_response(self, response: Response) -> None:
        """Refuse the connection with an HTTP response; the server must offer the extension."""
        if "websocket.http.response" not in self.scope.get("extensions", {}):
            raise WebSocketUseError(
                "this server does not offer the 'websocket.http.response' extension;"
                " call close() instead, which it answers with HTTP 403"
            )
        await response(self.scope, self.receive, self.send)

    # Receiving

    async def receive_text(self) -> str:
        """The next message, which must be text."""
        return cast(str, (await self._receive_message())["text"])

    async def receive_bytes(self) -> bytes:
        """The next message, which must be binary."""
        return cast(bytes, (await self._receive_message())["bytes"])

    async def receive_json(self, mode: str = "text") -> Any:
        """The next message, decoded from JSON."""
        _check_mode(mode)
        message = await self._receive_message()
        return json.loads(message["text"] if mode == "text" else message["bytes"].decode("utf-8"))

    async def iter_text(self) -> AsyncIterator[str]:
        """Every text message until the client leaves."""
        try:
            while True:
                yield await self.receive_text()
        except WebSocketDisconnect:
            pass

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """Every binary message until the client leaves."""
        try:
            while True:
                yield await self.receive_bytes()
        except WebSocketDisconnect:
            pass

    async def iter_json(self) -> AsyncIterator[Any]:
        """Every JSON message until the client leaves."""
        try:
            while True:
                yield await self.receive_json()
        except WebSocketDisconnect:
            pass

    # Sending

    async def send_text(self, data: str) -> None:
        """Send one text message."""
        await self.send({"type": "websocket.send", "text": data})

    async def send_bytes(self, data: bytes) -> None:
        """Send one binary message."""
        await self.send({"type": "websocket.send", "bytes": data})

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send one message encoded as JSON, as text or as binary."""
        _check_mode(mode)
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        await (self.send_text(text) if mode == "text" else self.send_bytes(text.encode("utf-8")))

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the connection; before accept the client sees HTTP 403 and neither code nor reason."""
        await self.send({"type": "websocket.close", "code": code, "reason": reason or ""})

    async def _receive_message(self) -> Message:
        if self.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnected(
                "WebSocket is not connected: await accept() first, and receive nothing after close()"
            )
        event = await self.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event["code"], event.get("reason"))
        return event


# Starlette and what is built for it ask `isinstance(..., starlette.websockets.WebSocket)`.
websockets.WebSocket.register(WebSocket)


def _check_mode(mode: str) -> None:
    if mode not in {"text", "binary"}:
        raise WebSocketUseError(f"expected the mode 'text' or 'binary'; got {mode!r}")


def _out_of_order(kind: str, state: WebSocketState) -> str:
    sentence = f"expected {_alternatives(_SENT[state])}; got {kind!r}"
    if state is WebSocketState.CONNECTING:
        return f"{sentence}: await accept() first"
    if kind == "websocket.accept":
        return f"{sentence}: this connection is accepted already, call accept() once"
    return sentence


def _alternatives(allowed: Iterable[str]) -> str:
    return " or ".join(repr(kind) for kind in allowed)

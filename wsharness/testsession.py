"""StrictSession: Starlette's session API for a client of the simulated server, which sees what clients see."""

import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, TypeVar, TypeVarTuple

import anyio.from_thread
from starlette.testclient import WebSocketDenialResponse, WebSocketTestSession
from starlette.websockets import WebSocketDisconnect

from wsharness.asgi import Scope
from wsharness.client import Client
from wsharness.errors import (
    ConnectionLost,
    ConnectionRejected,
    ExpectationError,
    LoopBlocked,
    UsageError,
    WSHarnessError,
)
from wsharness.events import ClientEvent, CloseCode, Closed, Message
from wsharness.harness import Harness
from wsharness.portals import GLANCE, Portal
from wsharness.profiles import Profile
from wsharness.request import Request
from wsharness.scope import Handshake
from wsharness.transcript import Transcript

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
OpenPortal: TypeAlias = Callable[[], AbstractContextManager[Portal]]

OWN_HEADERS = frozenset(
    (b"host", b"upgrade", b"connection", b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-protocol")
)  # which every handshake has, and gets from the simulated server
MANY_UNREAD = 10_000  # messages after which a client reads no further: as if they filled the buffers on their way
NAME = "client"
NOT_OPEN = "the session is not open; write `with client.websocket_connect(...) as ws:`"


def _is_told(excinfo: Any) -> bool:
    """Whether the test is told something, by which its own line is shown, and not ours."""
    return bool(excinfo.errisinstance((WSHarnessError, WebSocketDisconnect)))


__tracebackhide__ = _is_told  # read by pytest


class HandshakeRejected(WebSocketDenialResponse):
    """The handshake was answered with another status than 101: a response, and what it means to a WebSocket client."""

    code: int = CloseCode.ABNORMAL_CLOSURE.value
    """The close code that browsers report of a handshake that failed."""
    reason: str = ""

    def __init__(self, rejected: ConnectionRejected) -> None:
        super().__init__(rejected.status, headers=list(rejected.headers), content=rejected.body)
        self._rejected = rejected

    def __str__(self) -> str:
        return str(self._rejected)


class SharedPortal:
    """One event loop for all that is open at the same time, as in a server's process."""

    def __init__(self, open_portal: OpenPortal) -> None:
        self._open = open_portal
        self._users = 0
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        self._portal: Portal | None = None

    @contextlib.contextmanager
    def use(self) -> Iterator[Portal]:
        """The loop's portal; the last who leaves closes it."""
        with self._lock:
            if self._portal is None:
                self._portal = self._stack.enter_context(self._open())
            self._users += 1
            portal = self._portal
        with contextlib.ExitStack() as leaving:
            leaving.push(self._leave)
            yield portal

    def _leave(self, *failed: Any) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._portal = None
                self._stack.__exit__(*failed)


@dataclass(slots=True)
class _AsAsked(Request):
    """The request that Starlette's client built."""

    asked: Handshake | None = None

    def handshake(self) -> Handshake:
        """The request as it stands on the wire."""
        assert self.asked is not None
        return self.asked


def handshake_of(scope: Scope) -> Handshake:
    """The handshake that Starlette's scope stands for."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    return Handshake(
        target=scope["raw_path"].decode("latin-1"),
        query=scope["query_string"],
        headers=tuple((name, value) for name, value in headers if name not in OWN_HEADERS),
        subprotocols=tuple(scope["subprotocols"]),
        host=next(value.decode("latin-1") for name, value in headers if name == b"host"),
        scheme=scope["scheme"],
    )


class StrictSession(WebSocketTestSession):
    """A session that sends and sees what a client of a real server would; every wait has a limit."""

    portal: anyio.from_thread.BlockingPortal
    accepted_subprotocol: Any
    extra_headers: Any
    exit_stack: contextlib.ExitStack

    def __init__(
        self,
        connected: WebSocketTestSession,
        timeout: float,
        profile: str | Profile,
        open_portal: OpenPortal,
        *,
        raise_app_exceptions: bool,
    ) -> None:
        super().__init__(connected.app, connected.scope, connected.portal_factory)
        self._timeout = timeout
        self._open_portal = open_portal
        self._raise_app_exceptions = raise_app_exceptions
        self._harness = Harness(
            self._serve,
            profile=profile,
            timeout=timeout,
            lifespan="off",  # it is the TestClient's
            state=connected.scope["state"],
            root_path=connected.scope["root_path"],
            client=connected.scope["client"],
            raise_app_exceptions=False,  # clients do not see them
        )
        self.transcript: Transcript = self._harness.transcript
        self._client: Client | None = None
        self._end: Closed | None = None
        self._has_left = False
        self._unread = 0
        self._is_flooded = False

    async def _serve(self, scope: Scope, receive: Any, send: Any) -> None:
        self.scope = scope  # where tests look for what the app left there
        await self.app(scope, receive, send)

    # Life

    def __enter__(self) -> Self:
        if self._client is not None:
            raise UsageError("this session has been used; open another one with websocket_connect()")
        with contextlib.ExitStack() as stack:
            self._portal = stack.enter_context(self._open_portal())
            self.portal = self._portal.plain
            stack.push(self._leave)
            accepted = self._on_loop(self._open)
            self.accepted_subprotocol = accepted.subprotocol
            self.extra_headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in accepted.headers]
            self.exit_stack = stack.pop_all()
        return self

    async def _open(self) -> Any:
        await self._harness.start()
        client = self._client = self._harness.new_client(NAME, _AsAsked(asked=handshake_of(self.scope)))
        client.begin()
        client.connection.on_event = self._on_event
        try:
            await client.opened()
        except ConnectionRejected as rejected:
            raise HandshakeRejected(rejected) from self._told()
        except ConnectionLost as lost:
            raise WebSocketDisconnect(lost.code) from self._told()
        return client.accepted

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, traceback
        try:
            self._on_loop(self._finish, error)
        except LoopBlocked as blocked:
            if error is None:
                raise
            if not isinstance(error, LoopBlocked):
                error.add_note(f"also, as the session ended: {blocked}")
        crash = self._harness.crashes.get(NAME)
        if crash is None or crash.raised or not self._raise_app_exceptions:
            return
        if error is None:
            raise crash.error
        error.add_note(f"also, in the app: {type(crash.error).__name__}: {crash.error}")

    async def _finish(self, error: BaseException | None) -> None:
        client = self._client
        if client is not None:
            self._read_on(client)
            if client.state == "connecting":
                await client.drop()
        await self._harness.aclose(error)

    # Sending

    def send(self, message: Any) -> None:
        """Do what this ASGI event tells the app: send a message, close, or be lost (1006)."""
        kind = message["type"]
        if kind == "websocket.receive":
            text = message.get("text")
            self._call(self._send, message.get("bytes") if text is None else text)
        elif kind == "websocket.disconnect":
            self._call(self._close, message.get("code", CloseCode.NORMAL_CLOSURE), message.get("reason") or "")
        else:
            raise UsageError(f"expected what a client can do, 'websocket.receive' or '.disconnect'; got {kind!r}")

    async def _send(self, client: Client, data: Any) -> None:
        if self._end is not None:
            raise self._disconnect(self._end)
        if self._has_left:
            raise UsageError("this session has closed; send before close(), or open another session")
        if not isinstance(data, (str, bytes, bytearray, memoryview)):
            raise UsageError(f"expected text or bytes to send; got {data!r}; use send_json")
        await client.connection.send(data if isinstance(data, str) else bytes(data))

    async def _close(self, client: Client, code: Any, reason: str) -> None:
        if self._end is not None or self._has_left:
            return
        self._read_on(client)
        if code == CloseCode.ABNORMAL_CLOSURE:
            await client.drop()
        else:
            await client.close(None if code == CloseCode.NO_STATUS_RECEIVED else code, reason)
        self._has_left = True

    # Receiving

    def receive(self) -> Any:
        """Take what comes next, as Starlette tells it: `websocket.send`, or `websocket.close`, also 1006 and 1005."""
        event = self._call(self._next)
        if isinstance(event, Message):
            return {"type": "websocket.send", "text" if isinstance(event.data, str) else "bytes": event.data}
        return {"type": "websocket.close", "code": int(event.code), "reason": event.reason}

    def receive_text(self) -> str:
        """Take the next message, which must be text; WebSocketDisconnect where the connection ended."""
        return self._receive(str)

    def receive_bytes(self) -> bytes:
        """Take the next message, which must be binary; WebSocketDisconnect where the connection ended."""
        return self._receive(bytes)

    def receive_json(self, mode: Literal["text", "binary"] = "text") -> Any:
        """Take the next message, which must be JSON: in text, or binary with that `mode`."""
        return json.loads(self._receive(bytes) if mode == "binary" else self._receive(str))

    def _receive(self, kind: type[T]) -> T:
        return self._call(self._next_of, kind)

    async def _next_of(self, client: Client, kind: type[T]) -> T:
        event = await self._next(client)
        if isinstance(event, Closed):
            raise self._disconnect(event) from self._told()
        if not isinstance(event.data, kind):
            got = self._harness.words().message(event.data)
            raise ExpectationError(f"{NAME}: expected {_KINDS[kind]}; got {got}\n{self._harness.explain(client)}")
        return event.data

    async def _next(self, client: Client) -> Message | Closed:
        if self._end is not None:
            return self._end
        if self._has_left and client.ended is None and not self._unread:
            raise UsageError("this session has closed; receive before close(), or open another session")
        event = await client.next_event()
        if isinstance(event, Message):
            self._unread -= 1
            if self._is_flooded and not self._unread:
                self._read_on(client)
            return event
        self._end = event if isinstance(event, Closed) else Closed(event.code)
        return self._end

    # What a client does by itself

    def _on_event(self, event: ClientEvent) -> None:
        client = self._client
        assert client is not None
        client.on_event(event)
        self._unread += isinstance(event, Message)
        if self._unread >= MANY_UNREAD and not self._is_flooded:
            self._is_flooded = True
            client.stall(full=True)

    def _read_on(self, client: Client) -> None:
        if self._is_flooded:
            self._is_flooded = False
            client.resume()

    def _call(self, act: Callable[[Client, *Ts], Awaitable[T]], *arguments: *Ts) -> T:
        client = self._client
        if client is None:
            raise UsageError(NOT_OPEN)
        return self._on_loop(act, client, *arguments)

    def _on_loop(self, act: Callable[[*Ts], Awaitable[T]], *arguments: *Ts) -> T:
        try:
            answer: T = self._portal.call_within(self._timeout + GLANCE, act, *arguments)
        except LoopBlocked as blocked:
            self._is_told = True
            raise LoopBlocked(f"{blocked}\n{self._harness.explain(self._client)}") from None
        except (WSHarnessError, WebSocketDisconnect) as told:
            raise told.with_traceback(None) from told.__cause__  # the way it took from the loop's thread says nothing
        return answer

    def _told(self) -> BaseException | None:
        """The app's exception, which the test is told now: as the cause of what the client sees.

        An app that had to be stopped is told by itself, whether the watchdog was first or the test's own patience.
        """
        crash = self._harness.crashes.get(NAME)
        if crash is None:
            return None
        crash.raised = True
        if isinstance(crash.error, LoopBlocked):
            raise LoopBlocked(f"{crash.error}\n{self._harness.explain(self._client)}") from None
        return crash.error

    @staticmethod
    def _disconnect(end: Closed) -> WebSocketDisconnect:
        return WebSocketDisconnect(int(end.code), end.reason)


_KINDS: dict[type, str] = {str: "a text message", bytes: "a binary message"}

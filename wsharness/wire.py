"""The same connection over a real socket: websockets' asyncio client behind the interface both transports keep."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.client import ClientProtocol
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidProxy, InvalidStatus, ProxyError, WebSocketException
from websockets.http11 import Response
from websockets.typing import Subprotocol

from wsharness.connection import Connection, OnEvent
from wsharness.deployed import Target, unreachable
from wsharness.errors import UnreachableError, UsageError
from wsharness.events import Accepted, ClientEvent, Closed, Lost, Message, Rejected, is_sendable
from wsharness.rules import Phase, broken
from wsharness.runtime import Job, Runtime
from wsharness.scope import Handshake
from wsharness.transcript import ClientAct, Connect, Direction, Dropped, Fact, Leave, Reading, Record, Sent, Transcript

CLOSE_LIMIT = 2.0  # seconds a server gets to answer a close frame, and to end the TCP connection
NO_LIMIT = 1 << 40  # bytes: a send does not wait, as in-process; what it finds full, memory holds
RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, no time: closing sends RST
MAX_REASON = 123  # bytes: RFC 6455 section 5.5
PROTOCOL = "Sec-WebSocket-Protocol"
OnEnd: TypeAlias = Callable[["WireConnection", Exception | None], object]


class _Connect(connect):
    """A redirect is an answer like any other: it is shown, not followed."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class _Socket(ClientConnection):
    """websockets' connection, with its transport at hand as soon as there is one."""

    tcp: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.tcp = transport
        super().connection_made(transport)


def _chosen(headers: Headers) -> Subprotocol | None:
    """The subprotocol the server chose, offered or not."""
    return Subprotocol(", ".join(headers.get_all(PROTOCOL))) if PROTOCOL in headers else None


class WireConnection(Connection):
    """A connection to a server in another process."""

    job: None = None
    """There is no app here whose handler could be looked at."""
    ended_open: bool = False
    """Nor can it be told how it ended."""

    def __init__(
        self, name: str, on_event: OnEvent, server: "WireServer", handshake: Handshake, runtime: Runtime
    ) -> None:
        super().__init__(name, on_event)
        self._server = server
        self._handshake = handshake
        self._runtime = runtime
        self._reading = asyncio.Event()
        self._reading.set()
        self._socket: _Socket | None = None
        self._is_open = False
        self._dropped = False
        self._work: Job | None = None
        self._farewell: Job | None = None
        self.ended: bool = False
        """The TCP connection is over."""
        self.left: bool = False
        """The client closed or dropped."""
        self.cancelled: bool = False
        """The harness ended it."""

    def start(self) -> None:
        """Begin with the handshake."""
        self._work = self._runtime.spawn(self._run(), f"wire {self.name}")

    # What the server does

    async def _run(self) -> None:
        error: Exception | None = None
        last: ClientEvent = Lost()
        try:
            last = await self._live()
        except Exception as raised:  # noqa: BLE001 (it is raised in the test, from the pending call)
            error = None if self.left else raised
        finally:
            self.ended = True
            self._server.on_end(self, error)
        if self._is_open:
            await self._reading.wait()
        self._deliver(last)

    async def _live(self) -> ClientEvent:
        """The connection from its handshake to its end; its last event."""
        try:
            opened = await self._connecting()
        except InvalidStatus as error:
            return self._server.answered(_rejected(error.response))
        except (OSError, ProxyError, InvalidProxy, ImportError) as error:
            raise unreachable(self._server.target, error) from error
        except WebSocketException as error:
            return self._server.failed(error)
        except ValueError as error:
            raise UsageError(f"this handshake cannot be sent: {error}") from None
        self._is_open = True
        self._server.answered(Accepted())
        self._follow_reading()
        self._judge(opened.subprotocol)
        self._deliver(Accepted(opened.subprotocol, _headers(opened.response)))
        try:
            while True:
                message = Message(await opened.recv())
                await self._reading.wait()
                self._deliver(message)
        except ConnectionClosed as end:
            return Lost() if end.rcvd is None else Closed(end.rcvd.code, end.rcvd.reason)

    def _judge(self, chosen: str | None) -> None:
        """Note a subprotocol that was not offered, as is noted of an app's accept."""
        event = {"type": "websocket.accept", "subprotocol": chosen}
        rule = broken(event, Phase.HANDSHAKE, self._handshake.subprotocols)
        if rule is not None:
            self._note(Direction.FACT, Fact("rule broken", rule.message, data={"rule": rule.rule}))

    def _connecting(self) -> _Connect:
        target, handshake = self._server.target, self._handshake
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in handshake.headers]
        host = dict(headers).get("host")
        return _Connect(
            target.url_for(handshake, host),
            subprotocols=handshake.subprotocols or None,  # type: ignore[arg-type]  # its own name for str
            additional_headers=[(name, value) for name, value in headers if name != "host"],
            user_agent_header="wsharness",
            compression=None,
            open_timeout=None,  # whoever waits for the answer has a limit
            ping_interval=None,
            close_timeout=CLOSE_LIMIT,
            max_size=None,
            write_limit=NO_LIMIT,
            create_connection=self._make_socket,  # type: ignore[arg-type]  # a wrapper will do, its documentation says
            **target.tls_options,
            **_way(target, host),
        )

    def _make_socket(self, protocol: ClientProtocol, **options: Any) -> _Socket:
        protocol.process_subprotocol = _chosen  # type: ignore[method-assign]  # whether it was offered is for us to say
        self._socket = _Socket(protocol, **options)
        return self._socket

    @property
    def _tcp(self) -> asyncio.Transport | None:
        return self._socket.tcp if self._socket is not None else None

    def _deliver(self, event: ClientEvent) -> None:
        if self._dropped:
            return
        self._note(Direction.SERVER, event)
        self.on_event(event)

    def _note(self, direction: Direction, event: ClientEvent | ClientAct | Fact) -> None:
        self._server.transcript.append(Record(self._runtime.time(), self.name, direction, event))

    def silence(self, limit: float) -> UnreachableError | None:
        """What it means that the handshake was not answered in time, where nothing says it is the app's fault."""
        return self._server.silence(limit, connected=self._tcp is not None)

    # What the client does

    async def send(self, data: str | bytes) -> None:
        """Send a whole message; text that is no UTF-8 goes out as it is."""
        self._note(Direction.CLIENT, Sent(data))
        if self._is_open and not self.ended and self._socket is not None:
            payload = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
            with contextlib.suppress(ConnectionClosed):
                await self._socket.send(payload, text=isinstance(data, str))

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame; None sends one without a code. UsageError for what no close frame may carry."""
        if code is not None and not is_sendable(code):
            raise UsageError(f"expected a close code from 1000-1003, 1007-1014 or 3000-4999; got {code!r}")
        if len(reason.encode()) > (0 if code is None else MAX_REASON):
            raise UsageError(f"expected a close reason of {MAX_REASON} bytes at most, after a code; got {reason!r}")
        self.left = True
        self._note(Direction.CLIENT, Leave(code, reason))
        if self._is_open and self._socket is not None:
            farewell = self._socket.close(code, reason)  # type: ignore[arg-type]  # None: RFC 6455 section 7.1.5
            self._farewell = self._runtime.spawn(farewell, f"wire {self.name} close")
            await self._runtime.turn()  # the frame is on its way; its answer is an event

    async def drop(self, *, reset: bool = False) -> None:
        """End the TCP connection: FIN after what was sent (RST where something is unread), or RST at once."""
        self._note(Direction.CLIENT, Dropped(reset))
        self.left = self._dropped = True
        self._reading.set()
        tcp = self._tcp
        if tcp is None:
            self.cancel()
        elif tcp.is_closing():
            return
        elif reset:
            tcp.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            tcp.abort()
        else:
            tcp.close()
            self._runtime.call_later(CLOSE_LIMIT, tcp.abort)
        await self._runtime.turn()

    def stall(self) -> None:
        """Stop reading from the socket: TCP tells the server when it has sent enough."""
        self._read(on=False)

    def resume(self) -> None:
        """Go on reading."""
        self._read(on=True)

    def _read(self, *, on: bool) -> None:
        self._note(Direction.CLIENT, Reading(on=on))
        (self._reading.set if on else self._reading.clear)()
        self._follow_reading()

    def _follow_reading(self) -> None:
        if self._is_open and self._tcp is not None:
            (self._tcp.resume_reading if self._reading.is_set() else self._tcp.pause_reading)()

    def cancel(self) -> None:
        """End it at once, whatever it is doing."""
        self.cancelled = True
        if self._tcp is not None:
            self._tcp.abort()
        for job in (self._work, self._farewell):
            if job is not None:
                job.cancel()


class WireServer:
    """A deployed server, seen from its clients."""

    def __init__(self, target: Target, *, runtime: Runtime, transcript: Transcript, on_end: OnEnd) -> None:
        if runtime.name != "asyncio":
            raise UsageError(f"real connections need asyncio; got {runtime.name}; test the app in-process there")
        self.target = target
        self.transcript = transcript
        self.on_end = on_end
        self._runtime = runtime
        self._connections: list[WireConnection] = []
        self._speaks = False

    async def start(self) -> None:
        """Nothing: the server runs."""

    async def stop(self) -> None:
        """End what is left of the connections."""
        for connection in self._connections:
            connection.cancel()
        await self._runtime.turn()

    def connect(self, name: str, handshake: Handshake, on_event: OnEvent) -> tuple[WireConnection, object]:
        """Open a connection; beside it, an object that nobody holds, as nobody here holds the app's end."""
        connection = WireConnection(name, on_event, self, handshake, self._runtime)
        headers = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in handshake.headers)
        target = handshake.target + ("?" + handshake.query.decode("latin-1") if handshake.query else "")
        act = Connect(target, headers, handshake.subprotocols)
        self.transcript.append(Record(self._runtime.time(), name, Direction.CLIENT, act))
        self._connections.append(connection)
        connection.start()
        return connection, _Nobody()

    # Whether it is a WebSocket server: the first handshake it accepts says so

    def answered(self, event: Accepted | Rejected) -> Accepted | Rejected:
        """A handshake was answered; UnreachableError where it is no WebSocket server's answer."""
        if isinstance(event, Accepted):
            self._speaks = True
        elif not self._speaks and event.status < 300:  # noqa: PLR2004 (HTTP's own number)
            raise unreachable(self.target, event)
        return event

    def failed(self, error: Exception) -> Lost:
        """A handshake had no answer, or a wrong one; UnreachableError unless the server has given right ones."""
        if self._speaks:
            return Lost()
        raise unreachable(self.target, error) from error

    def silence(self, limit: float, *, connected: bool) -> UnreachableError | None:
        """The error for a handshake that got no answer; None where the server has answered others."""
        return None if self._speaks else unreachable(self.target, TimeoutError(limit), connected=connected)


def _way(target: Target, host: str | None) -> dict[str, Any]:
    """The way to the target, where a client may take it for another host."""
    if host is None:
        return {"proxy": target.proxy or True}
    if target.proxy:
        raise UsageError(f"a proxy finds a server by its name: leave out the host header {host!r}, or the proxy")
    address, port = target.address
    return {"proxy": None, "host": address, "port": port}


class _Nobody:
    __slots__ = ("__weakref__",)


def _headers(response: Response | None) -> tuple[tuple[str, str], ...]:
    assert response is not None
    return tuple((name.lower(), value) for name, value in response.headers.raw_items())


def _rejected(response: Response) -> Rejected:
    return Rejected(response.status_code, _headers(response), bytes(response.body or b""))

"""Runs an app and its lifespan behind the simulated server: what a server process does, without one."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, TypeAlias

from wsharness.asgi import App, ASGIEvent, LifespanMode, Scope
from wsharness.connection import Connection, OnEvent
from wsharness.endpoint import ClientDisconnected
from wsharness.errors import BusyLoop
from wsharness.events import ClientEvent, Rejected
from wsharness.frames import Assembler, CloseFrame, End, FrameAct, Ping, Pong, WireEvent
from wsharness.interrupts import ENDS_PROCESS, is_ctrl_c
from wsharness.lifespan import Lifespan
from wsharness.profiles import Profile, State
from wsharness.request import KNOWN_REQUESTS
from wsharness.rules import Phase, next_phase
from wsharness.runtime import Job, Runtime, Signal
from wsharness.scope import Handshake, Reception
from wsharness.server import NOWHERE, Nowhere, SimulatedServer
from wsharness.transcript import (
    Add,
    ClientAct,
    Connect,
    Direction,
    Dropped,
    Fact,
    Leave,
    Reading,
    Sent,
    Transcript,
)

SPIN_LIMIT = 1_000  # calls on an ended connection without a turn of the loop
CLOSE: ASGIEvent = {"type": "websocket.close"}
FLOOD = 1 << 17  # sends without a turn: a power of two, since every send looks
ENDED = frozenset((State.GONE, State.SEEN, State.CLOSED, State.ABANDONED, State.LOST))
OPEN, AT_FIRST, IN_USE = State.OPEN, Phase.HANDSHAKE, Phase.OPEN  # an enum's own lookup is slow
CLIENT, RECEIVE, SEND, SERVER = Direction.CLIENT, Direction.RECEIVE, Direction.SEND, Direction.SERVER
WIRE_EVENTS = frozenset((Ping, Pong, CloseFrame, End))
serving: ContextVar[str] = ContextVar("serving", default="")
"""The connection whose handler runs, or made the task that runs."""


class Channel:
    """The app's end of one connection: its `receive` and `send`.

    Only the app holds it once the connection has ended, so a weak reference tells whether the app let go.
    """

    __slots__ = (
        "__weakref__",
        "_add",
        "_changed",
        "_floods",
        "_now",
        "_phase",
        "_profile",
        "_runtime",
        "_server",
        "_spins",
        "_watch",
        "_yields",
        "calls",
        "name",
    )

    def __init__(
        self,
        name: str,
        server: SimulatedServer,
        runtime: Runtime,
        add: Add,
        changed: Signal,
        watch: "Watch",
    ) -> None:
        self.name: str = name
        self.calls: int = 0
        """ASGI calls so far: moves when the app does."""
        self._server = server
        self._profile = server.profile
        self._yields = server.profile.yields
        self._runtime = runtime
        self._now = runtime.time
        self._add = add
        self._spins = 0
        self._floods = False
        self._changed = changed
        self._phase = AT_FIRST
        self._watch = watch

    async def receive(self) -> ASGIEvent:
        """The app's `receive` (ASGI specification, WebSocket)."""
        self.calls += 1
        server = self._server
        if self._yields and server.state is not State.HANDSHAKE:
            await self._runtime.turn()
            server.write_due()
        if not server.inbox:
            server.begin_receive()
            try:
                while not server.inbox:
                    await self._changed.wait()
            finally:
                server.end_receive()
        event = server.receive()
        self._add((self._now(), self.name, RECEIVE, event))
        if event["type"] == "websocket.disconnect":
            self._count_spin("receive")
        return event

    async def send(self, event: ASGIEvent) -> None:
        """The app's `send` (ASGI specification, WebSocket); raises what the server raises."""
        self.calls += 1
        if not self.calls & (FLOOD - 1):
            self._look_for_flood()
        server = self._server
        if not server.writable or server.receiving:
            await self._wait_to_send(event)
        kind, phase = event.get("type"), self._phase
        is_message = kind == "websocket.send"
        if is_message:  # what breaks no rule at a glance, as nearly all does, need not be judged
            is_usual = phase is IN_USE and (event.get("text") is None) is not (event.get("bytes") is None)
        else:
            is_usual = phase is AT_FIRST and kind == "websocket.accept" and event.get("subprotocol") is None
        if not is_usual:
            self._watch(self.name, self._judged(event), self._phase, server.offered, None)
        self._add((self._now(), self.name, SEND, event))
        try:
            server.send(event)
        except Exception as error:
            self._note_raised(event, error)
            raise
        if not is_message:
            self._phase = next_phase(phase, event)
        if self._yields or server.state is not OPEN:
            await self._after_send()

    def _judged(self, event: ASGIEvent) -> ASGIEvent:
        """What an event is judged by: a close of what is gone comes into no frame, whatever code it names."""
        gone = self._server.state in ENDED and event.get("type") == "websocket.close"
        return CLOSE if gone else event

    async def _wait_to_send(self, event: ASGIEvent) -> None:
        server = self._server
        waits = self._profile.close_while_receiving == "waits" and event.get("type") == "websocket.close"
        while server.holds_back(event) or (waits and server.receiving):
            await self._changed.wait()

    async def _after_send(self) -> None:
        server = self._server
        if self._profile.yields:
            await self._runtime.turn()
        while self._profile.close_waits and server.state is State.CLOSING:
            await self._changed.wait()
        if server.state in ENDED:
            self._count_spin("send")

    def _note_raised(self, event: ASGIEvent, error: Exception) -> None:
        if isinstance(error, ClientDisconnected):
            error.client = self.name
        self._watch(self.name, self._judged(event), self._phase, self._server.offered, error)
        data = {"exception": type(error).__name__, "type": event.get("type")}
        fact = Fact("send raised", str(error), data=data)
        self._add((self._now(), self.name, Direction.FACT, fact))
        if self._server.state in ENDED:
            self._count_spin("send")

    def _count_spin(self, verb: str) -> None:
        """Get out of an app that calls on and on upon an ended connection and never lets the loop run."""
        self._spins += 1
        if self._spins == 2:  # noqa: PLR2004 (every app calls once)
            self._runtime.call_later(0, self._forget_spins)
        elif self._spins > SPIN_LIMIT:
            raise BusyLoop(f"{verb} was called {SPIN_LIMIT} times on an ended connection while nothing else could run")

    def _forget_spins(self) -> None:
        self._spins = 0

    def _look_for_flood(self) -> None:
        """Get out of an app that sends on and on and never lets the loop run."""
        if self._floods:
            raise BusyLoop(f"send was called {FLOOD:,} times while nothing else could run")
        self._floods = True
        self._runtime.call_later(0, self._forget_flood)

    def _forget_flood(self) -> None:
        self._floods = False


Watch: TypeAlias = Callable[[str, ASGIEvent, Phase, tuple[str, ...], Exception | None], object]
"""Called in an app's send: before what is not simply a message, and again with what the server raises."""
OnEnd: TypeAlias = Callable[["InProcessConnection", BaseException | None], object]
OnFrame: TypeAlias = Callable[[WireEvent], object]


@dataclass(slots=True)
class Manners:
    """What a client does by itself, as client libraries do, and what it wants to see below messages."""

    answers_pings: bool = True
    answers_close: bool = True
    answers_after: float = 0.0
    """Seconds until it does: a wire takes time."""
    on_frame: OnFrame | None = None
    """Called with each ping, pong and close frame, and when the server ended the TCP connection."""


class InProcessConnection(Connection):
    """A connection to an app in this process."""

    __slots__ = (
        "_add",
        "_assembler",
        "_changed",
        "_killed",
        "_now",
        "_on_end",
        "_profile",
        "_runtime",
        "_server",
        "_watch",
        "cancelled",
        "ended",
        "ended_open",
        "job",
        "left",
        "manners",
    )

    def __init__(
        self,
        name: str,
        on_event: OnEvent,
        runtime: Runtime,
        add: Add,
        profile: Profile,
        on_end: OnEnd,
        watch: Watch,
        offered: tuple[str, ...] = (),
        manners: Manners | None = None,
    ) -> None:
        super().__init__(name, on_event)
        self._watch = watch
        self._runtime = runtime
        self._now = runtime.time
        self._add = add
        self._on_end = on_end
        self._changed = runtime.signal()
        self._assembler: Assembler | None = None
        server = SimulatedServer(profile, self._deliver, runtime.time, runtime.call_later, offered)
        server.wake = self._changed.wake
        server.cancel_app = self._cancel_for_server
        if manners is not None:
            server.keepalive = manners.on_frame is not None or not manners.answers_pings
        self._server: SimulatedServer | Nowhere = server
        self._profile = profile
        self._killed = False
        self.manners: Manners | None = manners
        """How the client behaves by itself; None: as a client library does."""
        self.job: Job | None = None
        """The app's handler, while it runs."""
        self.ended: bool = False
        """The app's handler returned or raised."""
        self.ended_open: bool = False
        """It returned while its client was still connected."""
        self.left: bool = False
        """The client closed or dropped."""
        self.cancelled: bool = False
        """The harness cancelled the handler."""

    def start(self, app: App, scope: Scope) -> Channel:
        """Start the app's handler; the caller may watch the returned channel, but not keep it."""
        channel = self._make_channel()
        job = self._runtime.spawn(self._run(app, scope, channel), f"app {self.name}")
        if not self.ended:  # as it has already where the loop starts tasks at once (asyncio.eager_task_factory)
            self.job = job
        return channel

    def refuse(self, status: int) -> Channel:
        """Answer the request without asking the app."""
        self.ended = True
        assert isinstance(self._server, SimulatedServer)
        self._runtime.call_later(0, partial(self._server.refuse_request, status))
        self._runtime.call_later(0, lambda: self._on_end(self, None))
        return self._make_channel()

    def _make_channel(self) -> Channel:
        assert isinstance(self._server, SimulatedServer)
        return Channel(self.name, self._server, self._runtime, self._add, self._changed, self._watch)

    async def _run(self, app: App, scope: Scope, channel: Channel) -> None:
        error: BaseException | None = None
        serving.set(self.name)
        try:
            await app(scope, channel.receive, channel.send)
        except GeneratorExit:
            raise
        except BaseException as raised:
            if is_ctrl_c(raised):
                raise
            error = raised
            if self.cancelled and not isinstance(raised, ENDS_PROCESS):
                raise
        finally:
            del channel
            self._finish(error)

    def _finish(self, error: BaseException | None) -> None:
        server = self._server
        assert isinstance(server, SimulatedServer)
        self.ended = True
        self.job = None
        self.ended_open = error is None and not self.left and server.state is OPEN
        if not self.cancelled:
            server.ended(error)
        self._let_server_go()
        by_server = self._killed and not isinstance(error, Exception)  # a cancellation: no fault of the app's
        self._on_end(self, None if by_server else error)

    def _let_server_go(self) -> None:
        """Once both sides are done: most of what a connection holds is its server's."""
        if self.ended and self._server.is_over:
            self._server = NOWHERE

    def _deliver(self, event: ClientEvent | WireEvent) -> None:
        if type(event) in WIRE_EVENTS:
            self._let_server_go()
            self._deliver_frame(event)  # type: ignore[arg-type]
            return
        self._add((self._now(), self.name, SERVER, event))
        if type(event) is Rejected and self.manners is None:  # a client library hangs up
            self._runtime.call_later(0, self._server.client_drops)
        self.on_event(event)  # type: ignore[arg-type]

    def _deliver_frame(self, frame: WireEvent) -> None:
        manners = self.manners
        if manners is None and self.left:
            return  # it has nothing to answer any more
        after = 0.0 if manners is None else manners.answers_after
        if isinstance(frame, Ping) and (manners is None or manners.answers_pings):
            self._runtime.call_later(after, lambda: self._server.client_acts(Pong(frame.data)))
        elif isinstance(frame, CloseFrame) and not self.left and (manners is None or manners.answers_close):
            reply = Leave(frame.code, frame.reason)
            self._runtime.call_later(after, lambda: self._server.client_acts(reply))
        if manners is not None and manners.on_frame is not None:
            manners.on_frame(frame)

    def _act(self, act: ClientAct) -> None:
        self._add((self._now(), self.name, CLIENT, act))

    async def send(self, data: str | bytes) -> None:
        """Send a whole message."""
        self._add((self._now(), self.name, CLIENT, Sent(data)))
        self._server.client_sends(data)

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame; None sends one without a code."""
        self.left = True
        leave = Leave(code, reason)
        self._act(leave)
        self._server.client_acts(leave)

    async def drop(self, *, reset: bool = False, half: bool = False) -> None:
        """End the connection without a close frame; `half`: and go on reading."""
        self.left = True
        self._act(Dropped(reset))
        self._server.client_drops(reset=reset, half=half)

    def stall(self) -> None:
        """Stop reading."""
        self._act(Reading(on=False))
        self._server.client_reads(on=False)

    def fill(self) -> None:
        """Let the server's buffer be full: its next message blocks."""
        self._server.fill()

    def resume(self) -> None:
        """Go on reading."""
        self._act(Reading(on=True))
        self._server.client_reads(on=True)

    def let_go(self) -> None:
        """Tell nobody anything any more."""
        super().let_go()
        self._on_end = self._watch = _look_away
        if not isinstance(self._server, Nowhere):
            self._server.deliver = self._server.cancel_app = _look_away

    # Below messages

    async def ping(self, data: bytes = b"") -> None:
        """Send a ping frame."""
        self._server.client_acts(Ping(data))

    async def pong(self, data: bytes = b"") -> None:
        """Send a pong frame nobody asked for."""
        self._server.client_acts(Pong(data))

    async def frame(self, opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, rsv: int = 0) -> None:
        """Send one frame as it is, allowed or not (RFC 6455 section 5.2)."""
        act = self.assemble(opcode, payload, fin=fin, mask=mask, rsv=rsv)
        if act is not None:
            self.act(act)

    def assemble(
        self, opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, rsv: int = 0
    ) -> FrameAct | None:
        """What a frame adds up to with those before it; None while its message is not complete."""
        if self._assembler is None:
            whole = self._profile.close_in_fragments == "violation"
            self._assembler = Assembler(whole_messages=whole)
        return self._assembler.feed(opcode, payload, fin=fin, mask=mask, rsv=rsv)

    def act(self, *acts: FrameAct) -> None:
        """Do several things in one TCP segment."""
        for act in acts:
            if isinstance(act, (Sent, Leave)):
                self._act(act)
                self.left = self.left or isinstance(act, Leave)
        self._server.client_acts(*acts)

    @property
    def is_up(self) -> bool:
        """Whether neither side has ended the TCP connection, as far as the server knows."""
        return self._server.tcp_open and not self._server.client_gone

    @property
    def unread_bytes(self) -> int:
        """Bytes of messages that the server has not read from its socket."""
        return self._server.unread_bytes

    # The server process

    def shut_down(self) -> None:
        """The server process is told to stop."""
        self._server.shut_down()

    def _cancel_for_server(self) -> None:
        if self.job is not None:
            self._killed = True
            self.job.cancel()

    def cancel(self) -> None:
        """Cancel the app's handler at its next await."""
        self.cancelled = True
        if self.job is not None:
            self.job.cancel()


def _look_away(*_: Any) -> None:
    """Nobody watches."""


class InProcessServer:
    """One app as a server runs it: its lifespan, and a handler for each connection."""

    def __init__(
        self,
        app: App,
        *,
        runtime: Runtime,
        transcript: Transcript,
        profile: Profile,
        on_end: OnEnd,
        watch: Watch = _look_away,
        lifespan: LifespanMode = "auto",
        state: Mapping[str, Any] | None = None,
        root_path: str = "",
        client: tuple[str, int] = ("testclient", 50000),
    ) -> None:
        self.app = app
        self.profile = profile
        self.transcript = transcript
        self._runtime = runtime
        self._on_end = on_end
        self._watch = watch
        self._root_path = root_path
        self._client = tuple(client)
        self._lifespan = Lifespan(app, runtime, lifespan, state)

    @property
    def state(self) -> dict[str, Any]:
        """What the app's lifespan put there for every connection."""
        return self._lifespan.state

    async def start(self) -> None:
        """Run the app's startup; TargetError if it fails or does not finish."""
        await self._lifespan.startup()

    async def stop(self) -> None:
        """Run the app's shutdown; TargetError if it fails or does not finish."""
        await self._lifespan.shutdown()

    def connect(
        self, name: str, handshake: Handshake, on_event: OnEvent, manners: Manners | None = None
    ) -> tuple[InProcessConnection, Channel]:
        """Open a connection: its app's handler starts in the loop's next turn."""
        act, reception = _receive(self.profile, handshake, self._root_path, self._client)
        connection = InProcessConnection(
            name,
            on_event,
            self._runtime,
            self.transcript.add,
            self.profile,
            self._on_end,
            self._watch,
            reception.offered,
            manners,
        )
        self.transcript.add((self._runtime.time(), name, CLIENT, act))
        if reception.refusal is not None:
            return connection, connection.refuse(reception.refusal)
        return connection, connection.start(self.app, reception.scope(self.state))


@lru_cache(KNOWN_REQUESTS)
def _receive(
    profile: Profile, handshake: Handshake, root_path: str, client: tuple[str, int]
) -> tuple[Connect, Reception]:
    """A request as the transcript and as the server have it."""
    target = handshake.target + ("?" + handshake.query.decode("latin-1") if handshake.query else "")
    headers = tuple((key.decode("latin-1"), value.decode("latin-1")) for key, value in handshake.headers)
    reception = Reception(profile, handshake, root_path=root_path, client=client)
    return Connect(target, headers, handshake.subprotocols), reception

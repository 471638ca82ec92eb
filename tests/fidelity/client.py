"""A client program: a case's operations on a connection, simulated or real, with a token for each thing seen."""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from typing import Any, NamedTuple

from tests.fidelity import tokens
from tests.fidelity.tokens import value
from wsharness.events import Accepted, ClientEvent, Lost, Message, Rejected
from wsharness.frames import BINARY, CLOSE, PING, PONG, TEXT, CloseFrame, End, Ping, Pong, WireEvent
from wsharness.inprocess import InProcessConnection, InProcessServer, Manners
from wsharness.scope import Handshake

LATE = 0.295  # 0.3 s, less what virtual time does not take
LONG_END = 2.0
REACTION = 0.02  # what a server does in one go is done before its client does the next thing, on a busy machine too
WIRE = 0.0002  # there and back on 127.0.0.1
SOCKET_BUFFER = 4 * 2**20
SHOWN = ("sec-websocket-protocol", "set-cookie", "location")
AT_ONCE = ("text", "bytes", "close", "ping", "pong", "frame", "close_raw", "batch")


class Frame(NamedTuple):
    """A frame to send, allowed or not."""

    opcode: int
    payload: bytes
    flags: dict[str, Any] = {}


class Line(ABC):
    """What a client program needs of a connection."""

    subprotocol_first = False
    """The answer's subprotocol stands before the app's own headers."""

    @abstractmethod
    async def open(self, client: "ClientProgram") -> None: ...

    @abstractmethod
    def write(self, frames: list[Frame]) -> None:
        """Send frames in one segment."""

    @abstractmethod
    async def drop(self, *, reset: bool = False, half: bool = False) -> None: ...

    @abstractmethod
    def read(self, *, on: bool) -> None: ...

    @abstractmethod
    def has_room(self) -> bool:
        """Whether what is written goes out."""


class SimulatedLine(Line):
    """A connection to the simulated server."""

    def __init__(self, server: InProcessServer) -> None:
        self.server = server
        self.subprotocol_first = server.profile.subprotocol_first
        self.connection: InProcessConnection

    async def open(self, client: "ClientProgram") -> None:
        given = client.handshake
        manners = Manners(
            answers_pings=given.get("auto_pong", True),
            answers_close=client.echoes_close,
            answers_after=WIRE,
            on_frame=client.on_frame,
        )
        self.connection, _ = self.server.connect("client", request(given), client.on_event, manners)

    def write(self, frames: list[Frame]) -> None:
        acts = [self.connection.assemble(f.opcode, f.payload, **f.flags) for f in frames]
        self.connection.act(*(act for act in acts if act is not None))

    async def drop(self, *, reset: bool = False, half: bool = False) -> None:
        if not half:
            self.connection.manners = None
        await self.connection.drop(reset=reset, half=half)

    def read(self, *, on: bool) -> None:
        if on:
            self.connection.resume()
        else:
            self.connection.stall()

    def has_room(self) -> bool:
        return self.connection.unread_bytes < SOCKET_BUFFER


def request(given: dict[str, Any]) -> Handshake:
    path, _, query = given.get("path", "/s").partition("?")
    return Handshake(
        target=path,
        query=str(given.get("query", query)).encode("latin-1"),
        headers=tuple((k.lower().encode("latin-1"), v.encode("latin-1")) for k, v in given.get("headers", ())),
        subprotocols=tuple(given.get("subprotocols", ())),
    )


class ClientProgram:
    """Runs a case's client operations and writes down tokens."""

    def __init__(self, case: dict[str, Any], line: Line) -> None:
        self.case = case
        self.line = line
        self.handshake: dict[str, Any] = case.get("handshake", {})
        self.tokens: list[str] = []
        self.end: str | None = None
        self.answered = asyncio.Event()
        self.ended = asyncio.Event()
        self.accepted = False
        self.own_reasons = tuple(app_reasons(case["app"]))
        self.own_statuses = [given[0].get("status") for name, *given in case["app"] if name == "msg"]
        self.asked: dict[str, float] = {}
        self.frames = 0
        self.said_close = False
        self.closed_at = 0.0
        self.loop = asyncio.get_running_loop()
        self.start = self.loop.time()
        self.echoes_close = self.handshake.get("echo_close", True) and "on_close" not in self.handshake
        self.end_tokens: list[str] = []
        self.tasks: list[asyncio.Task[None]] = []

    # What it sees

    def on_event(self, event: ClientEvent) -> None:
        if self.end == "left":
            return
        if isinstance(event, Accepted):
            self.accepted = True
            self.tokens += ["101", *shown_headers(event, first=self.line.subprotocol_first)]
        elif isinstance(event, Rejected):
            self.tokens += [str(event.status), *shown_headers(event)]
            self.rejection = event
        elif isinstance(event, Message):
            self.frames += 1
            self.tokens.append(tokens.message(event.data))
        elif isinstance(event, Lost):
            at = self.loop.time() - self.start
            self.finish("lost" if at < 3 else f"lost (at {int(at)}s)")
        self.answered.set()

    def on_frame(self, frame: WireEvent) -> None:
        if self.end == "left":
            return
        if isinstance(frame, Ping):
            self.tokens.append("PING")
        elif isinstance(frame, Pong):
            self.tokens.append(f"PONG {frame.data!r}{self.late(f'ping {frame.data!r}')}")
        elif isinstance(frame, CloseFrame):
            self.see_close(frame)
        elif isinstance(frame, End) and self.closed_at:
            after = self.loop.time() - self.closed_at
            self.finish("ended" if after < LONG_END else f"ended (+{int(after + 0.51)}s)")

    def see_close(self, frame: CloseFrame) -> None:
        self.closed_at = self.loop.time() or 1e-9
        token = tokens.closed(frame.code, frame.reason, own_reasons=self.own_reasons)
        self.tokens.append(token + self.late("close"))
        if "on_close" in self.handshake:
            self.tasks.append(self.loop.create_task(self.reply(frame)))

    async def reply(self, frame: CloseFrame) -> None:
        operations = self.handshake["on_close"]
        await asyncio.sleep(1.1 * REACTION)  # at no operation's time
        await self.run(operations)
        if not any(name in ("close", "fin", "rst", "close_raw") for name, *_ in operations):
            self.write([self.close(frame.code, frame.reason)])

    def late(self, what: str) -> str:
        asked = self.asked.get(what)
        return " (LATE)" if asked is not None and self.loop.time() - asked > LATE else ""

    def finish(self, token: str) -> None:
        if self.end is None:
            self.end = token
            self.ended.set()
            self.answered.set()

    # What it does

    async def live(self) -> float:
        """Do everything; return when the client's patience ends."""
        await self.line.open(self)
        if self.handshake.get("noread"):
            self.line.read(on=False)
        if "drop_after" in self.handshake:
            how, seconds = self.handshake["drop_after"]
            await asyncio.sleep(seconds)
            await self.leave(reset=how == "rst")
        else:
            await self.wait_for_answer()
        if self.accepted:
            await asyncio.sleep(REACTION)
            await self.run(self.case["client"])
        if self.answered.is_set():
            await asyncio.sleep(self.case.get("linger", 2.0))
        patience = self.loop.time()
        self.finish("open")
        self.end_tokens = [*self.tokens, *([] if self.refused() else [self.end])]
        self.end = "left"
        with contextlib.suppress(Exception):
            await self.line.drop()
        return patience

    async def wait_for_answer(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.case.get("hs_timeout", 6.0)):
                await self.answered.wait()

    def refused(self) -> bool:
        return bool(self.tokens) and self.tokens[0] != "101"

    async def leave(self, *, reset: bool) -> None:
        await asyncio.sleep(REACTION)  # what it wrote before arrives by itself
        self.finish("left")
        self.end = "left"
        await self.line.drop(reset=reset)

    async def run(self, operations: list[Any]) -> None:
        """Do one after the other; sleeps end at appointed times, as what a real clock is late would add up."""
        due = self.loop.time()
        for name, *arguments in operations:
            if name in AT_ONCE:
                self.write(self.frames_of(name, arguments))
            elif name == "sleep":
                due += arguments[0]
                await self.do_sleep(due - self.loop.time())
            else:
                await getattr(self, f"do_{name}")(*arguments)
                due = self.loop.time()

    def write(self, frames: list[Frame]) -> None:
        if self.end is None:
            self.line.write(frames)

    def frames_of(self, name: str, arguments: list[Any]) -> list[Frame]:
        if name == "batch":
            frames = [frame for inner, *rest in arguments[0] for frame in self.frames_of(inner, rest)]
            self.asked.clear()
            return frames
        given = value(arguments)
        return [getattr(self, name)(*given)]

    def text(self, data: str) -> Frame:
        return Frame(TEXT, data.encode())

    def bytes(self, data: bytes) -> Frame:
        return Frame(BINARY, bytes(data))

    def ping(self, data: bytes = b"") -> Frame:
        self.asked[f"ping {data!r}"] = self.loop.time()
        return Frame(PING, data)

    def pong(self, data: bytes = b"") -> Frame:
        return Frame(PONG, data)

    def close(self, code: int | None = None, reason: str = "") -> Frame:
        return self.close_raw(b"" if code is None else code.to_bytes(2, "big") + reason.encode())

    def close_raw(self, payload: bytes) -> Frame:
        self.said_close = True
        self.asked["close"] = self.loop.time()
        return Frame(CLOSE, payload)

    def frame(self, opcode: int, payload: bytes, flags: dict[str, Any] | None = None) -> Frame:
        if opcode == CLOSE:
            self.asked["close"] = self.loop.time()
        return Frame(opcode, payload, flags or {})

    async def do_sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def do_fin(self) -> None:
        await self.leave(reset=False)

    async def do_rst(self) -> None:
        await self.leave(reset=True)

    async def do_half_close(self) -> None:
        await asyncio.sleep(REACTION)
        await self.line.drop(half=True)

    async def do_startread(self) -> None:
        self.line.read(on=True)

    async def do_await_close(self, limit: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self.ended.wait()

    async def do_await_frames(self, count: int, limit: float) -> None:
        due = self.loop.time() + limit
        while self.frames < count and self.loop.time() < due and self.end is None:
            await asyncio.sleep(0.01)

    async def do_flood(self, flags: dict[str, Any]) -> None:
        size, stall, sent = flags.get("size", 65536), flags.get("stall", 1.0), 0
        data = b"x" * size
        while sent < flags.get("max_mb", 48) * 2**20:
            if not await self.room(stall):
                self.tokens.append(f"flood_blocked ~{round(sent / 2**20)}MiB")
                return
            self.write([Frame(BINARY, data)])
            sent += size
            await asyncio.sleep(0)
        self.tokens.append(f"flood_never_blocked ~{round(sent / 2**20)}MiB")

    async def room(self, limit: float) -> bool:
        if self.line.has_room():
            return True
        await asyncio.sleep(limit)
        return self.line.has_room()


def app_reasons(operations: list[Any]) -> list[str]:
    """The close reasons the app gives."""
    keys = [arguments[0] for name, *arguments in operations if name in ("close", "msg") and arguments]
    return [value(key["reason"]) for key in keys if key.get("reason")]


def shown_headers(event: Accepted | Rejected, *, first: bool = False) -> list[str]:
    headers = [(name.lower().strip(), text) for name, text in event.headers]
    if isinstance(event, Accepted) and event.subprotocol is not None:
        headers.insert(0 if first else len(headers), ("sec-websocket-protocol", event.subprotocol))
    return [f"{name}: {text}" for name, text in headers if name in SHOWN or name.startswith("x-")]

"""Client: a virtual user who sends, expects, leaves and comes back."""

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol, TypeVar, overload

from wsharness import patterns
from wsharness.arguments import as_json, check_close, checked_where, payload, seconds
from wsharness.connection import Connection
from wsharness.errors import (
    ConnectionClosed,
    ConnectionLost,
    ConnectionRejected,
    ExpectationError,
    UsageError,
    WebSocketError,
    describe_code,
)
from wsharness.events import Accepted, ClientEvent, Closed, Lost, Message, Rejected
from wsharness.explaining import Words
from wsharness.link import PERFECT, Faults, as_faults
from wsharness.patterns import Matcher, describe, match_message, mismatch, understood
from wsharness.request import Request
from wsharness.runtime import Runtime

T = TypeVar("T")
M = TypeVar("M")
ANY: Any = Matcher.ANY
EXPECTED = frozenset([Message, Closed, Lost])


_EMPTY: deque[Message | Closed | Lost] = deque()  # never filled: an empty one takes 0.6 kB, and there are many clients


class Host(Protocol):
    """What clients need of the harness around them."""

    timeout: float
    crashes: dict[str, Any]
    """The connections on which the app raised."""
    links: dict[str, Faults]
    """What the run says of clients' links, by name."""

    @property
    def runtime(self) -> Runtime:
        """The event loop."""

    def open(self, client: "Client") -> Connection:
        """Start a connection for the client."""

    def linked(self, client: "Client", connection: Connection) -> Connection:
        """The client's connection, through its link from now on."""

    def app_error(self, client: "Client") -> BaseException | None:
        """The app's exception on this client's connection, if nobody has raised it yet."""

    def mark_raised(self, error: BaseException) -> None:
        """The app's exception is being raised in the test."""

    def unanswered(self, client: "Client", limit: float) -> None:
        """The handshake got no answer in time: raise what that means, if it is not the app's fault."""

    def answered_nothing(self, client: "Client") -> bool:
        """Whether the app's handler returned, and sent nothing."""

    def explain(self, client: "Client") -> str:
        """The transcript's tail, where the app is suspended, what others have: for an error's message."""

    def words(self) -> Words:
        """Says what came instead of what was expected."""

    def need_running(self, verb: str) -> None:
        """UsageError where the harness has ended, or another event loop runs."""


class _Over:
    """The host of clients whose run is over."""

    crashes: Mapping[str, Any] = {}
    links: Mapping[str, Faults] = {}

    def need_running(self, verb: str) -> None:
        raise has_ended(verb)


def has_ended(verb: str) -> UsageError:
    """The error for what comes too late."""
    return UsageError(
        f"the harness has ended; {verb} within the test, or inside its block: async with Harness(app) as ws"
    )


OVER: Any = _Over()


class Client:
    """One virtual user; its connections are opened by `connect` and `reconnect`.

    Every wait ends after `within` seconds (the harness's `timeout` by default), counted by the loop's clock.
    """

    __slots__ = (
        "__weakref__",
        "_changed",
        "_connection",
        "_host",
        "_inbox",
        "_left",
        "_runtime",
        "_stalled",
        "_waits_for",
        "accepted",
        "ended",
        "ignore",
        "name",
        "received",
        "request",
        "sent",
    )

    def __init__(self, name: str, host: Host, request: Request) -> None:
        self.name: str = name
        self.request: Request = request
        """What it asks for when it connects."""
        self.received: list[str | bytes] = []
        """Every message that came, whether it was expected or not."""
        self.sent: list[str | bytes] = []
        """Every message that was sent."""
        self.ignore: tuple[Any, ...] = ()
        """Messages that match one of these patterns are recorded, and never expected."""
        self.accepted: Accepted | None = None
        """The server's answer to the handshake."""
        self.ended: Closed | Lost | Rejected | None = None
        """How the connection ended, as far as the client has been told."""
        self._host = host
        self._inbox: deque[Message | Closed | Lost] = _EMPTY
        self._runtime = host.runtime
        self._changed = self._runtime.signal()
        self._connection: Connection | None = None
        self._left: str | None = None
        self._stalled = False
        self._waits_for: tuple[Any, str] | None = None  # a pattern, and the kind of message it is for

    def __repr__(self) -> str:
        return f"<Client {self.name!r} {self.state}>"

    @property
    def state(self) -> str:
        """One word: new, connecting, connected, rejected, closed, lost, left."""
        if self._connection is None:
            return "new"
        if self._left:
            return "left"
        if self.ended is not None:
            return {Rejected: "rejected", Closed: "closed", Lost: "lost"}[type(self.ended)]
        return "connected" if self.accepted else "connecting"

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol the server chose."""
        return self.accepted.subprotocol if self.accepted else None

    @property
    def unread(self) -> tuple[str | bytes, ...]:
        """Messages that came and nobody has expected yet."""
        return tuple(event.data for event in self._inbox if isinstance(event, Message))

    @property
    def connection(self) -> Connection:
        """The connection in use; UsageError before the first."""
        if self._connection is None:
            raise UsageError(f"client {self.name!r} has no connection; await its connect() first")
        return self._connection

    @property
    def link(self) -> Faults:
        """What the way to the server does; assign Faults, or a mapping, to change it, in mid-run too."""
        return self._host.links.get(self.name) or as_faults(self.request.link or PERFECT)

    @link.setter
    def link(self, faults: Faults | Mapping[str, Any]) -> None:
        self._host.links.pop(self.name, None)
        self.request.link = as_faults(faults)
        if self._connection is not None:
            self._connection = self._host.linked(self, self._connection)

    # Opening

    def begin(self, **overrides: Any) -> None:
        """Start a connection without waiting for the answer."""
        self._host.need_running("connect")
        if self._connection is not None:
            self._connection.on_event = _ignore  # what an old connection still says is nobody's business
        self._inbox = _EMPTY
        self.accepted = self.ended = self._left = None
        self._stalled = False
        if overrides:
            self.request = self.request.but(**overrides)  # and from now on
        self._connection = self._host.open(self)

    async def opened(self, within: float | None = None) -> "Client":
        """Wait for the handshake's answer; raise ConnectionRejected, ConnectionLost or the app's exception."""
        limit = self._limit(within, "timeout")
        self._host.need_running("connect")
        answered = await self._wait("the handshake's answer", self._answered, limit)
        if self.accepted is not None:
            if self.accepted.subprotocol is not None:
                await self._need_offered(self.accepted.subprotocol)
            return self
        self._raise_app_error()
        if isinstance(self.ended, Rejected):
            rejected = ConnectionRejected(self.ended)
            if self._host.answered_nothing(self):
                rejected.add_note("the app's handler returned before it sent websocket.accept or websocket.close")
            raise rejected
        if isinstance(self.ended, (Closed, Lost)):
            raise _ended_error(self.ended)
        assert not answered
        self._host.unanswered(self, limit)
        raise self._failed(f"the handshake was not answered within {limit:g} s")

    async def _need_offered(self, chosen: str) -> None:
        """Hang up, as every client does, where the server chose a subprotocol that was not offered (RFC 6455 4.1)."""
        offered = self.request.handshake().subprotocols
        if chosen not in offered:
            await self.drop()
            choice = " or ".join(map(repr, offered)) or "none"
            raise WebSocketError(
                f"the server chose the subprotocol {chosen!r}, which was not offered, and clients hang up then; "
                f"expected {choice}: choose from scope['subprotocols'] in the app, "
                f"or connect with subprotocols=[{chosen!r}]"
            )

    async def answered(self, within: float | None = None) -> bool:
        """Wait until the handshake is answered, whatever the answer; whether it was."""
        self._host.need_running("connect")
        return await self._wait("the handshake's answer", self._answered, self._limit(within, "timeout"))

    async def reconnect(self, *, within: float | None = None, **overrides: Any) -> "Client":
        """Open a new connection as `connect` did; keyword arguments of `connect` override what it was given."""
        if self._connection is not None and self.state == "connected":
            await self.close()
        self.begin(**overrides)
        return await self.opened(within)

    def _answered(self) -> bool:
        return self.accepted is not None or self.ended is not None

    def on_event(self, event: ClientEvent) -> None:
        """Take what the server sent; called by the connection."""
        kind = type(event)
        if kind is Accepted:
            self.accepted = event  # type: ignore[assignment]
        elif kind is Message:
            self.received.append(event.data)  # type: ignore[union-attr]
            if self.ignore and self._is_ignored(event.data):  # type: ignore[union-attr]
                return
        else:
            self.ended = event  # type: ignore[assignment]
        if kind in EXPECTED:
            if self._inbox is _EMPTY:
                self._inbox = deque()
            self._inbox.append(event)  # type: ignore[arg-type]
        self._changed.wake()

    def _is_ignored(self, data: str | bytes) -> bool:
        return any(match_message(pattern, data) is None for pattern in self.ignore)

    def let_go(self) -> None:
        """Keep what it heard and said, and hold nothing of a run that is over any more."""
        self._host = OVER
        if self._connection is not None:
            self._connection.let_go()

    def wake(self) -> None:
        """Look again: something about the app changed."""
        self._changed.wake()

    # Sending and leaving

    async def send(self, message: Any) -> None:
        """Send text or bytes verbatim, anything else as JSON (a pydantic model as its own JSON)."""
        kind = type(message)
        data = message if kind is str or kind is bytes else payload(message)
        self._need_open("send")
        self.sent.append(data)
        await self._connection.send(data)  # type: ignore[union-attr]  # it is open

    async def send_text(self, text: str) -> None:
        """Send a text message."""
        if not isinstance(text, str):
            raise UsageError(f"expected str; got {text!r}; use send_bytes or send_json")
        await self.send(text)

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise UsageError(f"expected bytes; got {data!r}; use send_text or send_json")
        await self.send(bytes(data))

    async def send_json(self, value: Any, mode: str = "text") -> None:
        """Send a value as JSON, in a text or (mode 'binary') a binary message."""
        if mode not in ("text", "binary"):
            raise UsageError(f"expected the mode 'text' or 'binary'; got {mode!r}")
        text = as_json(value, separators=(",", ":"), ensure_ascii=False)
        await self.send(text if mode == "text" else text.encode())

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Leave with a close frame; does nothing where the connection has ended."""
        if code != 1000 or reason != "":  # noqa: PLR2004 (what most close with)
            check_close(code, reason)
        if self.state == "connected":
            self._host.need_running("close")
            self._left = "closed"
            await self.connection.close(code, reason)

    async def drop(self, *, reset: bool = False) -> None:
        """Leave without a close frame: the app sees a lost connection (1006 on most servers)."""
        if self.state in ("connected", "connecting"):
            self._host.need_running("drop")
            self._left = "dropped"
            await self.connection.drop(reset=reset)

    def stall(self, *, full: bool = False) -> None:
        """Stop reading: what the server sends piles up until its sends block; `full`: its buffers are full already."""
        self._host.need_running("stall")
        self.connection.stall()
        self._stalled = True
        if full:
            self.connection.fill()

    def resume(self) -> None:
        """Go on reading."""
        self._host.need_running("resume")
        self._stalled = False
        self.connection.resume()

    # Expecting

    @overload
    async def expect(
        self, pattern: type[M], *, where: Callable[[M], Any] | None = None, within: float | None = None
    ) -> M: ...

    @overload
    async def expect(
        self, pattern: Any = ANY, *, where: Callable[[Any], Any] | None = None, within: float | None = None
    ) -> Any: ...

    async def expect(
        self, pattern: Any = ANY, *, where: Callable[[Any], Any] | None = None, within: float | None = None
    ) -> Any:
        """Take the next message, which must match; return it decoded: JSON where it parses, else text or bytes.

        A pydantic model (dataclass, TypedDict, `list[Model]`) as the pattern returns an instance; `where` is
        called with what would be returned, and must accept it.
        """
        if where is not None:
            pattern = checked_where(pattern, where)
        event = await self._next(within, pattern)
        data = event.data if type(event) is Message else self._message(event, pattern).data
        kind = type(pattern)
        if kind is str and pattern == data:
            return decode(data)  # decided without looking further, and so is most that is sent as text
        if (kind is dict or kind is list) and type(data) is str:
            value = decode(data)  # once, for what is compared is what is returned
            if mismatch(pattern, value) is not None:
                raise self._unlike(pattern, data)
            return value
        if pattern is not ANY and match_message(pattern, data) is not None:
            raise self._unlike(pattern, data)
        return understood(pattern, decode(data))

    async def expect_text(self, pattern: Any = ANY, *, within: float | None = None) -> str:
        """Take the next message, which must be text and match; return it as it came."""
        return await self._expect_kind(str, pattern, within)

    async def expect_bytes(self, pattern: Any = ANY, *, within: float | None = None) -> bytes:
        """Take the next message, which must be binary and match; return it as it came."""
        return await self._expect_kind(bytes, pattern, within)

    async def expect_json(self, pattern: Any = ANY, *, within: float | None = None) -> Any:
        """Take the next message, which must be JSON and match; return it decoded."""
        event = self._message(await self._next(within, pattern, "JSON"), pattern, "JSON")
        try:
            value = json.loads(event.data)
        except (ValueError, RecursionError) as error:
            raise self._failed(f"expected JSON; got {self._host.words().message(event.data)}\n  {error}") from None
        if pattern is not ANY and mismatch(pattern, value) is not None:
            raise self._unlike(pattern, event.data)
        return understood(pattern, value)

    async def _expect_kind(self, kind: type[T], pattern: Any, within: float | None) -> T:
        wanted = f"a {kind.__name__} message"
        event = self._message(await self._next(within, pattern, wanted), pattern, wanted)
        if not isinstance(event.data, kind):
            got = self._host.words().message(event.data)
            raise self._failed(f"expected {wanted}; got {got}")
        if pattern is not ANY and match_message(pattern, event.data) is not None:
            raise self._unlike(pattern, event.data)
        return event.data

    async def wait_for(
        self, pattern: Any = ANY, *, where: Callable[[Any], Any] | None = None, within: float | None = None
    ) -> Any:
        """Skip messages until one matches, and return it as `expect` does."""
        if where is not None:
            pattern = checked_where(pattern, where)
        limit = left = self._limit(within)
        deadline = self._host.runtime.time() + limit
        skipped: list[str | bytes] = []

        def came() -> str:
            return self._host.words().skipped(pattern, skipped) if skipped else ""

        while True:
            event = self._message(await self._next(left, pattern, came=came, shown=limit), pattern)
            if match_message(pattern, event.data) is None:
                return understood(pattern, decode(event.data))
            skipped.append(event.data)
            left = max(0.0, deadline - self._host.runtime.time())

    async def expect_none(self, within: float = 0.2) -> None:
        """Expect that no message comes for so long."""
        limit = self._limit(within)
        self._host.need_running("expect_none")
        if not self._inbox:
            if self.state in ("new", "connecting", "rejected"):
                self._need_open("expect_none")
            await self._wait("silence", lambda: self._inbox, limit)
        self._raise_app_error()
        if self._inbox and isinstance(self._inbox[0], Message):
            got = self._host.words().message(self._inbox[0].data)
            raise self._failed(f"expected no message for {limit:g} s; got {got}")

    async def expect_close(self, code: Any = ANY, reason: Any = ANY, *, within: float | None = None) -> Closed | Lost:
        """Expect that the server ends the connection; `code` 1006 expects that it is lost."""
        if isinstance(code, str):
            raise UsageError(f"expected a close code, such as 1000; got {code!r}; write expect_close(reason={code!r})")
        wanted = "a close" if code is ANY else f"a close with {_describe_code(code)}"
        event = await self._next(within, ANY, wanted)
        if isinstance(event, Message):
            raise self._failed(f"expected {wanted}; got the message {self._host.words().message(event.data)}")
        got = f"{describe_code(event.code)} {getattr(event, 'reason', '')!r}"
        for pattern, value in ((code, event.code), (reason, getattr(event, "reason", ""))):
            if pattern is not ANY and mismatch(pattern, value) is not None:
                raise self._failed(f"expected {wanted}{_reason(reason)}; got {got}")
        return event

    async def next_event(self, within: float | None = None) -> Message | Closed | Lost:
        """Take what comes next: a message as it came, or how the server ended the connection."""
        return await self._next(within, ANY, "a message or a close")

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield decoded messages until the server ends the connection or none comes in time."""
        while True:
            event = await self._next(None, ANY)
            if not isinstance(event, Message):
                return
            yield decode(event.data)

    # Waiting

    async def _next(
        self,
        within: float | None,
        pattern: Any,
        kind: str = "",
        *,
        came: Callable[[], str] | None = None,
        shown: float | None = None,
    ) -> Message | Closed | Lost:
        """Take the next message, or the end of the connection; `came` and `shown` are for the error's message."""
        if self._left is not None:
            self._host.need_running("expect")
        if self._inbox:
            return self._inbox.popleft()
        self._raise_app_error()
        self._need_open("expect")
        limit = self._limit(within)
        if self._waits_for is not None:
            raise self._waits_already()
        self._waits_for = pattern, kind
        try:
            await self._changed.wait_until(self._something, limit)
        finally:
            self._waits_for = None
        if self._inbox:
            return self._inbox.popleft()
        self._raise_app_error()
        skipped = came() if came is not None else ""
        nothing = f"no other message came {skipped}" if skipped else "no message came"
        nothing += "; it has not read since stall(): resume() first" if self._stalled else ""
        shown = limit if shown is None else shown
        raise self._failed(f"expected {self._expected(pattern, kind)} within {round(shown, 3):g} s; {nothing}")

    def _message(self, event: Message | Closed | Lost, pattern: Any, kind: str = "") -> Message:
        """The event if it is a message; an end of the connection goes back to where it was and is raised."""
        if isinstance(event, Message):
            return event
        self._inbox.appendleft(event)
        self._raise_app_error()
        error = _ended_error(event)
        if self._left:
            error.add_note(f"client {self.name!r} itself has {self._left}; expect before that, or reconnect()")
        error.add_note(f"expected {self._expected(pattern, kind)}\n{self._host.explain(self)}")
        raise error

    async def _wait(self, what: str, ready: Callable[[], object], limit: float) -> bool:
        if self._waits_for is not None:
            raise self._waits_already()
        self._waits_for = ANY, what
        try:
            return await self._changed.wait_until(ready, limit)
        finally:
            self._waits_for = None

    def _waits_already(self) -> UsageError:
        assert self._waits_for is not None
        return UsageError(
            f"client {self.name!r} already waits for {self._expected(*self._waits_for)}; "
            "one client waits for one thing at a time: await the first wait, or use a second client"
        )

    def _expected(self, pattern: Any, kind: str = "") -> str:
        if pattern is ANY:
            return kind or "a message"
        return self._host.words().expected(pattern)

    def _unlike(self, pattern: Any, data: str | bytes) -> ExpectationError:
        words = self._host.words()
        sentence = f"expected {words.expected(pattern)}; got {words.message(data)}"
        return self._failed(f"{sentence}{words.unlike(pattern, data)}")

    def _limit(self, within: Any, name: str = "within") -> float:
        return self._host.timeout if within is None else seconds(within, name)

    def _something(self) -> bool:
        return bool(self._inbox) or (bool(self._host.crashes) and self._host.app_error(self) is not None)

    def _raise_app_error(self) -> None:
        error = self._host.app_error(self) if self._host.crashes else None
        if error is not None:
            self._host.mark_raised(error)
            raise error

    def _need_open(self, verb: str) -> None:
        is_open = self.accepted is not None and self.ended is None and self._left is None
        if is_open and self._runtime.is_current():
            return  # no client is open once the harness has ended
        self._host.need_running(verb)
        if self._connection is None:
            raise UsageError(f"client {self.name!r} has no connection; await its connect() before {verb}")
        if self._left:
            raise WebSocketError(f"client {self.name!r} has {self._left}; reconnect() it before {verb}")
        if self.ended is None:
            raise UsageError(f"client {self.name!r} still connects; await opened() before {verb}")
        self._raise_app_error()
        error = _ended_error(self.ended)
        error.add_note(f"client {self.name!r} is {self.state}; reconnect() it before {verb}")
        raise error

    def _failed(self, sentence: str) -> ExpectationError:
        return ExpectationError(f"{self.name}: {sentence}\n{self._host.explain(self)}")


def decode(data: str | bytes) -> Any:
    """What text says, JSON where it parses as JSON; a binary message as it came."""
    return patterns.decode(data) if isinstance(data, str) and data[:1] in patterns.BEGINS_JSON else data


def _ignore(_: ClientEvent) -> None:
    pass


def _describe_code(code: Any) -> str:
    return describe_code(code) if isinstance(code, int) else describe(code)


def _reason(reason: Any) -> str:
    return "" if reason is ANY else f" and the reason {describe(reason)}"


def _ended_error(event: Closed | Lost | Rejected) -> WebSocketError:
    if isinstance(event, Rejected):
        return ConnectionRejected(event)
    return ConnectionClosed(event) if isinstance(event, Closed) else ConnectionLost(event)

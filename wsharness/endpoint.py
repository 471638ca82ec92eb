"""What a simulated server's connection stands on: its state, what it tells the app, what it shows the client."""

import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Protocol, TypeAlias

from wsharness.asgi import ASGIEvent
from wsharness.events import Accepted, ClientEvent, CloseCode, Closed, Headers, Lost, Message, Rejected
from wsharness.frames import Act, CloseFrame, End, WireEvent
from wsharness.profiles import Profile, State
from wsharness.shapes import Shape, message_shape
from wsharness.transcript import Dropped


class Timer(Protocol):
    """A planned call."""

    def cancel(self) -> None:
        """Forget the call."""


Deliver: TypeAlias = Callable[[ClientEvent | WireEvent], object]
Later: TypeAlias = Callable[[float, Callable[[], object]], Timer]
_RESUMES_BELOW = {"until a message": 1, "in receive": 0}  # events in the inbox; else what is read ahead


NO_ACTS: deque[Act] = deque()  # never filled: an empty deque takes 0.6 kB, and most connections need none
_NO_EVENTS: deque[ClientEvent | WireEvent] = deque()


class ClientDisconnected(OSError):
    """The app sent to a client that is gone."""

    client: str | None = None
    """Whose connection it was."""


class UnexpectedMessageError(RuntimeError):
    """The app sent an ASGI event that its connection's state does not allow."""


@lru_cache
def _measures(profile: Profile) -> tuple[Shape, float, int, bool]:
    """What follows from a profile for each connection: its messages, what may be too large, when it reads."""
    large = math.inf if profile.max_size is None else profile.max_size // 4
    resumes_below = _RESUMES_BELOW.get(profile.reads, profile.read_ahead or 0)
    return message_shape(profile), large, resumes_below, profile.reads != "in receive"


def nothing() -> None:
    """Do nothing."""


class Endpoint(ABC):
    """One connection on a server that behaves as `profile` says: what its parts share."""

    __slots__ = (
        "_again",
        "_answer",
        "_close_due",
        "_close_timer",
        "_dead_writes",
        "_end_shown",
        "_half_closed",
        "_handshake_timer",
        "_is_reading",
        "_kill_timer",
        "_large",
        "_later",
        "_message_of",
        "_opened",
        "_own_close",
        "_paused_at",
        "_pending",
        "_ping_timer",
        "_pong_timer",
        "_quiet",
        "_reply_due",
        "_response",
        "_resumes_below",
        "_room",
        "_running",
        "_spoils",
        "_stalled",
        "_unread",
        "_wire",
        "cancel_app",
        "client_gone",
        "deliver",
        "inbox",
        "keepalive",
        "now",
        "offered",
        "profile",
        "receiving",
        "state",
        "tcp_open",
        "wake",
        "writable",
    )
    _close_timer: Timer | None
    _kill_timer: Timer | None
    _ping_timer: Timer | None
    _pong_timer: Timer | None
    _handshake_timer: Timer | None

    def __init__(
        self,
        profile: Profile,
        deliver: Deliver,
        now: Callable[[], float],
        later: Later,
        offered: tuple[str, ...] = (),
    ) -> None:
        self.profile: Profile = profile
        self.deliver: Deliver = deliver
        self.now: Callable[[], float] = now
        self._later = later
        self.offered: tuple[str, ...] = offered  # subprotocols
        self.wake: Callable[[], object] = nothing
        """Called when the app may have something to do: an event came, or it may send again."""
        self.cancel_app: Callable[[], object] = nothing
        """Called when this server would cancel the app."""
        self.state: State = State.HANDSHAKE
        self.inbox: deque[ASGIEvent] = deque(({"type": "websocket.connect"},))
        """What `receive` yields next."""
        self.writable: bool = True
        """Whether a send may go ahead."""
        self.receiving: int = 0
        """How many of the app's `receive` calls wait."""
        self.client_gone: bool = False
        """The client's end is closed: nothing reaches it."""
        self.tcp_open: bool = True
        self.keepalive: bool = False
        """Pings are sent: for a client that can miss them."""
        self._wire: deque[Act] = NO_ACTS  # what the client did that the server has not read yet
        self._message_of, self._large, self._resumes_below, self._is_reading = _measures(profile)
        self._spoils = profile.bad_segment != "handled so far"
        self._paused_at, self._room = 0.0, 0
        self._stalled = self._half_closed = self._quiet = False
        self._pending: deque[ClientEvent | WireEvent] = _NO_EVENTS  # what a stalled client has not read yet
        self._unread = 0
        self._dead_writes = 0
        self._end_shown = False  # the client has seen a close frame or a rejection
        self._running = True
        self._again: int | None = None
        self._response: tuple[int, Headers, bytes] | None = None
        self._answer: Callable[[], None] | None = None
        self._reply_due: CloseFrame | None = None
        self._close_due: CloseFrame | None = None  # for a failed connection, when the app ends without a close
        self._own_close: tuple[int, str] = (CloseCode.NORMAL_CLOSURE, "")
        self._opened = now()
        self._close_timer = self._kill_timer = self._ping_timer = self._pong_timer = self._handshake_timer = None
        if profile.handshake_timeout is not None:
            timeout = profile.handshake_timeout - profile.timer_lead
            self._handshake_timer = later(timeout, self._give_up_handshake)

    @abstractmethod
    def _opened_now(self) -> None:
        """The handshake was accepted."""

    @abstractmethod
    def _give_up_handshake(self) -> None:
        """The app has not answered in time."""

    @abstractmethod
    def _read(self) -> None:
        """Read what the client did."""

    @abstractmethod
    def _write_fails(self) -> None:
        """A write found the connection reset."""

    # Telling the app

    def _tell(self, code: int | None, reason: str | None = None) -> None:
        event: dict[str, Any] = {"type": "websocket.disconnect", "code": code}
        if reason is not None:
            event["reason"] = reason
        self.inbox.append(event)
        self.wake()

    # Showing the client

    def _emit_close(self, frame: CloseFrame) -> None:
        self._end_shown = True
        self._emit(frame)
        code = CloseCode.NO_STATUS_RECEIVED if frame.code is None else frame.code
        self._emit(Closed(code, frame.reason))

    def _emit(self, event: ClientEvent | WireEvent) -> None:
        if self._quiet:
            self._hold(event)
        else:
            self.deliver(event)

    def _hold(self, event: ClientEvent | WireEvent) -> None:
        if self.client_gone:
            self._write_to_the_dead(event)
        elif isinstance(event, (Accepted, Rejected)):
            self.deliver(event)
        else:
            if self._pending is _NO_EVENTS:
                self._pending = deque()
            self._pending.append(event)
            if isinstance(event, Message):
                self._unread += len(event.data)
                limit = self.profile.write_limit
                self.writable = limit is None or self._unread <= limit

    def _write_to_the_dead(self, event: ClientEvent | WireEvent) -> None:
        """The second write after a FIN fails, or the first after a reset: the first FIN's write asks for one."""
        drop = next((act for act in self._wire if isinstance(act, Dropped)), None)
        if drop is None or not isinstance(event, Message) or self.profile.reads == "in receive":
            return
        self._dead_writes += 1
        if self._dead_writes > (0 if drop.reset else 1):
            self._later(0, self._write_fails)

    def _let_write(self) -> None:
        if not self.writable and self._answer is None and self.state is not State.STUCK:
            self.writable = True
            self.wake()

    def _end_tcp(self) -> None:
        if self.tcp_open:
            self.tcp_open = False
            if not self._end_shown:
                self._emit(Lost())
            self._emit(End())

    def _end_lost(self) -> None:
        """The client's end of the TCP connection is closed: so is the server's, unless it waits for the app."""
        if not (self._half_closed and self.profile.half_close_held and self._running):
            self._end_tcp()

    # Timers

    def _cancel(self, name: str) -> None:
        timer: Timer | None = getattr(self, name)
        if timer is not None:
            timer.cancel()
            setattr(self, name, None)

    def _until_poll(self, after: float = 0.0) -> float:
        poll = self.profile.poll
        return 0.0 if poll is None else poll - (self.now() + after - self._opened - self.profile.poll_offset) % poll

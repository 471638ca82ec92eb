"""SimulatedServer: the state machine between an app's ASGI events and what a client sees.

Pure: it holds no task, no clock and no socket. Its shell calls it from both sides, takes what it delivers, is told
when the app has something to look at (`wake`), and lends it a timer (`later`).
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from wsharness.answering import UNANSWERED
from wsharness.asgi import ASGIEvent
from wsharness.closing import Closing
from wsharness.endpoint import NO_ACTS, ClientDisconnected, UnexpectedMessageError
from wsharness.events import CloseCode, Rejected
from wsharness.frames import Act, CloseFrame, Ping, Pong, Violation, Whole, spoiled
from wsharness.profiles import State
from wsharness.scope import Handshake
from wsharness.transcript import Dropped, Leave, Sent

__all__ = ["ClientDisconnected", "Handshake", "SimulatedServer", "State", "UnexpectedMessageError"]

UNREFUSED = (State.HANDSHAKE, State.RESPONSE, State.ABANDONED)
_LOOKED_AT = {"to send": (State.FAILED,), "until the client is gone": (State.CLOSING,), "always": ()}
OPEN = State.OPEN  # an enum's own lookup is slow
SEGMENT = 0.001  # seconds: what arrives within them, a server reads at once
SEGMENT_SIZE = 256 * 1024  # bytes: asyncio's largest read
LAG = 0.001  # seconds by which a server's own timers are late
KINDS = {
    "websocket.accept": "accept",
    "websocket.send": "send",
    "websocket.close": "close",
    "websocket.http.response.start": "start",
    "websocket.http.response.body": "body",
}
PLAIN_KINDS = KINDS | {"http.response.start": "start", "http.response.body": "body"}


class SimulatedServer(Closing):
    """One connection on a server that behaves as `profile` says."""

    __slots__ = ()

    state: State
    writable: bool
    client_gone: bool
    receiving: int

    # The client's side

    def client_sends(self, data: str | bytes) -> None:
        """A whole message arrives."""
        if self._is_reading and self.state is OPEN and not self._wire:
            self._take_message(data, len(data))
        else:
            self.client_acts(Sent(data))

    def client_drops(self, *, reset: bool = False, half: bool = False) -> None:
        """The connection ends without a close frame; `half`: the client goes on reading."""
        self._half_closed = half
        self.client_gone = self._quiet = not half
        if not half:
            self._pending.clear()
            self._unread = 0
        self.client_acts(Dropped(reset))
        if not self.writable and self.client_gone:
            self._write_fails()

    def client_acts(self, *acts: Act) -> None:
        """Acts arrive in one segment."""
        if not self.tcp_open:
            return
        if self._is_reading and not self._wire and len(acts) == 1:
            [act] = acts
            _TAKES[type(act)](self, act)
            return
        if self._wire is NO_ACTS:
            self._wire = deque()
        self._wire.extend(acts)
        if self._is_reading or self.receiving or self._is_same_segment():
            self._read()

    def client_reads(self, *, on: bool) -> None:
        """The client stops or goes on reading."""
        self._stalled = not on
        self._quiet = self._stalled or self.client_gone
        while self._pending and not self._stalled:
            self.deliver(self._pending.popleft())
        if on:
            self._unread = 0
            self._let_write()

    def fill(self) -> None:
        """What was sent to the client so far fills all buffers on its way."""
        self._unread = max(self._unread, self.profile.write_limit or 0)

    @property
    def unread_bytes(self) -> int:
        """Bytes of messages that the server has not read from its socket."""
        return sum(len(act.data) for act in self._wire if isinstance(act, Sent))

    @property
    def is_over(self) -> bool:
        """Whether nothing can reach the client any more, nor the app anything but its disconnect."""
        return not (self.tcp_open or self._wire or self._pending)

    # Reading

    def _read(self) -> None:
        if self._spoils and self._wire and self._may_read(self._wire[0]):
            self._wire = spoiled(self._wire, messages=self.profile.bad_segment == "messages lost")
        while self._wire and self.tcp_open and self._may_read(self._wire[0]):
            act = self._wire.popleft()
            _TAKES[type(act)](self, act)

    def _is_same_segment(self) -> bool:
        return self._room > 0 and self.now() - self._paused_at < SEGMENT

    def _may_read(self, act: Act) -> bool:
        mode = self.profile.reads
        if mode == "in receive":
            return self.state not in UNANSWERED and self.receiving > 0 and not self.inbox
        in_segment = mode == "until a message" and type(act) is not Dropped  # which ends what is read at once
        return self._is_reading or in_segment

    def _pause(self, size: int) -> None:
        """Stop reading where the app has enough to read."""
        profile = self.profile
        if profile.reads == "until a message":
            if self._is_reading:
                self._paused_at, self._room = self.now(), SEGMENT_SIZE
            self._is_reading = self.state is not State.OPEN
            self._room -= size
        elif profile.read_ahead is not None and len(self.inbox) >= profile.read_ahead:
            self._is_reading = False

    def _write_fails(self) -> None:
        """A write found the connection reset: what was not read from the socket is lost."""
        self._wire.clear()
        self._is_reading = self.profile.reads != "in receive"
        self.writable = True
        self.wake()
        self.client_acts(Dropped(reset=True))

    def _take_sent(self, act: Sent) -> None:
        self._take_message(act.data, len(act.data))

    def _take_whole(self, act: Whole) -> None:
        self._take_message(act.data, act.largest)

    def _take_message(self, data: str | bytes, largest: int) -> None:
        profile = self.profile
        if self.state is not OPEN and not self._reads_on():
            return
        if largest > self._large and self._is_too_big(data, largest):
            self._fail_size()
            return
        kind, other = ("text", "bytes") if isinstance(data, str) else ("bytes", "text")
        event: dict[str, Any] = {"type": "websocket.receive", kind: data}
        if profile.both_keys:
            event[other] = None
        self.inbox.append(event)
        self._pause(len(data))
        self.wake()

    def _reads_on(self) -> bool:
        """Whether messages still reach the app after its close."""
        after = self.profile.data_after_close
        to_app = after == "yes" or (after == "to a waiting receive" and self.receiving > 0)
        return self.state is State.STUCK or (self.state is State.CLOSING and to_app)

    def _is_too_big(self, data: str | bytes, largest: int) -> bool:
        unit, limit = self.profile.size_unit, self.profile.max_size or 0
        if unit == "bytes of a frame":
            return largest > limit
        if unit == "characters" or isinstance(data, bytes) or len(data) > limit:
            return len(data) > limit
        return 4 * len(data) > limit and len(data.encode()) > limit

    def _take_ping(self, ping: Ping) -> None:
        if self.state is OPEN or (self.state is State.CLOSING and self.profile.pongs_while_closing):
            self._emit(Pong(ping.data))

    def _take_pong(self, _: Pong) -> None:
        if self._pong_timer is not None:
            self._cancel("_pong_timer")
            self._plan_ping()

    # The app's side

    def write_due(self) -> None:
        """The app calls `receive` again: a reply that waited for it is written."""
        if self._reply_due is not None:
            self._flush()

    def begin_receive(self) -> None:
        """The app waits in `receive`."""
        if self.receiving and self.profile.concurrent_receive == "raises":
            raise RuntimeError("receive was called while another task waits in it")
        self.receiving += 1
        if self._wire or self._reply_due is not None:
            self._flush()
            self._read()

    def end_receive(self) -> None:
        """The app waits no longer."""
        self.receiving -= 1
        if self.profile.close_while_receiving == "waits":
            self.wake()

    def receive(self) -> ASGIEvent:
        """Take the app's next event."""
        event = self.inbox.popleft()
        if not self._is_reading and len(self.inbox) < self._resumes_below:
            self._is_reading = True
            if self._wire:
                self._later(0, self._read)
        if event["type"] == "websocket.disconnect":
            self._repeat_disconnect()
        return event

    def _repeat_disconnect(self) -> None:
        if self._again is not None and not self.inbox:
            self._tell(self._again)
        if self.state is State.GONE and self.profile.marks_seen:
            self.state = State.SEEN

    def send(self, event: ASGIEvent) -> None:
        """Do what the app's event says; raises what this server raises."""
        if self.state is OPEN and self._reply_due is None and event.get("type") == "websocket.send":
            message = self._message_of(event)
            if message is not None:
                (self._hold if self._quiet else self.deliver)(message)
            return
        kind = (PLAIN_KINDS if self.profile.plain_http_types else KINDS).get(event.get("type", ""), "other")
        kind = kind if "type" in event else "untyped"
        outcome = self.profile.sends[self.state][kind]
        if outcome == "does":
            _DOES[kind](self, event)
        elif outcome == "OSError":
            raise ClientDisconnected
        elif outcome == "fails":
            self._fail_at(kind, event)
        elif outcome == "nothing":
            self._look_at(kind, event)
            self._end_reading(kind, event)
        elif outcome == "raises" or self._message_of(event) is not None:
            raise UnexpectedMessageError(f"unexpected ASGI event {event.get('type')!r} {self.state.value}")

    def _fail_at(self, kind: str, event: ASGIEvent) -> None:
        if kind == "close":
            self._close_too_late(event)
        elif self._message_of(event) is None:
            return
        raise ClientDisconnected

    def _look_at(self, kind: str, event: ASGIEvent) -> None:
        """What a server looks at before it finds that there is nothing to do, and what that raises."""
        looks = self.profile.looks
        if kind == "body" and self.profile.denial_body.endswith("required"):
            _ = event["body"]
        elif kind == "start" and self.profile.denial_headers == "required at start":
            _ = event["headers"]
            if self._response is not None:
                raise UnexpectedMessageError("expected one http.response.start")
        elif looks == "always" or self.state in _LOOKED_AT[looks]:
            if kind == "send":
                self._message_of(event)
            elif kind == "close":
                self._check_close(event.get("code", 1000), event.get("reason") or "")

    def _end_reading(self, kind: str, event: ASGIEvent) -> None:
        """Write what a server that reads in `receive` writes with the app's next event."""
        self._flush()
        if kind == "close" and self._close_due is not None:
            self._emit_last(self._own_frame(event.get("code", 1000), event.get("reason") or ""))

    def holds_back(self, event: ASGIEvent) -> bool:
        """Whether the app's send of an event waits."""
        if self.state is State.STUCK and event.get("type") not in ("websocket.send", "websocket.close"):
            return False
        return not self.writable

    def _send_message(self, event: ASGIEvent) -> None:
        message = self._message_of(event)
        if message is not None:
            self._emit(message)

    def ended(self, error: BaseException | None) -> None:
        """The app returned, or raised `error`."""
        self._running = False
        if self._kill_timer is not None:
            self._cancel("_kill_timer")
        self._give_pending()
        self._flush()
        if self._close_due is not None:
            self._emit_last(self._close_due)
        if self.state in UNANSWERED:
            self._end_unanswered(error)
        elif self.state is State.OPEN:
            self._end_open(error)
        elif self._half_closed and self.profile.half_close_held:
            self._end_tcp()
        elif self.state in (State.BROKEN, State.STUCK) or self._is_closing_without_timer():
            self._end_unless_open()

    # Keepalive and shutdown

    def _opened_now(self) -> None:
        if self.keepalive and self.profile.ping_interval is not None:
            if self.profile.ping_first:
                self._later(0, lambda: self._emit(Ping()))
            self._plan_ping()
        if self._wire:
            self.client_acts()

    def _plan_ping(self) -> None:
        profile = self.profile
        assert profile.ping_interval is not None
        delay = profile.ping_interval + LAG
        if profile.ping_poll is not None:
            delay = max(delay, profile.ping_poll)
        self._ping_timer = self._later(delay, self._send_ping)

    def _send_ping(self) -> None:
        profile = self.profile
        self._ping_timer = None
        if self.state is not State.OPEN:
            return
        self._emit(Ping())
        if profile.ping_timeout is None:
            self._plan_ping()
        else:
            self._pong_timer = self._later(profile.ping_timeout - profile.timer_lead, self._fail_keepalive)

    def _fail_keepalive(self) -> None:
        self._pong_timer = None
        if self.state is State.OPEN:
            lost = self.profile.ping_failure == "lost"
            self._fail(None if lost else CloseFrame(CloseCode.INTERNAL_ERROR, "keepalive ping timeout"), None)

    def shut_down(self) -> None:
        """The server process is told to stop."""
        self._later(self.profile.shutdown_after, self._shut_down)

    def _shut_down(self) -> None:
        mode, _, cancelled = self.profile.shutdown.partition(", ")
        if cancelled and self._running:
            if mode == "lost":
                self._end_tcp()
                self.state = State.GONE
            self.cancel_app()
        elif self.state in UNANSWERED:
            self._reject(Rejected(500), State.REFUSED, (self.profile.early_loss_code,))
        elif self.state is State.OPEN and mode == "1012":
            self._tell(CloseCode.SERVICE_RESTART)
            self._emit_close(CloseFrame(CloseCode.SERVICE_RESTART))
            self._leave()
        elif self.state in (State.OPEN, State.CLOSING):
            self._take_dropped(Dropped(reset=False))


_TAKES: dict[type, Callable[[SimulatedServer, Any], None]] = {
    Sent: SimulatedServer._take_sent,  # noqa: SLF001 (the class's own table)
    Whole: SimulatedServer._take_whole,  # noqa: SLF001
    Leave: SimulatedServer._take_leave,  # noqa: SLF001
    Dropped: SimulatedServer._take_dropped,  # noqa: SLF001
    Ping: SimulatedServer._take_ping,  # noqa: SLF001
    Pong: SimulatedServer._take_pong,  # noqa: SLF001
    Violation: SimulatedServer._take_violation,  # noqa: SLF001
}
_DOES: dict[str, Callable[[SimulatedServer, ASGIEvent], None]] = {
    "accept": SimulatedServer._accept,  # noqa: SLF001
    "send": SimulatedServer._send_message,  # noqa: SLF001
    "close": lambda server, event: (
        server._refuse(event) if server.state in UNREFUSED else server._send_close(event)  # noqa: SLF001
    ),
    "start": SimulatedServer._start,  # noqa: SLF001
    "body": SimulatedServer._body,  # noqa: SLF001
}


class Nowhere:
    """What a client's acts reach once its connection is over: nothing."""

    state = State.CLOSED
    tcp_open = False
    client_gone = True
    unread_bytes = 0
    is_over = True

    def client_sends(self, data: str | bytes) -> None:
        """Go nowhere."""

    def client_acts(self, *acts: Act) -> None:
        """Go nowhere."""

    def client_drops(self, *, reset: bool = False, half: bool = False) -> None:
        """There is nothing to end."""

    def client_reads(self, *, on: bool) -> None:
        """There is nothing to read."""

    def fill(self) -> None:
        """There is no buffer."""

    def shut_down(self) -> None:
        """The server had forgotten it."""


NOWHERE: Nowhere = Nowhere()

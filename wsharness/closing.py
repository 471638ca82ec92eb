"""How an open connection ends: the app closes, the client leaves, or the server fails it."""

import struct
from collections.abc import Callable
from typing import Any

from wsharness.answering import UNANSWERED, Answering
from wsharness.asgi import ASGIEvent
from wsharness.endpoint import UnexpectedMessageError
from wsharness.events import CloseCode, is_sendable
from wsharness.frames import CloseFrame, Violation
from wsharness.profiles import State
from wsharness.transcript import Dropped, Leave

MAX_REASON = 123  # bytes: RFC 6455 section 5.5, less two for the code


class Closing(Answering):
    """A connection from its first close, loss or failure on."""

    __slots__ = ()

    state: State
    writable: bool

    # The client leaves

    def _take_leave(self, leave: Leave) -> None:
        if leave.code in self.profile.unknown_close_codes:
            self._take_violation(Violation(CloseCode.PROTOCOL_ERROR, "invalid close code", close_code=True))
        elif self.state is State.CLOSING:
            self._closed_by_client(self.profile.told_no_code if leave.code is None else leave.code, leave.reason)
        elif self.state is State.STUCK:
            self._tell_leave(leave)
            self._leave()
        elif self.state is State.OPEN:
            self._tell_leave(leave)
            frame = CloseFrame(leave.code, leave.reason) if self.profile.echo == "same" else CloseFrame(1000)
            if self.profile.reads == "in receive":
                self._reply_due = frame  # written with the next thing the app does
                self._gone()
            else:
                self._emit_close(frame)
                self._leave()

    def _tell_leave(self, leave: Leave) -> None:
        profile = self.profile
        code: int | None = leave.code if profile.told_code == "sent" else CloseCode.ABNORMAL_CLOSURE
        if leave.code is None:
            code = profile.told_no_code
        if profile.told_reason:
            self._tell(code, leave.reason)
        else:
            self._tell(code)

    def _take_dropped(self, _: Dropped) -> None:
        profile = self.profile
        if self.state in (State.OPEN, State.STUCK):
            if profile.lost_code is not None:
                self._tell(profile.lost_code, "" if profile.lost_reason else None)
            self._end_lost()
            self._gone()
        elif self.state is State.CLOSING:
            self._closed_by_client(CloseCode.ABNORMAL_CLOSURE)
        elif self.state in (State.REFUSED, State.DENIED) and profile.refused_gone is not None:
            self._tell(profile.refused_gone)
            self.state = State.CLOSED
        elif self.state in UNANSWERED or self.state is State.BROKEN:
            self._abandon()

    def _leave(self, window: State = State.LEAVING) -> None:
        """The TCP connection ends; where the server learns of it a turn later, `window` lasts until then."""
        self._end_tcp()
        if self.profile.end_turn:
            self.state = window
            self._later(0, self._gone)
        else:
            self._gone()

    def _gone(self) -> None:
        profile = self.profile
        self.state = State.CLOSED if self.state is State.CLOSING else State.GONE
        if profile.end_code is not None:
            self._tell(profile.end_code)
        self._again = profile.again
        self.writable = True
        if self._close_timer is not None or self._ping_timer is not None or self._pong_timer is not None:
            for timer in ("_close_timer", "_ping_timer", "_pong_timer"):
                self._cancel(timer)
        if profile.kills_after is not None and self._running:
            self._kill_timer = self._later(profile.kills_after + self._until_poll(profile.kills_after), self._kill)
        self.wake()

    def _kill(self) -> None:
        self._kill_timer = None
        self.cancel_app()

    def _flush(self) -> None:
        """Write the reply to the client's close frame, if one is due."""
        frame, self._reply_due = self._reply_due, None
        if frame is not None:
            self._emit_last(frame)

    def _emit_last(self, frame: CloseFrame) -> None:
        self._close_due = None
        self._emit_close(frame)
        self._end_tcp()

    # The server fails the connection

    def _take_violation(self, act: Violation) -> None:
        mode = self.profile.violation
        if self.state is State.CLOSING:
            self._break_reply(act)
        elif self.state is State.STUCK:
            self._fail(None, None)
        if self.state is not State.OPEN:
            return
        if mode == "empty close" and act.close_code:
            self._tell(act.code)
            self._reply_due = CloseFrame(act.code)
            self._gone()
        elif mode in ("close told", "close"):
            self._fail(CloseFrame(act.code, act.reason), act if mode == "close told" else None)
        else:
            self._fail(None if mode != "empty close" else CloseFrame(None), act if mode == "lost told" else None)

    def _break_reply(self, act: Violation) -> None:
        """A protocol error instead of the reply to the app's close."""
        if self.profile.bad_segment == "messages lost":
            if act.in_message:
                return  # no message is looked at any more
            self._tell(*self._own_close)
        self._closed_by_client(CloseCode.ABNORMAL_CLOSURE)

    def _fail_size(self) -> None:
        mode = self.profile.too_big
        reason = f"the message exceeds the maximum size of {self.profile.max_size}"
        act = Violation(CloseCode.MESSAGE_TOO_BIG, reason)
        frame = CloseFrame(act.code, reason) if mode.startswith("1009") else None
        told = act if mode == "1009 told" else None
        self._fail(CloseFrame(None) if mode == "empty close" else frame, told, State.CLOSING)

    def _fail(self, frame: CloseFrame | None, told: Violation | None, window: State = State.FAILED) -> None:
        """End the connection with `frame`, or without one; tell the app the violation, or a lost connection."""
        profile = self.profile
        self._wire.clear()
        if told is not None:
            self._tell(told.code, told.reason)
        elif profile.lost_code is not None:
            self._tell(profile.lost_code, "" if profile.lost_reason else None)
        if profile.reads == "in receive":
            self._close_due = frame
            self._gone()
            return
        if frame is not None and not self._end_shown:
            self._emit_close(frame)
        self._leave(window)

    # The app closes

    def _send_close(self, event: ASGIEvent) -> None:
        profile = self.profile
        if self.state is State.GONE:
            self._forget_all()
            return
        code, reason = event.get("code", 1000), event.get("reason") or ""
        if code is None and profile.close_without_code == "1000":
            code = 1000
        if profile.own_close_told == "at once":
            self._tell(code, reason)
        try:
            self._check_close(code, reason)
        except Exception:
            self._fail_close()
            raise
        self.state = State.CLOSING
        self._own_close = (code, reason)
        self._is_reading = self.profile.reads != "in receive"
        if self.tcp_open:
            self._emit_close(self._own_frame(code, reason))
        self._wait_for_reply()

    def _close_too_late(self, event: ASGIEvent) -> None:
        """The server takes the app's close, tells the app of it, and finds no connection to write it to."""
        self._tell(event.get("code", 1000), event.get("reason") or "")
        self.state = State.CLOSING

    def _check_close(self, code: Any, reason: str) -> None:
        profile = self.profile
        if code is None and profile.close_without_code != "raises":
            return
        if code is None or not _CLOSE_CODES[profile.close_codes](code):
            takes = {"on the wire": "what RFC 6455 allows"}.get(profile.close_codes, profile.close_codes)
            raise UnexpectedMessageError(f"close code {code!r} may not be sent: this server takes {takes}")
        if profile.close_reason == "checked" and len(reason.encode()) > MAX_REASON:
            raise UnexpectedMessageError(f"close reason {reason[:20]!r}... has more than {MAX_REASON} bytes")

    def _fail_close(self) -> None:
        after = self.profile.failed_close
        if after != "open":
            self.state = State.CLOSING if after == "closing" else State.STUCK
            self.writable = after == "closing"

    def _own_frame(self, given: Any, reason: Any) -> CloseFrame:
        profile = self.profile
        if given is None and profile.close_without_code == "empty":
            return CloseFrame(None)
        code = int(given) if profile.close_codes != "any" or isinstance(given, int) else 1000
        if profile.close_rewrites and code in (1005, 1006, 1015):
            code = 1000
        if not 0 <= code <= 0xFFFF:  # noqa: PLR2004 (two bytes on the wire)
            code = 1000
        if profile.close_reason == "dropped":
            return CloseFrame(code)
        if profile.close_reason == "sent" and not isinstance(reason, str):
            reason = ""
        if profile.close_reason == "cut":
            reason = reason.encode()[:MAX_REASON].decode(errors="ignore")
        return CloseFrame(code, reason)

    def _wait_for_reply(self) -> None:
        profile = self.profile
        if profile.own_close_told == "again" and (not self.receiving or profile.close_while_receiving == "ends it"):
            self._forget_all()
            self.state = State.CLOSING
        if profile.close_timeout == 0:
            self._end_tcp()
            self.state = State.CLOSED
        elif profile.close_timeout is not None:
            self._close_timer = self._later(profile.close_timeout - profile.timer_lead, self._give_up_close)
        if self._wire:
            self._later(0, self._read)

    def _forget_all(self) -> None:
        """The app closed: whatever else came is forgotten, and `receive` yields disconnects."""
        unseen = [event for event in self.inbox if event["type"] == "websocket.connect"]
        self.inbox.clear()
        self.inbox.extend(unseen)
        self._again = self.profile.again
        self._tell(self._again)
        self.state = State.CLOSED

    def _closed_by_client(self, code: int | None, reason: str = "") -> None:
        """The client answered the app's close with its own close frame, or left."""
        profile = self.profile
        self._cancel("_close_timer")
        self._end_lost()
        if profile.own_close_told == "on reply":
            self._tell(1000 if profile.own_close_code == "1000" else code)
        if profile.end_turn:
            self._later(0, self._gone)
        else:
            self._gone()
        if profile.own_close_told == "again" and self.receiving:
            self._later(0, lambda: self._tell(code, reason))  # to the one that waited before the close
        elif profile.own_close_told == "again":
            self._forget_all()

    def _give_up_close(self) -> None:
        self._close_timer = None
        self._closed_by_client(CloseCode.ABNORMAL_CLOSURE)

    # The app ends

    def _is_closing_without_timer(self) -> bool:
        return self.state is State.CLOSING and self._close_timer is None

    def _end_unless_open(self) -> None:
        if self.profile.return_event != "open":
            self._end_tcp()

    def _end_open(self, error: BaseException | None) -> None:
        outcome = self.profile.return_event if error is None else self.profile.raise_event
        if outcome == "open":
            return
        if self.profile.poll is not None:
            self._later(self._until_poll(), lambda: self._close_after_end(outcome))
        else:
            self._close_after_end(outcome)

    def _close_after_end(self, outcome: str | int) -> None:
        if self.state is not State.OPEN:
            return
        if outcome != "lost":
            self._emit_close(CloseFrame(None if outcome == "empty close" else int(outcome)))
        if self.profile.poll is not None:
            self.state = State.CLOSING
            timeout = (self.profile.close_timeout or 0) - self.profile.timer_lead
            self._close_timer = self._later(max(0.0, timeout), self._give_up_close)
            return
        self._end_tcp()
        self.state = State.CLOSING
        self._gone()


def _in_two_bytes(code: Any) -> bool:
    struct.pack("!H", code)  # raises what a server raises
    return True


_CLOSE_CODES: dict[str, Callable[[Any], bool]] = {
    "on the wire": lambda code: isinstance(code, int) and is_sendable(code),
    "0-65535 by int()": lambda code: _in_two_bytes(int(code)),
    "1000, 3000-4999": lambda code: type(code) is int and (code == 1000 or 3000 <= code <= 4999),  # noqa: PLR2004
    "0-65535": _in_two_bytes,
    "any": lambda _: True,
}

"""The handshake's answer: accept, a close before accept, a denial response, or none."""

from collections import deque
from collections.abc import Callable
from http import HTTPStatus

from wsharness.asgi import ASGIEvent
from wsharness.endpoint import Endpoint, UnexpectedMessageError
from wsharness.events import Accepted, Headers, Message, Rejected
from wsharness.profiles import State
from wsharness.shapes import BadHeader, accept_headers, check_headers, header_text

UNANSWERED = (State.HANDSHAKE, State.RESPONSE)
BODILESS = (204, 304)  # RFC 9110 section 6.4.1

_STATUSES: dict[str, Callable[[int], bool]] = {
    "any": lambda _: True,
    "100-599": range(100, 600).__contains__,
    "200-599": range(200, 600).__contains__,
    "known": frozenset(status.value for status in HTTPStatus).__contains__,
    "known, 200-599": frozenset(status.value for status in HTTPStatus if status.value >= 200).__contains__,  # noqa: PLR2004
}


def _lost(_: ASGIEvent) -> Message | None:
    return None


class Answering(Endpoint):
    """A connection until its handshake is answered."""

    __slots__ = ()

    state: State
    writable: bool
    inbox: deque[ASGIEvent]

    # Accept

    def _accept(self, event: ASGIEvent) -> None:
        if self._handshake_timer is not None:
            self._cancel("_handshake_timer")
        if self.state is State.ABANDONED:
            self.state = State.LOST
            return
        if self.state is State.REFUSED:  # an accept after all: what was told is forgotten, what the app sends is lost
            self.inbox = deque(event for event in self.inbox if event["type"] != "websocket.disconnect")
            self._message_of = _lost
        subprotocol = event.get("subprotocol")
        if subprotocol == "" and not self.profile.sends_empty_subprotocol:
            subprotocol = None
        if subprotocol is not None and subprotocol not in self.offered:
            mode = self.profile.unoffered_subprotocol
            if mode != "sent":
                self._break_accept(silent=mode == "no answer")
                return
        try:
            headers = accept_headers(self.profile, event)
        except BadHeader as error:
            self._refuse_header(error)
            return
        except Exception:
            self.state = State.BROKEN if self.profile.bad_header == "raises, no answer" else self.state
            raise
        self._answer = None
        self._give(lambda: self._open(Accepted(subprotocol, headers)))

    def _break_accept(self, *, silent: bool) -> None:
        self.state = State.BROKEN
        if silent:
            self._handshake_timer = self._later(self.profile.handshake_timeout or 0, self._end_tcp)
        else:
            raise UnexpectedMessageError("expected one of the subprotocols the client offered")

    def _refuse_header(self, error: BadHeader) -> None:
        mode = self.profile.bad_header
        if mode == "400":
            self._give(lambda: self._reject(Rejected(error.status), State.LOST, self.profile.refused_events))
            return
        if mode == "raises, no answer":
            self.state = State.BROKEN
        raise error

    def _give(self, answer: Callable[[], None]) -> None:
        """Give the handshake's answer, now or a turn later."""
        if not self.profile.answers_next_turn:
            answer()
            return
        self._answer = answer
        self.writable = False
        self._later(0, self._give_pending)

    def _give_pending(self) -> None:
        if self._answer is not None:
            answer, self._answer = self._answer, None
            self.writable = True
            self.wake()  # before the client sees the answer: on a wire its reaction takes longer than the app's turn
            answer()

    def _open(self, event: Accepted) -> None:
        if self.state is State.ABANDONED:
            self.state = State.LOST
            return
        self.state = State.OPEN
        self._opened = self.now()
        self._emit(event)
        self._opened_now()

    # Another status than 101

    def _refuse(self, event: ASGIEvent) -> None:
        self._cancel("_handshake_timer")
        answer = Rejected(403, (), b"", event.get("code", 1000), event.get("reason") or "")
        self.state = State.REFUSED
        if self.profile.refuses_at_end:
            for code in self.profile.refused_events:
                self._tell(code)
            self._answer = lambda: self._reject(answer, State.REFUSED, ())
            return
        self._give(lambda: self._reject(answer, State.REFUSED, self.profile.refused_events))

    def _start(self, event: ASGIEvent) -> None:
        profile = self.profile
        if not _STATUSES[profile.statuses](event["status"]):
            raise UnexpectedMessageError(f"status {event['status']!r} may not be sent")
        if profile.denial_headers == "required at start" and "headers" not in event:
            self.state = State.BROKEN if profile.denial_streams else self.state
            raise KeyError("headers")
        headers = header_text(profile, event.get("headers", ()))
        if profile.denial_header_check == "at start":
            self._check_denial(headers, broken=profile.denial_streams)
        self._response = (event["status"], headers, b"")
        if profile.denial_headers == "required at body" and "headers" not in event:
            self._response = None
        if profile.start_commits:
            self.state = State.RESPONSE
        if profile.answers_next_turn:
            self._answer = self._finish_response
            self._later(0, self._give_pending)

    def _check_denial(self, headers: Headers, *, broken: bool) -> None:
        try:
            check_headers(self.profile, headers)
        except BadHeader:
            self.state = State.BROKEN if broken else self.state
            raise

    def _body(self, event: ASGIEvent) -> None:
        if self._response is None:
            raise UnexpectedMessageError("expected a denial response's start with headers before its body")
        profile = self.profile
        more = event.get("more_body", False)
        if more and profile.denial_body.startswith("one"):
            raise UnexpectedMessageError("expected the whole body in one event")
        status, headers, body = self._response
        if profile.denial_header_check == "at body":
            self._check_denial(headers, broken=False)
        part = event["body"] if profile.denial_body.endswith("required") else event.get("body", b"")
        if part and status in BODILESS and profile.bodiless != "sent":
            if profile.bodiless == "raises":
                raise UnexpectedMessageError(f"a response with status {status} has no body")
            part = b""
        self._response = (status, headers, body + bytes(part))
        self.state = State.RESPONSE
        if not more and (self._answer is None or profile.refuses_at_end):
            self._finish_response()

    def _finish_response(self) -> None:
        assert self._response is not None
        self._answer = None
        if self.profile.denial_header_check == "400":
            try:
                check_headers(self.profile, self._response[1])
            except BadHeader as error:
                self._response = (error.status, (), b"")
        self._reject(Rejected(*self._response), State.DENIED, self.profile.denied_events)

    def _reject(self, event: Rejected, state: State, told: tuple[int, ...]) -> None:
        self.state = state
        self._end_shown = True
        self._emit(event)
        self._again = self.profile.early_again
        if told:
            self._tell(told[0])
        if self.profile.end_turn:
            self._later(0, lambda: self._end_rejected(told[1:]))

    def refuse_request(self, status: int) -> None:
        """Answer a request the server does not understand."""
        self._reject(Rejected(status), State.REFUSED, ())

    def _end_rejected(self, told: tuple[int, ...]) -> None:
        self.state = State.GONE
        for code in told:
            self._tell(code)

    # No answer

    def _give_up_handshake(self) -> None:
        self._handshake_timer = None
        if self.state in UNANSWERED:
            self._abandon()

    def _abandon(self) -> None:
        profile = self.profile
        broken = self.state is State.BROKEN or (self.state is State.RESPONSE and profile.denial_streams)
        self.state = State.ABANDONED
        self._cancel("_handshake_timer")
        self._again = profile.early_again
        code = profile.end_code if broken and profile.end_code is not None else profile.early_loss_code
        self._end_tcp()
        self._tell(code)

    def _end_unanswered(self, error: BaseException | None) -> None:
        profile = self.profile
        status = profile.unanswered_return if error is None else profile.unanswered_raise
        if self._response is not None or self.state is State.RESPONSE:
            self._end_started()
        elif status is not None and profile.poll is not None:
            self._later(self._until_poll(), lambda: self._reject_unanswered(status))
        elif status is not None:
            self._reject_unanswered(status)

    def _reject_unanswered(self, status: int) -> None:
        if self.state in UNANSWERED:
            self._cancel("_handshake_timer")
            self._reject(Rejected(status), State.REFUSED, ())

    def _end_started(self) -> None:
        streamed = self.state is State.RESPONSE and self.profile.denial_streams
        mode = "status" if streamed else self.profile.started_end
        if mode == "lost":
            self._end_tcp()
        elif mode == "status":
            self._finish_response()
        else:
            self._reject(Rejected(int(mode)), State.REFUSED, ())

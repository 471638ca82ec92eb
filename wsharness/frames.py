"""What travels below messages: frames a client may send by hand, and those it sees; without bytes on a wire."""

from collections import deque
from itertools import islice
from typing import TypeAlias

from wsharness.events import CloseCode, is_sendable, value
from wsharness.transcript import Dropped, Leave, Sent

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX_CONTROL = 125  # bytes: RFC 6455 section 5.5


@value
class Ping:
    """A ping frame."""

    data: bytes = b""


@value
class Pong:
    """A pong frame."""

    data: bytes = b""


@value
class CloseFrame:
    """A close frame as it is on the wire; code None is one without a code."""

    code: int | None
    reason: str = ""


@value
class End:
    """The server ended the TCP connection."""


@value
class Violation:
    """The client broke the protocol; `code` is the close code a server answers with (RFC 6455 section 7.4.1)."""

    code: int
    reason: str
    close_code: bool = False
    """It was a close frame with a code that may not be sent."""
    in_message: bool = False
    """It was a whole text message that is no UTF-8."""


@value
class Whole:
    """A message made of several frames: what `Sent` is, with the size of its largest frame."""

    data: str | bytes
    largest: int


WireEvent: TypeAlias = Ping | Pong | CloseFrame | End
FrameAct: TypeAlias = Sent | Whole | Leave | Ping | Pong | Violation
Act: TypeAlias = FrameAct | Dropped
_CUT = "incomplete fragmented message"


class Assembler:
    """Puts a client's frames together, as every server's parser does (RFC 6455 section 5)."""

    __slots__ = ("_kind", "_largest", "_parts", "_whole_messages")

    def __init__(self, *, whole_messages: bool = False) -> None:
        self._whole_messages = whole_messages  # before a close frame: RFC 6455 does not say
        self._kind = 0
        self._parts: list[bytes] = []
        self._largest = 0

    def feed(
        self, opcode: int, payload: bytes, *, fin: bool = True, mask: bool = True, rsv: int = 0
    ) -> FrameAct | None:
        """What the frame does; None while its message is not complete."""
        if not mask:
            return Violation(CloseCode.PROTOCOL_ERROR, "incorrect masking")
        if rsv:
            return Violation(CloseCode.PROTOCOL_ERROR, "reserved bits must be 0")
        if opcode in (CLOSE, PING, PONG):
            cut = opcode == CLOSE and self._kind and self._whole_messages
            return Violation(CloseCode.PROTOCOL_ERROR, _CUT) if cut else _control(opcode, payload, fin=fin)
        if opcode not in (CONTINUATION, TEXT, BINARY):
            return Violation(CloseCode.PROTOCOL_ERROR, f"invalid opcode: {opcode:#04x}")
        if bool(self._kind) is not (opcode == CONTINUATION):
            return Violation(CloseCode.PROTOCOL_ERROR, "unexpected continuation or data frame")
        return self._data(opcode, payload, fin=fin)

    @property
    def pending(self) -> int:
        """Bytes of the message that is not complete."""
        return sum(map(len, self._parts))

    def _data(self, opcode: int, payload: bytes, *, fin: bool) -> FrameAct | None:
        self._kind = self._kind or opcode
        self._parts.append(payload)
        self._largest = max(self._largest, len(payload))
        if not fin:
            return None
        data, kind, largest, split = b"".join(self._parts), self._kind, self._largest, len(self._parts) > 1
        self._kind, self._parts, self._largest = 0, [], 0
        if kind == BINARY:
            return Whole(data, largest) if split else Sent(data)
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            reason = f"{error.reason} at position {error.start}"
            return Violation(CloseCode.INVALID_PAYLOAD, reason, in_message=True)
        return Whole(text, largest) if split else Sent(text)


def _control(opcode: int, payload: bytes, *, fin: bool) -> FrameAct:
    if not fin:
        return Violation(CloseCode.PROTOCOL_ERROR, "fragmented control frame")
    if len(payload) > MAX_CONTROL:
        return Violation(CloseCode.PROTOCOL_ERROR, "control frame too long")
    if opcode == CLOSE:
        return close_act(payload)
    return Ping(payload) if opcode == PING else Pong(payload)


def close_act(payload: bytes) -> Leave | Violation:
    """What a close frame with this payload does (RFC 6455 section 5.5.1)."""
    if not payload:
        return Leave(None)
    if len(payload) == 1:
        return Violation(CloseCode.PROTOCOL_ERROR, "close frame too short")
    code = int.from_bytes(payload[:2], "big")
    if not is_sendable(code):
        return Violation(CloseCode.PROTOCOL_ERROR, "invalid status code", close_code=True)
    try:
        return Leave(code, payload[2:].decode())
    except UnicodeDecodeError as error:
        return Violation(CloseCode.INVALID_PAYLOAD, f"{error.reason} at position {error.start}")


def spoiled(acts: deque[Act], *, messages: bool) -> deque[Act]:
    """What is left of a segment with a violation in it, where a server parses all of it before it handles any.

    Of what stands before the violation the `messages` are lost, or else the pings. A text that is no UTF-8 is found
    when messages are handled: pings behind it are answered all the same.
    """
    found = [(index, act) for index, act in enumerate(acts) if isinstance(act, Violation)]
    if not found or any(isinstance(act, Leave) for act in islice(acts, found[0][0])):
        return acts
    parsed = [index for index, act in found if not (messages and act.in_message)]
    until = parsed[0] if parsed else len(acts)
    before = list(islice(acts, until))
    pings = [act for act in before if isinstance(act, Ping)]
    others = [act for act in before if not isinstance(act, Ping)]
    if not messages:
        pings = []
    elif parsed:
        others = []
    return deque([*pings, *others, *islice(acts, until, None)])

"""What an app may send when, on every server: the ASGI specification and RFC 6455."""

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from wsharness.asgi import ASGIEvent
from wsharness.events import is_sendable

MAX_REASON = 123  # bytes: RFC 6455 section 5.5, less two for the code


class Phase(Enum):
    """How far the app is with a connection, by what it sent itself."""

    if not TYPE_CHECKING:
        __hash__ = object.__hash__  # an enum's own looks up its name, in Python

    HANDSHAKE = "before websocket.accept"
    OPEN = "on an open connection"
    RESPONSE = "within an HTTP response"
    CLOSED = "after the app's own close"


class Broken(NamedTuple):
    """A rule that an event breaks."""

    rule: str
    """shape, order, after close, close code, close reason, unseen or subprotocol."""
    message: str


ALLOWED = {
    Phase.HANDSHAKE: ("websocket.accept", "websocket.close", "websocket.http.response.start"),
    Phase.OPEN: ("websocket.send", "websocket.close"),
    Phase.RESPONSE: ("websocket.http.response.body",),
    Phase.CLOSED: (),
}
KNOWN = {kind for kinds in ALLOWED.values() for kind in kinds}


def next_phase(phase: Phase, event: ASGIEvent) -> Phase:
    """How far the app is after an event that its server took."""
    kind = event.get("type")
    if kind not in ALLOWED[phase]:
        return phase
    if kind == "websocket.accept":
        return Phase.OPEN
    if kind == "websocket.http.response.start":
        return Phase.RESPONSE
    ends = kind == "websocket.close" or (kind == "websocket.http.response.body" and not event.get("more_body"))
    return Phase.CLOSED if ends else phase


def broken(event: ASGIEvent, phase: Phase, offered: Sequence[str]) -> Broken | None:
    """The rule that an event breaks, if it does, to a client that offered these subprotocols."""
    kind = event.get("type")
    if kind not in KNOWN:
        return Broken("shape", f"expected the type of an ASGI event; got {kind!r}")
    if phase is Phase.CLOSED:
        return Broken("after close", f"{kind} {phase.value}")
    if kind not in ALLOWED[phase]:
        return Broken("order", f"{kind} {phase.value}; expected {' or '.join(ALLOWED[phase])}")
    if kind == "websocket.send":
        return _broken_message(event)
    if kind == "websocket.close":
        return _broken_close(event, phase)
    return _broken_choice(event.get("subprotocol"), offered) if kind == "websocket.accept" else None


def _broken_choice(chosen: Any, offered: Sequence[str]) -> Broken | None:
    """What makes a client hang up: RFC 6455 section 4.1."""
    if chosen is None or chosen in offered:
        return None
    names = " or ".join(map(repr, offered))
    expected = f"the subprotocol {names}, which the client offered" if offered else "no subprotocol: none was offered"
    return Broken("subprotocol", f"expected {expected}; got {chosen!r}")


def _broken_message(event: ASGIEvent) -> Broken | None:
    text, data = event.get("text"), event.get("bytes")
    if (text is None) is (data is None):
        return Broken("shape", f"expected either 'text' or 'bytes'; got {'neither' if text is None else 'both'}")
    if text is not None and not isinstance(text, str):
        return Broken("shape", f"expected str in 'text'; got {type(text).__name__}")
    if data is not None and not isinstance(data, (bytes, bytearray, memoryview)):
        return Broken("shape", f"expected bytes in 'bytes'; got {type(data).__name__}")
    return None


def _broken_close(event: ASGIEvent, phase: Phase) -> Broken | None:
    code, reason = event.get("code", 1000), event.get("reason") or ""
    code = 1000 if code is None else code
    if phase is Phase.HANDSHAKE:
        unseen = code != 1000  # noqa: PLR2004 (the code of those that say none)
        message = f"close code {code!r} before the accept: the client sees HTTP 403 and no code"
        return Broken("unseen", message) if unseen else None
    if not isinstance(code, int) or isinstance(code, bool) or not is_sendable(code):
        return Broken("close code", f"close code {code!r} may not be in a close frame")
    if not isinstance(reason, str):
        return Broken("shape", f"expected str in 'reason'; got {type(reason).__name__}")
    size = len(reason.encode("utf-8", "surrogatepass"))
    if size > MAX_REASON:
        return Broken("close reason", f"expected a close reason of at most {MAX_REASON} bytes; got {size}")
    return None


INTERNAL_ERRORS = (1011, 3500, 4500)
"""1011, and an HTTP status made a close code, as frameworks do."""


def says_internal_error(event: ASGIEvent) -> bool:
    """Whether an event tells the client that the server failed."""
    if event.get("type") == "websocket.close":
        return event.get("code") in INTERNAL_ERRORS
    return event.get("type") == "websocket.http.response.start" and event.get("status", 0) >= 500  # noqa: PLR2004

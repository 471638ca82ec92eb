"""What a client sees of a connection, and the close codes of RFC 6455 section 7.4."""

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeAlias, TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(cls: type[T]) -> type[T]:
    """A dataclass that type checkers know as frozen; to freeze it would double the time that each one takes to make."""
    return dataclass(slots=True, unsafe_hash=True)(cls)


class CloseCode(IntEnum):
    """The registered close codes (RFC 6455 section 7.4.1 and the IANA registry)."""

    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    NO_STATUS_RECEIVED = 1005
    ABNORMAL_CLOSURE = 1006
    INVALID_PAYLOAD = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014
    TLS_HANDSHAKE = 1015


def is_sendable(code: int) -> bool:
    """Whether a close frame may carry this code (RFC 6455 section 7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999  # noqa: PLR2004 (the RFC's own numbers)


Headers: TypeAlias = tuple[tuple[str, str], ...]


@value
class Accepted:
    """The server answered the handshake with 101."""

    subprotocol: str | None = None
    headers: Headers = ()


@value
class Rejected:
    """The server answered the handshake with another HTTP status.

    `app_code` and `app_reason` are what the app closed with before it accepted: no client ever sees
    them, a test in the same process may.
    """

    status: int
    headers: Headers = ()
    body: bytes = b""
    app_code: int | None = None
    app_reason: str | None = None


@value
class Message:
    """A whole text (`str`) or binary (`bytes`) message."""

    data: str | bytes


@value
class Closed:
    """The server sent a close frame; 1005 stands for a frame without a code (RFC 6455 section 7.1.5)."""

    code: int = CloseCode.NORMAL_CLOSURE
    reason: str = ""


@value
class Lost:
    """The connection ended without a close frame; a client library reports 1006 (RFC 6455 section 7.1.5)."""

    code: int = CloseCode.ABNORMAL_CLOSURE


ClientEvent: TypeAlias = Accepted | Rejected | Message | Closed | Lost

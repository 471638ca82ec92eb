"""Connection: what a client does to one WebSocket; both transports keep this interface."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from wsharness.events import ClientEvent

OnEvent: TypeAlias = Callable[[ClientEvent], object]


@dataclass(slots=True)
class Connection(ABC):
    """One WebSocket, handshake to close, from the client's end.

    Events arrive by `on_event`, in order, exactly once each: Accepted or Rejected first, then messages, then
    Closed or Lost last. The handshake's answer apart, nothing arrives while the client is stalled.
    """

    name: str
    on_event: OnEvent = field(repr=False)

    @abstractmethod
    async def send(self, data: str | bytes) -> None:
        """Send a whole message; after the end it goes nowhere, as on a wire."""

    @abstractmethod
    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame; None sends one without a code."""

    @abstractmethod
    async def drop(self, *, reset: bool = False) -> None:
        """End the connection without a close frame: FIN, or RST."""

    @abstractmethod
    def stall(self) -> None:
        """Stop reading: what the server sends piles up."""

    @abstractmethod
    def resume(self) -> None:
        """Go on reading."""

    def silence(self, limit: float) -> Exception | None:
        """The error for a handshake unanswered for `limit` seconds; None where it is the app's fault."""
        del limit
        return None

    def let_go(self) -> None:
        """Tell nobody anything any more."""
        self.on_event = _ignore

    def fill(self) -> None:  # noqa: B027 (what cannot be done need not be)
        """Let all buffers towards the client be full, as if it had not read for long; where they are simulated."""


def _ignore(_: ClientEvent) -> None:
    """Nobody listens."""

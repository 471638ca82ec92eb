"""Faults and Link: a connection that delays, drops or stalls another, the same way for the same seed."""

import dataclasses
import difflib
import math
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wsharness.connection import Connection, OnEvent
from wsharness.errors import UsageError
from wsharness.events import Accepted, ClientEvent, Closed, Lost, Message, Rejected
from wsharness.runtime import Runtime, Timer, current_runtime

WINDOW = 64 * 1024  # bytes a narrow link holds before the server feels it, as a socket's buffer does
KEEPALIVE = 40.0  # seconds until a server that pings finds a half-open connection: uvicorn's 20 + 20
INSTANT = 1e-9  # of the clock: less would only be a rounding error


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What a link does to a connection, in seconds and bytes; the names are Toxiproxy's where it has one."""

    latency: float = 0.0
    """Delay of everything, each way."""
    jitter: float = 0.0
    """What is added to the latency or taken from it at most; messages never overtake each other."""
    bandwidth: float | None = None
    """Bytes a second, each way."""
    slow_close: float = 0.0
    """More delay for the end of the connection, whoever ends it."""
    limit_data: int | None = None
    """The connection is lost when more bytes than this have crossed, both ways together."""
    reset_peer: float | None = None
    """The connection is reset so long after it was accepted, or after the change."""
    stall: bool = False
    """The client is a slow reader: once accepted, it reads nothing."""
    half_open: bool = False
    """The end of the connection never reaches the other side."""

    def __post_init__(self) -> None:
        for name in ("latency", "jitter", "slow_close", "reset_peer", "limit_data"):
            _check(name, getattr(self, name), least=0)
        _check("bandwidth", self.bandwidth, least=1)
        for name in ("stall", "half_open"):
            if not isinstance(getattr(self, name), bool):
                raise UsageError(f"expected {name} to be True or False; got {getattr(self, name)!r}")


def _check(name: str, value: object, *, least: int) -> None:
    if value is None and name in ("bandwidth", "limit_data", "reset_peer"):
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < least:
        unit = "bytes" if name == "limit_data" else "bytes a second" if name == "bandwidth" else "seconds"
        raise UsageError(f"expected {name} to be a number of {unit}, {least} or more; got {value!r}")


PERFECT: Faults = Faults()
"""A link that does nothing to a connection: there need not be one."""


def make_faults(links: Mapping[str, Faults | Mapping[str, Any]]) -> dict[str, Faults]:
    """Client → Faults, where they may be given as `{"latency": 0.02}`; UsageError for what is no fault."""
    return {name: as_faults(one) for name, one in links.items()}


def as_faults(given: Faults | Mapping[str, Any]) -> Faults:
    """Faults, which may be given as `{"latency": 0.02}`; UsageError for what is no fault."""
    if isinstance(given, Faults):
        return given
    if not isinstance(given, Mapping):
        raise UsageError(f"expected faults such as Faults(latency=0.2) or {{'latency': 0.2}}; got {given!r}")
    known = [field.name for field in dataclasses.fields(Faults)]
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise UsageError(f"unknown fault {name!r}; {hint}")
    return Faults(**given)


class _Lane:
    """One direction: what is on its way, each with the time it arrives, or later if it is not its turn."""

    def __init__(self, runtime: Runtime, deliver: Callable[[], object]) -> None:
        self.bytes = 0
        self._runtime = runtime
        self._deliver = deliver
        self._queue: deque[tuple[float, int, Any]] = deque()
        self._free = 0.0
        self._timer: Timer | None = None

    def put(self, item: Any, size: int, faults: Faults, delay: float) -> None:
        """Send something on its way."""
        now = self._runtime.time()
        self._free = max(now, self._free) + (size / faults.bandwidth if faults.bandwidth else 0.0)
        self.bytes += size
        self._queue.append((self._free + delay, size, item))

    def take(self) -> Any:
        """The next thing that has arrived, else None; then the lane wakes when it does."""
        if not self._queue:
            return None
        due, size, item = self._queue[0]
        wait = due - self._runtime.time()
        if wait > INSTANT:
            self._wake_in(wait)
            return None
        self._queue.popleft()
        self.bytes -= size
        return item

    def _wake_in(self, wait: float) -> None:
        if self._timer is None:
            self._timer = self._runtime.call_later(wait, self._wake)

    def _wake(self) -> None:
        self._timer = None
        self._deliver()

    def clear(self) -> None:
        """Lose all that is on its way."""
        self._queue.clear()
        self._free = 0.0
        self.bytes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Link(Connection):
    """A connection through a path with faults: `connect` opens the connection at its far end.

    `faults` may change in mid-run; what is on its way stays as it was. The order of each direction is kept.
    """

    def __init__(
        self,
        name: str,
        on_event: OnEvent,
        connect: Callable[[OnEvent], Connection],
        faults: Faults | None = None,
        *,
        seed: int = 0,
        runtime: Runtime | None = None,
    ) -> None:
        super().__init__(name, on_event)
        self._runtime = runtime or current_runtime()
        self._faults = faults or Faults()
        self._random = random.Random(f"{seed} link {name}")  # noqa: S311 (it is to be predictable)
        self._up = _Lane(self._runtime, self._pump_up)
        self._down = _Lane(self._runtime, self._pump_down)
        self._delivering = False
        self._reset: Timer | None = None
        self._crossed = 0
        self._accepted = False
        self._stalled = False
        self._choked = False
        self._over = False
        self._ended = False
        self._half_open_end: Callable[[], Awaitable[None]] | None = None
        self._inner = connect(self._from_server)

    @classmethod
    def around(cls, connection: Connection, faults: Faults, *, accepted: bool, seed: int, runtime: Runtime) -> "Link":
        """A link in front of a connection that is in use already."""

        def take_over(on_event: OnEvent) -> Connection:
            connection.on_event = on_event
            return connection

        link = cls(connection.name, connection.on_event, take_over, seed=seed, runtime=runtime)
        link._accepted = accepted
        link.faults = faults
        return link

    @property
    def inner(self) -> Connection:
        """The connection at the far end."""
        return self._inner

    @property
    def faults(self) -> Faults:
        """What the link does from now on."""
        return self._faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        before, self._faults = self._faults, faults
        if self._accepted:
            self._follow(before)

    def change(self, **faults: Any) -> None:
        """Change some faults and leave the others as they are."""
        self.faults = dataclasses.replace(self._faults, **faults)

    def heal(self) -> None:
        """Be a perfect link again: the end that half_open held back arrives."""
        self.faults = Faults()

    # What the client does

    async def send(self, data: str | bytes) -> None:
        """Send a whole message; it arrives when the link lets it."""
        await self._upwards(lambda: self._inner.send(data), _size(data))

    async def close(self, code: int | None = 1000, reason: str = "") -> None:
        """Send a close frame; None sends one without a code."""
        await self._end(lambda: self._inner.close(code, reason))

    async def drop(self, *, reset: bool = False) -> None:
        """End the connection without a close frame; what is on its way to the client is lost."""
        self._down.clear()
        self._over = True
        self._forget_reset()
        await self._end(lambda: self._inner.drop(reset=reset))

    def stall(self) -> None:
        """Stop reading: what the server sends piles up."""
        if not self._stalled:
            self._stalled = True
            self._follow_reading()

    def fill(self) -> None:
        """Let the buffers beyond the link be full."""
        self._inner.fill()

    def resume(self) -> None:
        """Go on reading."""
        if self._stalled:
            self._stalled = False
            self._follow_reading()
            self._pump_down()
        elif not self._choked:
            self._inner.resume()  # it may have been stalled before the link came

    async def _upwards(self, act: Callable[[], Awaitable[None]], size: int, more: float = 0.0) -> None:
        if self._is_over_the_limit(size):
            self._break(reset=False)
            return
        self._up.put(act, size, self._faults, self._delay() + more)
        await self._deliver_up()

    async def _end(self, act: Callable[[], Awaitable[None]]) -> None:
        if not self._faults.half_open:
            await self._upwards(act, 0, self._faults.slow_close)
            return
        if self._half_open_end is None:
            self._half_open_end = act
            self._runtime.call_later(KEEPALIVE, self._find_half_open)

    def _find_half_open(self) -> None:
        """The server's pings went unanswered for too long: for it the connection is lost."""
        if self._half_open_end is not None:
            self._half_open_end = self._inner.drop
            self._let_the_end_through()

    def _let_the_end_through(self) -> None:
        act, self._half_open_end = self._half_open_end, None
        if act is not None:
            self._up.put(act, 0, self._faults, self._delay())
            self._pump_up()

    def _pump_up(self) -> None:
        if not self._delivering:
            self._runtime.spawn(self._deliver_up(), f"link {self.name}")

    async def _deliver_up(self) -> None:
        if self._delivering:
            return  # whoever delivers takes this along, in order
        self._delivering = True
        try:
            while (act := self._up.take()) is not None:
                await act()
        finally:
            self._delivering = False

    # What the server does

    def _from_server(self, event: ClientEvent) -> None:
        if self._over or self._ended:
            return
        ends = self._ended = isinstance(event, (Closed, Lost))
        if ends and self._faults.half_open:
            return
        size = _size(event.data) if isinstance(event, Message) else 0
        if self._is_over_the_limit(size):
            self._break(reset=False)
            return
        delay = self._delay() + (self._faults.slow_close if ends else 0.0)
        if isinstance(event, (Accepted, Rejected)):
            delay += self._delay()  # the request's way
        self._down.put(event, size, self._faults, delay)
        self._pump_down()

    def _pump_down(self) -> None:
        while not (self._stalled and self._accepted) and (event := self._down.take()) is not None:
            self._deliver(event)
        self._follow_reading()

    def _deliver(self, event: ClientEvent) -> None:
        if isinstance(event, (Closed, Lost)):
            self._over = True
            self._forget_reset()
        self.on_event(event)
        if isinstance(event, Accepted):
            self._accepted = True
            self._follow(Faults())

    def _follow_reading(self) -> None:
        """Stall the server's side while the client does not read, or a narrow link is full."""
        full = self._faults.bandwidth is not None and self._down.bytes > WINDOW
        choked = self._stalled or full
        if choked != self._choked:
            self._choked = choked
            (self._inner.stall if choked else self._inner.resume)()

    # Faults

    def _follow(self, before: Faults) -> None:
        faults = self._faults
        if faults.stall != before.stall:
            (self.stall if faults.stall else self.resume)()
        if faults.reset_peer != before.reset_peer:
            self._forget_reset()
            if faults.reset_peer is not None:
                self._reset = self._runtime.call_later(faults.reset_peer, self._reset_both)
        if not faults.half_open:
            self._let_the_end_through()

    def _delay(self) -> float:
        faults = self._faults
        if not faults.jitter:
            return faults.latency
        return max(0.0, faults.latency + self._random.uniform(-faults.jitter, faults.jitter))

    def _is_over_the_limit(self, size: int) -> bool:
        self._crossed += size
        limit = self._faults.limit_data
        return limit is not None and self._crossed > limit

    def _reset_both(self) -> None:
        self._reset = None
        self._break(reset=True)

    def _forget_reset(self) -> None:
        if self._reset is not None:
            self._reset.cancel()
            self._reset = None

    def _break(self, *, reset: bool) -> None:
        """Lose the connection at both ends, with all that is on its way."""
        if self._over:
            return
        self._over = True
        self._forget_reset()
        self._up.clear()
        self._down.clear()
        self._half_open_end = lambda: self._inner.drop(reset=reset)
        self._let_the_end_through()
        self._down.put(Lost(), 0, Faults(), 0.0)
        self._pump_down()


def _size(data: str | bytes) -> int:
    return len(data) if isinstance(data, bytes) else len(data.encode("utf-8", "surrogatepass"))

"""Tells a transcript as readable steps: one line for each thing that happened between clients and app."""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from wsharness.errors import describe_code
from wsharness.events import Accepted, Closed, Lost, Message, Rejected
from wsharness.masking import Mask, secrets_in
from wsharness.transcript import (
    Connect,
    Direction,
    Dropped,
    Fact,
    Frame,
    Leave,
    Reading,
    Record,
    Sent,
    Stack,
    Transcript,
    to_json,
)

Way: TypeAlias = Literal["to app", "to client", "client", "app", "fact"]
"""Where a step goes: between client and app, or happens at one of them, or was found out."""
WIDTH = 88  # of a payload in a line
LATE = 0.005  # seconds on the way that are worth a word
SPARE = 24  # what saying "… 1,234 more …" would take

_ARROWS: dict[Way, str] = {"to app": "→", "to client": "←", "client": "·", "app": "·", "fact": "!"}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened: where it began, and where it arrived."""

    index: int
    """The record in the transcript where it began."""
    record: Record
    """That record, masked."""
    time: float
    """Seconds since the transcript began."""
    way: Way
    text: str
    """What happened, in one line."""
    fault: bool = False
    """A connection ends here, or is disturbed."""
    arrival: int | None = None
    """The record where the other end saw it; None: it never did, or there is no other end."""
    arrives: float | None = None
    """When the other end saw it."""
    lost: bool = False
    """It was meant for the other end, which never saw it."""

    @property
    def client(self) -> str:
        """The connection's name; `app` for what belongs to none."""
        return self.record.client or "app"

    @property
    def arrow(self) -> str:
        """One character: to the app, to the client, at one end, lost, or a finding."""
        return "×" if isinstance(self.record.event, (Dropped, Lost)) else _ARROWS[self.way]  # noqa: RUF001

    @property
    def note(self) -> str:
        """What the line adds about the other end: late or never seen."""
        if self.lost:
            return "  (the app never read it)" if self.way == "to app" else "  (the client never saw it)"
        return f"  (arrives at {self.arrives:.3f})" if self.late else ""

    @property
    def late(self) -> bool:
        """Whether the link, not merely the real clock of a fast machine, kept it."""
        return self.arrives is not None and self.arrives - self.time >= LATE

    def covers(self, index: int) -> bool:
        """Whether the record at that index is told by this step."""
        return index in (self.index, self.arrival)


@dataclass(frozen=True, slots=True)
class Gap:
    """Steps that were left out, for brevity."""

    count: int


def render_transcript(
    transcript: Transcript, *, last: int | None = None, mark: int | None = None, limit: int | None = None
) -> str:
    """The transcript as lines `time client arrow what`, secrets masked, long payloads elided in the middle.

    `last` keeps only so many steps at the end, `limit` so many around the interesting places, and `mark` is
    the index of the record to point at.
    """
    steps = narrate(transcript, last=last, mark=mark, limit=limit)
    told = [step for step in steps if isinstance(step, Step)]
    widths = (
        max((len(f"{step.time:.3f}") for step in told), default=0),
        max((len(printable(step.client)) for step in told), default=0),
    )
    return "\n".join(_line(step, widths, mark) for step in steps)


def _line(step: Step | Gap, widths: tuple[int, int], mark: int | None) -> str:
    if isinstance(step, Gap):
        return f"  {'':>{widths[0]}}  … {step.count} more steps"
    pointer = ">" if mark is not None and step.covers(mark) else " "
    client = f"{printable(step.client):<{widths[1]}}"
    return f"{pointer} {step.time:>{widths[0]}.3f}  {client}  {step.arrow} {step.text}{step.note}"


def narrate(
    transcript: Transcript, *, last: int | None = None, mark: int | None = None, limit: int | None = None
) -> list[Step | Gap]:
    """The steps of a transcript in the order in which they began, with gaps where steps are left out."""
    arrivals = _pair(transcript)
    hidden = set(arrivals.values())
    begun = [index for index in range(len(transcript)) if index not in hidden]
    chosen = begun if last is None else begun[-last:] if last > 0 else []
    parts: list[int | Gap] = [Gap(len(begun) - len(chosen))] if chosen and len(chosen) < len(begun) else []
    parts += _shorten(chosen, limit, _step_of(mark, arrivals))
    teller = _Teller(transcript, arrivals, [part for part in parts if isinstance(part, int)])
    return [part if isinstance(part, Gap) else teller.step(part) for part in parts]


def _step_of(mark: int | None, arrivals: dict[int, int]) -> int | None:
    return next((begun for begun, arrived in arrivals.items() if arrived == mark), mark)


def _shorten(indexes: list[int], limit: int | None, mark: int | None) -> list[int | Gap]:
    """Keep the beginning, the surroundings of the marked step, and the end."""
    if limit is None or len(indexes) <= limit:
        return list(indexes)
    centre = next((place for place, index in enumerate(indexes) if index == mark), len(indexes) - 1)
    share = max(1, limit // 3)
    kept = {*range(share), *range(centre - share + 1, centre + share // 2 + 1)}
    kept |= set(range(len(indexes) - max(1, limit - share - share - share // 2), len(indexes)))
    return list(_with_gaps(indexes, kept))


def _with_gaps(indexes: list[int], kept: set[int]) -> Iterator[int | Gap]:
    skipped = 0
    for place, index in enumerate(indexes):
        if place not in kept:
            skipped += 1
            continue
        if skipped:
            yield Gap(skipped)
            skipped = 0
        yield index


_ASKS = {"websocket.connect": Connect, "websocket.receive": Sent}
_ANSWERS = {
    Accepted: "websocket.accept",
    Message: "websocket.send",
    Closed: "websocket.close",
    Rejected: "websocket.close",
}


def _pair(transcript: Transcript) -> dict[int, int]:
    """Where each thing that crossed the link was seen at the other end: index → index.

    Both directions of a connection keep their order, so of equal messages the first sent is the first seen.
    """
    waiting: dict[tuple[str, Any, Any], deque[int]] = defaultdict(deque)
    arrivals: dict[int, int] = {}
    for index, record in enumerate(transcript):
        begins, ends = _kinds(record)
        key = (record.client, begins or ends, payload_of(record.event))
        if begins is not None:
            waiting[key].append(index)
        elif ends is not None and waiting[key]:
            arrivals[waiting[key].popleft()] = index
    return arrivals


def payload_of(event: Any) -> str | bytes | None:
    """The message that an event carries, if it is one."""
    if isinstance(event, (Sent, Message)):
        return event.data
    if not isinstance(event, dict):
        return None
    data = event.get("text") if event.get("text") is not None else event.get("bytes")
    if isinstance(data, (bytearray, memoryview)):
        return bytes(data)
    return data if isinstance(data, (str, bytes)) else None


def _kinds(record: Record) -> tuple[Any, Any]:
    """What of the two a record is: the beginning or the arrival of something that crosses the link."""
    if record.direction is Direction.CLIENT:
        return type(record.event), None
    if record.direction is Direction.SEND:
        return _type_of(record.event), None
    if record.direction is Direction.RECEIVE:
        return None, _ASKS.get(_type_of(record.event))
    return None, _ANSWERS.get(type(record.event))


def _type_of(event: Any) -> str:
    return str(event.get("type", "")) if isinstance(event, dict) else ""


class _Teller:
    """Makes steps out of records."""

    def __init__(self, transcript: Transcript, arrivals: dict[int, int], chosen: list[int]) -> None:
        self._transcript = transcript
        self._arrivals = arrivals
        self._start = transcript[0].time if transcript else 0.0
        self._read = {record.client for record in transcript if record.direction is Direction.RECEIVE}
        self._mask = Mask(secrets_in(_telling(transcript, chosen)))

    def step(self, index: int) -> Step:
        record = self._mask.record(self._transcript[index])
        arrival = self._arrivals.get(index)
        arrives = None if arrival is None else self._transcript[arrival].time - self._start
        way = _way(record)
        return Step(
            index,
            record,
            record.time - self._start,
            way,
            self._text(record, arrival),
            isinstance(record.event, (Dropped, Leave, Lost, Closed, Rejected, Reading)) or _closes(record),
            arrival,
            arrives,
            arrival is None and self._is_lost(record),
        )

    def _text(self, record: Record, arrival: int | None) -> str:
        seen = None if arrival is None else self._transcript[arrival].event
        if isinstance(seen, Rejected):
            return describe_event(self._mask.record(self._transcript[arrival or 0]).event)
        return describe_event(record.event)

    def _is_lost(self, record: Record) -> bool:
        if record.direction is Direction.SEND:
            return _type_of(record.event) in _ANSWERS.values()
        return type(record.event) is Sent and record.client in self._read


def _telling(transcript: Transcript, chosen: list[int]) -> Iterator[Record]:
    """The records in which secrets are named: every handshake, and what is going to be told."""
    yield from (record for record in transcript if isinstance(record.event, (Connect, Accepted)))
    yield from (transcript[index] for index in chosen)


def _way(record: Record) -> Way:
    if record.direction is Direction.FACT or isinstance(record.event, Fact):
        return "fact"
    if isinstance(record.event, (Dropped, Reading)):
        return "client"
    if record.direction is Direction.RECEIVE:
        return "app"
    return "to app" if record.direction is Direction.CLIENT else "to client"


def _closes(record: Record) -> bool:
    return _type_of(record.event) == "websocket.close"


def describe_event(event: Any) -> str:
    """What happened, in one line."""
    describe = _EVENTS.get(type(event))
    if describe is not None:
        return describe(event)
    return _describe_asgi(event) if isinstance(event, dict) else printable(repr(event))


def _describe_asgi(event: dict[str, Any]) -> str:
    describe = _ASGI.get(_type_of(event))
    try:
        return describe(event) if describe is not None else _raw(event)
    except (TypeError, ValueError, AttributeError):  # malformed: that may be the very failure
        return _raw(event)


def _raw(event: dict[str, Any]) -> str:
    plain = to_json(Record(0.0, "", Direction.SEND, event))["event"]  # repr() of an object may hold its address
    return elide(printable(repr(plain)), WIDTH)


def _connect(event: Connect) -> str:
    offer = f", subprotocols {', '.join(map(printable, event.subprotocols))}" if event.subprotocols else ""
    return f"connect {elide(printable(event.path), WIDTH)}{offer}"


def _accepted(subprotocol: str | None) -> str:
    return f"accepted, subprotocol {printable(subprotocol)}" if subprotocol else "accepted"


def _rejected(event: Rejected) -> str:
    text = f"rejected with HTTP {event.status}"
    if event.body:
        text += f" {show(as_text(event.body))}"
    if event.app_code is not None:
        text += f" (the app closed with {_closing(event.app_code, event.app_reason)} before it accepted)"
    return text


def as_text(data: bytes) -> str | bytes:
    """Bytes as text, where they are UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _closing(code: int | None, reason: str | None) -> str:
    shown = "no code" if code is None else describe_code(code)
    return f"{shown} {show(str(reason))}" if reason else shown


def _dropped(event: Dropped) -> str:
    return "drop: connection reset" if event.reset else "drop: gone without a close frame"


def _reading(event: Reading) -> str:
    return "resume: reads again" if event.on else "stall: stops reading"


def _fact(event: Fact) -> str:
    exception = str(event.data.get("exception", "")).rpartition(".")[2]
    words = [exception or event.kind, event.message]
    text = elide(printable(": ".join(word for word in words if word)), 2 * WIDTH)
    frame = innermost(event.stack)
    return f"{text}, at {place(frame)}" if frame else text


def _payload(event: dict[str, Any]) -> str:
    data = payload_of(event)
    if data is None:
        raise TypeError(event)
    return show(data)


_EVENTS: dict[type, Callable[[Any], str]] = {
    Connect: _connect,
    Sent: lambda event: show(event.data),
    Leave: lambda event: f"close with {_closing(event.code, event.reason)}",
    Dropped: _dropped,
    Reading: _reading,
    Accepted: lambda event: _accepted(event.subprotocol),
    Rejected: _rejected,
    Message: lambda event: show(event.data),
    Closed: lambda event: f"closed with {_closing(event.code, event.reason)}",
    Lost: lambda event: f"lost without a close frame ({int(event.code)})",
    Fact: _fact,
}
_ASGI: dict[str, Callable[[dict[str, Any]], str]] = {
    "websocket.connect": lambda _event: "the app sees the handshake",
    "websocket.receive": lambda event: f"the app reads {_payload(event)}",
    "websocket.disconnect": lambda event: (
        f"the app sees the disconnect: {_closing(event.get('code', 1005), event.get('reason'))}"
    ),
    "websocket.accept": lambda event: _accepted(event.get("subprotocol")),
    "websocket.send": _payload,
    "websocket.close": lambda event: f"closed with {_closing(event.get('code', 1000), event.get('reason'))}",
}


def innermost(stack: Stack) -> Frame | None:
    """The innermost frame of the user's own code, else the innermost of all."""
    users = [frame for frame in stack if frame.user]
    return next(reversed(users or stack), None)


def place(frame: Frame) -> str:
    """`file:line in function`."""
    return printable(f"{frame.file}:{frame.line} in {frame.function}")


def show(data: str | bytes, limit: int = WIDTH) -> str:
    """A payload for one line: JSON as it came, other text quoted, binary as hex, elided in the middle."""
    if isinstance(data, bytes):
        return _show_bytes(data, limit)
    shown = printable(elide(data, limit))
    return elide(shown if data[:1] in ("{", "[") else _quote(shown), 2 * limit)


def _show_bytes(data: bytes, limit: int) -> str:
    room = max(2, limit // 3)
    if len(data) <= room:
        return f"bytes {data.hex(' ')}".rstrip() if data else "no bytes"
    head, tail = room * 2 // 3, room - room * 2 // 3
    return f"bytes {data[:head].hex(' ')} … {len(data) - room:,} more … {data[-tail:].hex(' ')}"


def _quote(text: str) -> str:
    quote = '"' if "'" in text and '"' not in text else "'"
    return f"{quote}{text}{quote}"


def elide(text: str, limit: int) -> str:
    """Cut a long text in its middle and say how much is missing."""
    if len(text) <= limit + SPARE:
        return text
    tail = limit // 4
    return f"{text[: limit - tail]} … {len(text) - limit:,} more … {text[len(text) - tail :]}"


def printable(text: str, keep: Iterable[str] = ()) -> str:
    """Escape what a terminal would obey or an encoder refuse: controls, direction marks, lone surrogates."""
    if text.isprintable():
        return text
    kept = frozenset(keep)
    return "".join(
        char if char.isprintable() or char in kept else char.encode("unicode_escape").decode() for char in text
    )

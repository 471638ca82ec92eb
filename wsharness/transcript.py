"""The one ordered record of what happened in a run, as plain data."""

import json
from collections.abc import Callable, Iterable, Iterator, MutableSequence
from dataclasses import field, fields, is_dataclass
from enum import Enum
from functools import partial
from itertools import chain
from threading import Lock
from typing import Any, ClassVar, NamedTuple, TypeAlias, overload

from wsharness.asgi import ASGIEvent
from wsharness.events import ClientEvent, value


class Direction(str, Enum):
    """Who did what: the arrow of a record."""

    CLIENT = "client"
    """The client did it: Connect, Sent, Leave, Dropped, Stall, Resume."""
    SERVER = "server"
    """The client saw it: Accepted, Rejected, Message, Closed, Lost."""
    RECEIVE = "receive"
    """The app's `receive()` returned this ASGI event."""
    SEND = "send"
    """The app called `send()` with this ASGI event."""
    FACT = "fact"
    """Something the harness found out: see Fact."""


@value
class Connect:
    """A client asks for a connection."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    subprotocols: tuple[str, ...] = ()


@value
class Sent:
    """A client sends a whole message."""

    data: str | bytes


@value
class Leave:
    """A client closes with a close frame; code None is a frame without a code."""

    code: int | None = 1000
    reason: str = ""


@value
class Dropped:
    """A client's connection is lost: FIN, or RST where `reset` is set."""

    reset: bool = False


@value
class Reading:
    """A client stops (`on=False`) or goes on reading."""

    on: bool


ClientAct: TypeAlias = Connect | Sent | Leave | Dropped | Reading


class Frame(NamedTuple):
    """One place in the code; `user` tells the user's own code from frameworks and the standard library."""

    file: str
    line: int
    function: str
    user: bool = True


Stack: TypeAlias = tuple[Frame, ...]
"""From the outermost frame to the innermost."""


@value
class Fact:
    """Something a probe found out; `kind` names it, `stack` says where."""

    kind: str
    message: str = ""
    stack: Stack = ()
    data: dict[str, Any] = field(default_factory=dict)


class Record(NamedTuple):
    """One line of the transcript.

    `client` names the connection: the client's name, then `name#2` for its second connection.
    """

    time: float
    client: str
    direction: Direction
    event: ClientEvent | ClientAct | ASGIEvent | Fact


Add: TypeAlias = Callable[[tuple[float, str, Direction, Any]], None]
_new_record: Callable[[tuple[float, str, Direction, Any]], Record] = partial(tuple.__new__, Record)
_looking = Lock()
_FACT = Direction.FACT  # an enum's own lookup is slow


class Transcript(MutableSequence[Record]):
    """Records in the order in which they happened.

    What is added becomes records when somebody looks. Until then its parts lie flat in one list: there are four
    records for each message there and back, and each would cost its making, and every collection of garbage after it.
    """

    __slots__ = ("_parts", "_records", "add")

    def __init__(self, records: Iterable[Record] = ()) -> None:
        self._records = list(records)
        self._parts: list[Any] = []
        self.add: Add = self._parts.extend
        """Append a record, given by its four parts."""

    def _all(self) -> list[Record]:
        if self._parts:
            with _looking:  # a watching thread may look too
                count = len(self._parts)
                parts = iter(self._parts[:count])
                self._records += map(_new_record, zip(parts, parts, parts, parts, strict=True))
                del self._parts[:count]
        return self._records

    @overload
    def __getitem__(self, index: int) -> Record: ...

    @overload
    def __getitem__(self, index: slice) -> list[Record]: ...

    def __getitem__(self, index: int | slice) -> Record | list[Record]:
        return self._all()[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        self._all()[index] = value

    def __delitem__(self, index: int | slice) -> None:
        del self._all()[index]

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Record]:
        return iter(self._all() if self._parts else self._records)  # checks look through it again and again

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Transcript) else other)

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # it grows

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._all()!r})"

    def __reduce__(self) -> Any:
        return type(self), (self._all(),)

    def insert(self, index: int, value: Record) -> None:
        """Insert a record before that index."""
        self._all().insert(index, value)

    def append(self, value: Record) -> None:
        """Append a record."""
        self.add(value)

    def of(self, client: str) -> Iterator[Record]:
        """The records of one connection."""
        return (record for record in self if record.client == client)

    def facts(self, kind: str | None = None) -> Iterator[Record]:
        """The facts that probes wrote, of one kind or all."""
        for record in self:
            if isinstance(record.event, Fact) and (kind is None or record.event.kind == kind):
                yield record

    @property
    def end(self) -> float:
        """When the last record was made."""
        last: float = self._parts[-4] if self._parts else self._records[-1].time if self._records else 0.0
        return last

    def kinds(self) -> set[str | type]:
        """What there is: the kinds of facts, and the classes of all other events."""
        read = ((record.direction, record.event) for record in self._records)
        unread = zip(self._parts[2::4], self._parts[3::4], strict=True)
        return {event.kind if way is _FACT else type(event) for way, event in chain(read, unread)}

    def to_ndjson(self) -> str:
        """One JSON object a line, the same bytes for the same transcript."""
        return "".join(json.dumps(to_json(record), ensure_ascii=True) + "\n" for record in self)


class Progress:
    """Whether a run gets on, for a loop that asks now and then: a number that moves when it does.

    What clients do is progress, and what the app hears of them. What the app sends is none by itself, or one that
    sends on and on would never be found out; only where it went to many clients it is.
    """

    _MANY = 1_000  # records; a broadcast to many clients makes them, a few for each
    _FEW = 10

    def __init__(self, find: Callable[[], Iterable[Transcript]]) -> None:
        self._find = find
        self._seen: dict[int, int] = {}
        self._moved = 0

    def __call__(self) -> int:
        """Look at what is new since the last look."""
        for number, transcript in enumerate(self._find()):
            new = transcript[self._seen.get(number, 0) :]
            self._seen[number] = len(transcript)
            clients = {record.client for record in new}
            if any(map(_moves, new)) or self._MANY <= len(new) < self._FEW * len(clients):
                self._moved += 1
        return self._moved

    def forget_later(self) -> None:
        """Take out of the transcripts what came after the last look."""
        for number, transcript in enumerate(self._find()):
            del transcript[self._seen.get(number, 0) :]


def _moves(record: Record) -> bool:
    if record.direction is Direction.RECEIVE:
        return bool(record.event["type"] != "websocket.disconnect")  # type: ignore[index]  # some servers repeat it
    return record.direction is Direction.CLIENT


def to_json(record: Record) -> dict[str, Any]:
    """A record as JSON's own types: `{"time", "client", "direction", "event": {...}}`; bytes as `{"hex": ...}`."""
    return {
        "time": round(record.time, 9),
        "client": record.client,
        "direction": record.direction.value,
        "event": _event_to_json(record.event),
    }


def _event_to_json(event: Any) -> dict[str, Any]:
    if is_dataclass(event):
        return {"event": type(event).__name__} | {f.name: _plain(getattr(event, f.name)) for f in fields(event)}
    return {str(key): _plain(value) for key, value in event.items()}


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"hex": bytes(value).hex(" ")}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    return type(value).__name__

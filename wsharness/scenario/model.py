"""What a scenario is: clients, steps, and for a generated one how it was run; and its YAML."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from wsharness.errors import UsageError
from wsharness.scenario.writing import duration, escaped, flow, hex_pairs, key_text, pattern_data, scalar


class Verb(StrEnum):
    """What a step does."""

    CONNECT = "connect"
    """value: None, or a mapping: what overrides the client's keys, and one of `accepted`, `rejected`."""
    SEND = "send"
    """value: text, sent verbatim, or anything that JSON can say."""
    SEND_BYTES = "send_bytes"
    """value: bytes."""
    EXPECT = "expect"
    """value: a pattern for the next message."""
    WAIT_FOR = "wait_for"
    """value: a pattern; messages before the one that matches are skipped."""
    EXPECT_NONE = "expect_none"
    """value: for how many seconds, or None."""
    EXPECT_CLOSE = "expect_close"
    """value: None, a close code, or a mapping with patterns for `code` and `reason`."""
    CLOSE = "close"
    """value: None, a close code, or a mapping with `code` and `reason`."""
    DROP = "drop"
    """value: None, or `{"reset": True}`."""
    STALL = "stall"
    """The client stops reading; value: None, or `{"full": True}`: all buffers on its way are full already."""
    RESUME = "resume"
    """It goes on reading; value: None."""
    PAUSE = "pause"
    """value: seconds; the step belongs to no client."""


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """What a client asks for when it connects."""

    path: str = "/"
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: Mapping[str, str] = field(default_factory=dict)
    subprotocols: tuple[str, ...] = ()
    ignore: tuple[Any, ...] = ()
    """Patterns of messages that `expect` passes over."""
    link: Mapping[str, Any] | None = None
    """What the way to the server does: names of `wsharness.link.Faults`, in seconds and bytes."""

    def merged(self, changes: Mapping[str, Any]) -> "ClientSpec":
        """This with the keys of a `connect` mapping: mappings merge per key, null removes."""
        fields: dict[str, Any] = {}
        if "path" in changes:
            fields["path"] = changes["path"]
        if "subprotocols" in changes:
            fields["subprotocols"] = tuple(changes["subprotocols"] or ())
        if "link" in changes:
            fields["link"] = changes["link"]
        for key in ("query", "headers", "cookies"):
            if key in changes:
                fields[key] = _merged(getattr(self, key), changes[key] or {}, any_case=key == "headers")
        return replace(self, **fields)


def _merged(old: Mapping[str, str], new: Mapping[str, str | None], *, any_case: bool) -> dict[str, str]:
    """The old pairs but those named anew; header names are the same in any case (RFC 9110 section 5.1)."""
    named = {name.lower() if any_case else name for name in new}
    kept = {name: value for name, value in old.items() if (name.lower() if any_case else name) not in named}
    return kept | {name: value for name, value in new.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Step:
    """One client's one verb, or a pause of the whole scenario (client None); times are in seconds."""

    client: str | None
    verb: Verb
    value: Any = None
    within: float | None = None
    """How long to wait; None is the harness's limit."""
    after: float | None = None
    """How long to wait before it."""
    note: str = ""
    line: int | None = field(default=None, compare=False)
    """Where it stands in its file."""


ANY_CHECK = "any"
"""What a generated scenario expects before it has shown something."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """How a scenario was or is to be run, so that `replay` needs nothing else."""

    app: str | None = None
    """MODULE:APP"""
    app_dir: str | None = None
    factory: bool = False
    profile: str | None = None
    seed: int = 0
    schedule: str | dict[int, int] = "fifo"
    """fifo, random, pct, or the deviations from fifo: contested step → which task."""
    faults: Mapping[str, Any] | None = None
    """Client → what its link does."""
    lifespan: str | None = None
    timeout: float | None = None
    expects: str | None = None
    """The check code that a replay must show again; ANY_CHECK before there is one."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A conversation: who takes part, and what each does in which order."""

    name: str = ""
    clients: Mapping[str, ClientSpec] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()
    tags: tuple[str, ...] = ()
    run: RunInfo | None = None
    file: str = field(default="", compare=False)
    """Where it was loaded from."""
    line: int | None = field(default=None, compare=False)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002 (IPython's protocol, and Hypothesis')
        """As its file, which can be copied from a report of Hypothesis."""
        try:
            text = to_yaml(self)
        except UsageError:
            printer.text(repr(self))
            return
        quotes = "'''" if "'''" not in text else '"""'
        printer.text(f"loads(r{quotes}\n{text}{quotes})[0]" if quotes not in text else f"loads({text!r})[0]")


BARE = (Verb.CONNECT, Verb.CLOSE, Verb.DROP, Verb.STALL, Verb.RESUME, Verb.EXPECT_NONE, Verb.EXPECT_CLOSE)
"""What may stand without a value."""
CONTROL = ("pause", "call", "use", "together", "repeat", "steps")
"""What a step may begin with that is no client's name."""
MAX_NAME = 100


def is_client_name(name: str) -> bool:
    """Whether a file can call a client so."""
    return 0 < len(name) <= MAX_NAME and name.isprintable() and name not in CONTROL


# As a file

PATTERNS = (Verb.EXPECT, Verb.WAIT_FOR, Verb.EXPECT_CLOSE)
MAPPINGS = ("query", "headers", "cookies")


def to_yaml(scenario: Scenario) -> str:
    """The scenario as a document that loads back to an equal one; UsageError for what a file cannot say."""
    lines = ["wsharness: 1"]
    if scenario.name:
        lines.append(f"name: {scalar(scenario.name)}")
    if scenario.tags:
        lines.append(f"tags: {flow(list(scenario.tags))}")
    clients = [f"  {_name(name)}: {flow(_client(spec))}" for name, spec in scenario.clients.items()]
    lines += ["clients:", *clients] if clients else ["clients: {}"]
    steps = list(_steps(scenario.steps))
    lines += ["steps:", *steps] if steps else ["steps: []"]
    if scenario.run is not None:
        lines.append(f"run: {flow(_run(scenario.run))}")
    return "\n".join(lines) + "\n"


LONG = 4
"""Of so many equal steps in a row, and more, a file says how often."""


def _steps(steps: tuple[Step, ...]) -> Iterator[str]:
    """Steps as they stand in a file; the shortest cycle that repeats is written once."""
    place = 0
    while place < len(steps):
        size, times = _cycle(steps, place)
        if times < LONG:
            yield f"  - {_step(steps[place])}"
            place += 1
            continue
        yield f"  - repeat: {times}"
        yield "    steps:"
        yield from (f"      - {_step(step)}" for step in steps[place : place + size])
        place += size * times


def _cycle(steps: tuple[Step, ...], place: int) -> tuple[int, int]:
    """The size of a cycle of steps from a place on, and how often it comes."""
    for size in range(1, MAX_CYCLE + 1):
        part = steps[place : place + size]
        times = 1
        while steps[place + size * times : place + size * (times + 1)] == part:
            times += 1
        if times >= LONG:
            return size, times
    return 1, 1


MAX_CYCLE = 6


def _name(client: str | None) -> str:
    if client is None or not is_client_name(client):
        raise UsageError(f"a file cannot say a client {client!r}; give it another name")
    return key_text(client)


def _client(spec: ClientSpec) -> dict[str, Any]:
    shown: dict[str, Any] = {"path": escaped(spec.path)}
    shown |= {key: _texts(getattr(spec, key)) for key in MAPPINGS if getattr(spec, key)}
    if spec.subprotocols:
        shown["subprotocols"] = [escaped(name) for name in spec.subprotocols]
    if spec.ignore:
        shown["ignore"] = [pattern_data(pattern) for pattern in spec.ignore]
    if spec.link:
        shown["link"] = link_data(spec.link)
    return shown


LINK_TIMES = ("latency", "jitter", "slow_close", "reset_peer")
"""What of a link is a duration."""


def link_data(link: Mapping[str, Any]) -> dict[str, Any]:
    """A link as the grammar's plain data: durations have their unit."""
    return {key: duration(value) if key in LINK_TIMES else value for key, value in link.items() if value is not None}


def _texts(pairs: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: escaped(value) for name, value in pairs.items()}


def _run(info: RunInfo) -> dict[str, Any]:
    """What differs from the defaults; the seed and the profile are always said."""
    shown = {
        one.name: getattr(info, one.name)
        for one in fields(info)
        if getattr(info, one.name) != one.default or one.name == "seed"
    }
    if isinstance(info.schedule, dict):
        shown["schedule"] = {str(step): which for step, which in info.schedule.items()}
    if info.timeout is not None:
        shown["timeout"] = duration(info.timeout)
    return shown


def _step(step: Step) -> str:
    if step.verb is Verb.PAUSE:
        shown: Any = {"pause": duration(step.value), **_extras(step)}
        return flow(shown) if len(shown) > 1 else f"pause: {shown['pause']}"
    verb, value = step.verb.value, _value(step)
    shown = {verb: value, **_extras(step)}
    return f"{_name(step.client)}: {verb if step.verb in BARE and value is None and len(shown) == 1 else flow(shown)}"


def _extras(step: Step) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: duration(getattr(step, name)) for name in ("within", "after") if getattr(step, name) is not None
    }
    return shown | ({"note": step.note} if step.note else {})


def _value(step: Step) -> Any:
    verb, value = step.verb, step.value
    if isinstance(value, (bytes, bytearray, memoryview)) and verb in (Verb.SEND, Verb.SEND_BYTES):
        return {"hex": hex_pairs(value)}
    if verb in PATTERNS:
        return pattern_data(value)
    if verb is Verb.EXPECT_NONE:
        return None if value is None else duration(value)
    if verb is Verb.CONNECT and isinstance(value, Mapping):
        return {key: _connect_value(key, item) for key, item in value.items()}
    return escaped(value)


def _connect_value(key: str, value: Any) -> Any:
    if key in ("accepted", "rejected"):
        return pattern_data(value)
    if key == "link" and value is not None:
        return link_data(value)
    return _texts(value) if key in MAPPINGS and value is not None else escaped(value)

"""Reads `run`: how a scenario of a file was or is to be run."""

from collections.abc import Callable
from typing import Any

from wsharness.scenario.model import RunInfo
from wsharness.scenario.nodes import Mapping, Node, Scalar, Sequence, core, kind, pairs
from wsharness.scenario.values import Values

KEYS = tuple(RunInfo.__dataclass_fields__)
LIFESPANS = ("auto", "on", "off")


def read_run(node: Node, values: Values) -> RunInfo:
    """The mapping `run` of a scenario; `$` means nothing there."""
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected run to be a mapping such as {{seed: 7}}; got {kind(node)}")
        return RunInfo()
    found: dict[str, Any] = {}
    for name, key, value in pairs(node):
        if name in KEYS:
            found[name] = _READERS.get(name, _text)(value, values)
        else:
            values.problems.unknown(key, "key", name, KEYS)
    return RunInfo(**found)


def _text(node: Node, values: Values) -> str | None:
    if isinstance(node, Scalar):
        return None if core(node) is None else node.text
    values.problems.add(node, f"expected text; got {kind(node)}")
    return None


def _seed(node: Node, values: Values) -> int:
    seed = core(node) if isinstance(node, Scalar) else None
    if type(seed) is int:
        return seed
    values.problems.add(node, f"expected the seed to be a whole number; got {kind(node)}")
    return 0


def _factory(node: Node, values: Values) -> bool:
    factory = core(node) if isinstance(node, Scalar) else None
    if not isinstance(factory, bool):
        values.problems.add(node, f"expected factory to be true or false; got {kind(node)}")
    return factory is True


def _schedule(node: Node, values: Values) -> str | dict[int, int]:
    if not isinstance(node, Mapping):
        return _text(node, values) or "fifo"
    schedule: dict[int, int] = {}
    for name, key, value in pairs(node):
        which = core(value) if isinstance(value, Scalar) else None
        if name.isdecimal() and name.isascii() and type(which) is int and which >= 0:
            schedule[int(name)] = which
        else:
            values.problems.add(key, f"expected a contested step and which task ran; got {name!r}: {kind(value)}")
    return schedule


def _lifespan(node: Node, values: Values) -> str | None:
    text = _text(node, values)
    if text is not None and text not in LIFESPANS:
        values.problems.unknown(node, "lifespan", text, LIFESPANS)
    return text


def _faults(node: Node, values: Values) -> dict[str, Any] | None:
    if isinstance(node, Mapping):
        return {name: _plain(value) for name, _, value in pairs(node)}
    if not isinstance(node, Scalar) or core(node) is not None:
        values.problems.add(node, f"expected faults such as {{alice: {{latency: 20ms}}}}; got {kind(node)}")
    return None


def _plain(node: Node) -> Any:
    if isinstance(node, Mapping):
        return {name: _plain(value) for name, _, value in pairs(node)}
    return [_plain(item) for item in node.items] if isinstance(node, Sequence) else core(node)


def _timeout(node: Node, values: Values) -> float:
    return values.duration(node)


_READERS: dict[str, Callable[[Node, Values], Any]] = {
    "seed": _seed,
    "factory": _factory,
    "schedule": _schedule,
    "lifespan": _lifespan,
    "faults": _faults,
    "timeout": _timeout,
}

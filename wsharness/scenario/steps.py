"""Reads the clients and the steps of a scenario file."""

from collections.abc import Callable, Iterator
from collections.abc import Sequence as Items
from dataclasses import fields
from typing import Any

from wsharness.errors import UsageError
from wsharness.events import CloseCode, is_sendable
from wsharness.link import Faults, as_faults
from wsharness.patterns import Matcher, OneOf
from wsharness.scenario.model import BARE, LINK_TIMES, ClientSpec, Step, Verb, is_client_name
from wsharness.scenario.nodes import Mapping, Node, Scalar, Sequence, core, kind, pairs
from wsharness.scenario.values import Values

CLIENT_KEYS = ("path", "query", "headers", "cookies", "subprotocols", "link", "ignore")
LATER = ("auth", "together", "call", "use")
VERBS = tuple(verb.value for verb in Verb if verb is not Verb.PAUSE)
FAULTS = tuple(field.name for field in fields(Faults))
EXTRAS = ("within", "after", "note")
UNSENDABLE = (CloseCode.NO_STATUS_RECEIVED, CloseCode.ABNORMAL_CLOSURE)
MAX_STEPS = 100_000
MAX_REASON = 123  # bytes: RFC 6455 section 5.5


def read_clients(node: Node | None, values: Values) -> dict[str, ClientSpec]:
    """The clients by their names."""
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected clients such as {{alice: {{path: /ws}}}}; got {kind(node)}")
        return {}
    found = {}
    for name, key, value in pairs(node):
        if not is_client_name(name):
            values.problems.add(key, f"{name!r} cannot be a client's name; choose another word")
        found[name] = ClientSpec(**_client(value, values))
    return found


def _client(node: Node, values: Values) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected a client such as {{path: /ws}}; got {kind(node)}")
        return {}
    _check_keys(node, CLIENT_KEYS, values)
    return {name: _CLIENT_READERS[name](value, values) for name, _, value in pairs(node) if name in CLIENT_KEYS}


def _check_keys(node: Mapping, known: Items[str], values: Values) -> None:
    for name, key, _ in pairs(node):
        if name in LATER and name not in known:
            values.problems.add(key, f"{name!r} is not supported yet")
        elif name not in known:
            values.problems.unknown(key, "key", name, known)


def _path(node: Node, values: Values) -> str:
    path = values.text(node)
    if not path.startswith("/"):
        values.problems.add(node, f"expected a path that begins with '/'; got {path!r}")
    return path


def _texts(node: Node, values: Values, *, removing: bool = False) -> dict[str, str | None]:
    """Names and texts; a null, where `removing`, takes the client's own away."""
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected a mapping of names to text; got {kind(node)}")
        return {}
    read = _text_or_null if removing else _line
    return {name: read(value, values) for name, _, value in pairs(node)}


def _text_or_null(node: Node, values: Values) -> str | None:
    return None if isinstance(node, Scalar) and core(node) is None else _line(node, values)


def _line(node: Node, values: Values) -> str:
    text = values.text(node)
    if "\n" in text or "\r" in text:
        values.problems.add(node, f"expected one line of text; got {text!r}")
    return text


def _subprotocols(node: Node, values: Values) -> tuple[str, ...]:
    return tuple(_line(item, values) for item in _items(node, "subprotocols", values))


def _ignored(node: Node, values: Values) -> tuple[Any, ...]:
    return tuple(values.pattern(item) for item in _items(node, "ignore", values))


def _items(node: Node, what: str, values: Values) -> list[Node]:
    if isinstance(node, Sequence):
        return node.items
    values.problems.add(node, f"expected {what} to be a list; got {kind(node)}")
    return []


def _link(node: Node, values: Values) -> dict[str, Any]:
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected a link such as {{latency: 20ms}}; got {kind(node)}")
        return {}
    _check_keys(node, FAULTS, values)
    return {name: _fault(name, value, values) for name, _, value in pairs(node)}


def _fault(name: str, node: Node, values: Values) -> Any:
    value = values.duration(node) if name in LINK_TIMES else values.data(node)
    try:
        as_faults({name: value})
    except UsageError as error:
        if name in FAULTS:
            values.problems.add(node, str(error))
    return value


_CLIENT_READERS: dict[str, Callable[[Node, Values], Any]] = {
    "path": _path,
    "query": _texts,
    "headers": _texts,
    "cookies": _texts,
    "subprotocols": _subprotocols,
    "ignore": _ignored,
    "link": _link,
}


class Steps:
    """Reads steps, and knows whose they may be."""

    def __init__(self, clients: dict[str, ClientSpec]) -> None:
        self._clients = clients
        self._count = 0

    def read(self, node: Node, values: Values) -> Iterator[Step]:
        """The steps of a list; repeated ones are written out."""
        if not isinstance(node, Sequence):
            values.problems.add(node, f"expected steps to be a list; got {kind(node)}")
            return
        for item in node.items:
            if isinstance(item, Mapping) and item.pairs:
                yield from self._step(item, values)
            else:
                values.problems.add(item, f"expected a step such as 'alice: connect'; got {kind(item)}")

    def _step(self, node: Mapping, values: Values) -> Iterator[Step]:
        self._count += 1
        if "repeat" in node.pairs:
            yield from self._repeat(node, values)
        elif "pause" in node.pairs:
            yield _pause(node, values)
        elif (late := next((name for name in LATER if name in node.pairs), None)) is not None:
            values.problems.add(node.pairs[late][0], f"{late!r} is not supported yet")
        else:
            yield from self._client_step(node, values)

    def _repeat(self, node: Mapping, values: Values) -> Iterator[Step]:
        _check_keys(node, ("repeat", "steps"), values)
        times = values.data(node.pairs["repeat"][1])
        if not isinstance(times, int) or isinstance(times, bool) or times < 0:
            values.problems.add(node.pairs["repeat"][1], f"expected how often to repeat; got {times!r}")
            times = 1
        if "steps" not in node.pairs:
            values.problems.add(node, "'repeat' needs 'steps'")
            return
        for loop in range(1, times + 1):
            yield from self.read(node.pairs["steps"][1], values.with_variables(loop=loop))
            self._count += 1
            if self._count > MAX_STEPS:
                values.problems.add(node, f"more than {MAX_STEPS} steps; repeat less often")
                return

    def _client_step(self, node: Mapping, values: Values) -> Iterator[Step]:
        strays = [name for name in node.pairs if name in EXTRAS and name not in self._clients]
        names = [name for name in node.pairs if name not in strays]
        if len(names) != 1:
            values.problems.add(node, f"expected one client in a step; got {', '.join(map(repr, names)) or 'none'}")
            return
        (name,) = names
        for stray in strays:
            hint = f"write it inside the braces: {{…, {stray}: …}}"
            values.problems.add(node.pairs[stray][0], f"{stray!r} belongs to the verb of {name!r}; {hint}")
        key, action = node.pairs[name]
        if name not in self._clients:
            values.problems.unknown(key, "client", name, self._clients)
        step = _action(name, action, node.place.line, values)
        if step is not None:
            yield step


def _pause(node: Mapping, values: Values) -> Step:
    _check_keys(node, ("pause", "after", "note"), values)
    return Step(
        None,
        Verb.PAUSE,
        values.duration(node.pairs["pause"][1]),
        line=node.place.line,
        **_extras(node, values),
    )


def _extras(node: Mapping, values: Values) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: values.duration(node.pairs[name][1]) for name in ("within", "after") if name in node.pairs
    }
    if "note" in node.pairs:
        note = node.pairs["note"][1]
        if isinstance(note, Scalar):
            found["note"] = note.text
        else:
            values.problems.add(note, f"expected a note to be text; got {kind(note)}")
    return found


def _action(client: str, node: Node, line: int, values: Values) -> Step | None:
    """What a client does: one verb, and when."""
    if isinstance(node, Scalar):
        verb = _bare_verb(node, values)
        return None if verb is None else Step(client, verb, line=line)
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected a verb such as {{send: hi}}; got {kind(node)}")
        return None
    _check_keys(node, (*VERBS, *EXTRAS), values)
    verbs = [name for name in node.pairs if name in VERBS]
    if len(verbs) == 1:
        verb = Verb(verbs[0])
        value = _READERS[verb](node.pairs[verb][1], values)
        return Step(client, verb, value, line=line, **_extras(node, values))
    if verbs or all(name in EXTRAS for name in node.pairs):
        found = ", ".join(map(repr, verbs)) or "none"
        values.problems.add(node, f"expected one verb in a step; got {found}; write one step for each")
    return None


def _bare_verb(node: Scalar, values: Values) -> Verb | None:
    if node.text in LATER:
        values.problems.add(node, f"{node.text!r} is not supported yet")
    elif node.text not in VERBS:
        values.problems.unknown(node, "verb", node.text, VERBS)
    elif Verb(node.text) not in BARE:
        values.problems.add(node, f"{node.text!r} needs a value: {{{node.text}: …}}")
    else:
        return Verb(node.text)
    return None


# What stands behind each verb


def _is_null(node: Node) -> bool:
    return isinstance(node, Scalar) and core(node) is None


def _connect(node: Node, values: Values) -> dict[str, Any] | None:
    if _is_null(node):
        return None
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected connect with a mapping such as {{rejected: 403}}; got {kind(node)}")
        return None
    _check_keys(node, (*CLIENT_KEYS[:-1], "accepted", "rejected"), values)
    if "accepted" in node.pairs and "rejected" in node.pairs:
        values.problems.add(node, "expected one outcome; got 'accepted' and 'rejected'")
    return {name: _CONNECT_READERS[name](value, values) for name, _, value in pairs(node) if name in _CONNECT_READERS}


def _changes(node: Node, values: Values) -> dict[str, str | None] | None:
    return None if _is_null(node) else _texts(node, values, removing=True)


def _link_changes(node: Node, values: Values) -> dict[str, Any] | None:
    return None if _is_null(node) else _link(node, values)


def _subprotocol_changes(node: Node, values: Values) -> tuple[str, ...] | None:
    return None if _is_null(node) else _subprotocols(node, values)


def _accepted(node: Node, values: Values) -> Any:
    return _outcome(node, ("subprotocol", "headers"), values)


def _rejected(node: Node, values: Values) -> Any:
    if isinstance(node, Mapping) and not any(name.startswith("$") for name in node.pairs):
        return _outcome(node, ("status", "headers", "body"), values)
    status = values.pattern(node)
    if isinstance(status, Matcher) or not isinstance(status, (int, str, list, bool, type(None))):
        return status
    if type(status) is not int or not 200 <= status <= 599:  # noqa: PLR2004 (HTTP's final statuses)
        values.problems.add(node, f"expected an HTTP status from 200 to 599; got {kind(node)}")
    return status


def _outcome(node: Node, keys: Items[str], values: Values) -> Any:
    if not isinstance(node, Mapping):
        values.problems.add(node, f"expected a mapping with {', '.join(keys)}; got {kind(node)}")
        return {}
    _check_keys(node, keys, values)
    return values.pattern(node)


_CONNECT_READERS: dict[str, Callable[[Node, Values], Any]] = {
    "path": _path,
    "query": _changes,
    "headers": _changes,
    "cookies": _changes,
    "subprotocols": _subprotocol_changes,
    "link": _link_changes,
    "accepted": _accepted,
    "rejected": _rejected,
}


def _send(node: Node, values: Values) -> Any:
    return values.data(node)


def _pattern(node: Node, values: Values) -> Any:
    return values.pattern(node)


def _send_bytes(node: Node, values: Values) -> bytes:
    if isinstance(node, Mapping) and len(node.pairs) == 1:
        ((name, (key, value)),) = node.pairs.items()
        if name == "hex":
            return values.hex_pairs(value)
        if name == "text":
            return values.text(value).encode("utf-8", "surrogatepass")
        values.problems.unknown(key, "key", name, ("hex", "text"))
    else:
        values.problems.add(node, f"expected {{hex: 00 ff}} or {{text: hi}}; got {kind(node)}")
    return b""


def _silence(node: Node, values: Values) -> float | None:
    return None if _is_null(node) else values.duration(node)


def _close(node: Node, values: Values) -> Any:
    ending = _ending(node, values, ("code", "reason"), values.data)
    code, reason = (ending.get("code"), ending.get("reason")) if isinstance(ending, dict) else (ending, None)
    where = node.pairs["code"][1] if isinstance(node, Mapping) and "code" in node.pairs else node
    if code is not None and type(code) is not int:
        values.problems.add(where, f"expected a close code; got {code!r}")
    else:
        _check_code(code, where, values)
    if reason is not None and not isinstance(reason, str):
        values.problems.add(node, f"expected a close reason to be text; got {reason!r}")
    elif reason is not None and len(reason.encode("utf-8", "surrogatepass")) > MAX_REASON:
        values.problems.add(node, f"a close reason has at most {MAX_REASON} bytes; got {len(reason.encode())}")
    return ending


def _expect_close(node: Node, values: Values) -> Any:
    if isinstance(node, Mapping) and any(name.startswith("$") for name in node.pairs):
        ending = values.pattern(node)
    else:
        ending = _ending(node, values, ("code", "reason"), values.pattern)
    code = ending.get("code") if isinstance(ending, dict) else ending
    where = node.pairs["code"][1] if isinstance(node, Mapping) and "code" in node.pairs else node
    for one in code.choices if isinstance(code, OneOf) else (code,):
        if one not in UNSENDABLE:
            _check_code(one, where, values)
    if isinstance(code, (str, list)):
        values.problems.add(where, f"expected a close code; got {code!r}")
    return ending


def _check_code(code: Any, node: Node, values: Values) -> None:
    if isinstance(code, (int, float)) and not is_sendable(int(code)):
        legal = "1000-1003, 1007-1014 or 3000-4999"
        values.problems.add(node, f"no close frame may carry the close code {code!r}; expected {legal}")


def _ending(node: Node, values: Values, keys: Items[str], read: Callable[[Node], Any]) -> Any:
    if isinstance(node, Mapping):
        _check_keys(node, keys, values)
    return read(node)


def _flagged(verb: str, flag: str) -> Callable[[Node, Values], Any]:
    """A verb that stands alone or with one thing that may be true."""

    def read(node: Node, values: Values) -> Any:
        if _is_null(node):
            return None
        if isinstance(node, Mapping) and list(node.pairs) == [flag]:
            value = values.data(node.pairs[flag][1])
            if isinstance(value, bool):
                return {flag: value}
        values.problems.add(node, f"expected {verb} alone or with {{{flag}: true}}; got {kind(node)}")
        return None

    return read


def _nothing(node: Node, values: Values) -> None:
    if not _is_null(node):
        values.problems.add(node, f"expected resume alone; got {kind(node)}")


_READERS: dict[Verb, Callable[[Node, Values], Any]] = {
    Verb.CONNECT: _connect,
    Verb.SEND: _send,
    Verb.SEND_BYTES: _send_bytes,
    Verb.EXPECT: _pattern,
    Verb.WAIT_FOR: _pattern,
    Verb.EXPECT_NONE: _silence,
    Verb.EXPECT_CLOSE: _expect_close,
    Verb.CLOSE: _close,
    Verb.DROP: _flagged("drop", "reset"),
    Verb.STALL: _flagged("stall", "full"),
    Verb.RESUME: _nothing,
}

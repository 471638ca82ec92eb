"""Which messages an app may understand, read from its source: the keys it looks for and what it compares them with."""

import ast
import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wsharness.sources import (
    SEVERAL,
    Function,
    Source,
    fields_of,
    first_line,
    index,
    last_name,
    members_of,
    named_by,
    names_in,
    pairs,
    parameters_of,
    registered,
    text_in,
)
from wsharness.words import WHOLE, Words

_MESSAGES = (ast.Name, ast.Call, ast.Attribute, ast.Await)
LOOKUPS = ("get", "pop", "setdefault")
NUMBERS = ("int", "float", "abs", "round", "range", "min", "max")
TEXT = "alice"
TYPES = {"str": "text", "int": "number", "float": "number", "list": "array", "dict": "object", "bool": "boolean"}
"""Python's name → JSON's."""
EXAMPLES: dict[str, Any] = {"number": 1, "boolean": True, "array": [], "object": {}, "text": TEXT}
WRITTEN = {
    "datetime": "2030-01-01T00:00:00",
    "date": "2030-01-01",
    "time": "12:00:00",
    "UUID": "00000000-0000-4000-8000-000000000001",
    "Decimal": "1.5",
    "b64decode": "YWxpY2U=",
    "urlsafe_b64decode": "YWxpY2U=",
    "fromhex": "0a",
    "unhexlify": "0a",
    "ip_address": "127.0.0.1",
}
"""A type or a function that reads a text → what it reads."""
PACKINGS = {"msgpack": "msgpack", "packb": "msgpack", "unpackb": "msgpack", "cbor2": "cbor2"}
"""Name → the module that makes bytes of JSON's values."""
PLACES = {
    "query_params": "query",
    "args": "query",
    "headers": "headers",
    "cookies": "cookies",
    "path_params": "params",
    "scope": "scope",
}
"""Attributes that are no message, and what of a handshake they hold."""
QUERIES = ("parse_qs", "parse_qsl")
DECODES = ("loads", "receive_json", "iter_json")
RECEIVES = ("receive_text", "iter_text")
SPLITS = ("split", "rsplit", "partition", "rpartition", "splitlines")
OF_TEXT = ("strip", "removeprefix", "removesuffix", "replace")
"""What makes a text of a text."""
CASTS = ("str", "int", "float", "bool")
SOME_TIME = dt.datetime(2030, 1, 1)  # noqa: DTZ001 (to be written down)
DEEPEST = 3  # names that are followed from one to the next
STRUCT = ("pack", "unpack", "pack_into", "unpack_from", "iter_unpack", "calcsize", "Struct")


Call: TypeAlias = tuple[str | None, str, Function]
"""The key that chooses a function, the value that does, the function."""


@dataclass(slots=True)
class Flow:
    """What one reading tells the next."""

    held: dict[int, dict[str, str]] = field(default_factory=dict)
    """Function → parameter → the key whose value it is given."""
    keys: frozenset[str] = frozenset()
    """What is looked for: a variable of that name may hold its value."""
    chosen: dict[int, Call] = field(default_factory=dict)
    """Functions that a value chooses."""
    given: Mapping[str, str] = field(default_factory=dict)
    """Parameters of the route, and where in a handshake they stand."""


def words_of(
    places: Iterable[tuple[str, int]], read: Callable[[str], str], given: Mapping[str, str] | None = None
) -> Words:
    """The words of functions, given as (file, first line), and of what they name; `read` gives a file's source.

    `given` has the parameters of a route: name → path, query, headers or cookies.
    """
    places = list(places)
    sources = {file: index(read(file)) for file in dict.fromkeys(file for file, _ in places)}
    reached = _reached(places, sources)
    flow = Flow(given=given or {})
    first = _read(reached, sources, flow)  # says which parameters are given the value of which key
    flow.keys = frozenset(first.keys)
    return _read(reached, sources, flow)


def _read(nodes: Iterable[ast.AST], sources: dict[str, Source], flow: Flow) -> Words:
    words = Words()
    for node in nodes:
        _Reader(words, sources.values(), flow).visit(node)
    return words


def _reached(places: Iterable[tuple[str, int]], sources: dict[str, Source]) -> list[ast.AST]:
    """The functions of these places, those that are registered, all that is named in them, and in what is named."""
    waiting: list[ast.AST] = [
        node for file, line in places for node in sources[file].functions if first_line(node) == line
    ]
    waiting += [function for _, function in registered(sources.values())]
    found: dict[int, ast.AST] = {}
    while waiting:
        node = waiting.pop(0)
        if id(node) in found:
            continue
        found[id(node)] = node
        for name in names_in(node):
            for source in sources.values():
                waiting += source.named.get(name, ())
        for inner in ast.walk(node):
            chosen = named_by(inner, sources.values())
            waiting += chosen[1].values() if chosen is not None else ()
    return list(found.values())


class _Reader(ast.NodeVisitor):
    """Reads one function: which of its variables hold the value of which key."""

    def __init__(self, words: Words, sources: Iterable[Source], flow: Flow) -> None:
        self._words = words
        self._sources = list(sources)
        self._flow = flow
        self._held: dict[str, str] = {}
        self._events: set[str] = set()
        """Variables that hold ASGI events: their keys are the server's."""
        self._handshake: dict[str, str] = {}
        """Variables that hold what of a handshake."""
        self._decoded: set[str] = set()
        """Variables that hold a message as JSON has it."""

    def _named(self, name: str | None) -> Iterator[ast.AST]:
        return (node for source in self._sources for node in source.named.get(name or "", ()))

    def visit_FunctionDef(self, node: Function) -> None:
        """Its parameters may hold values of keys, or what stands in the handshake."""
        for one in parameters_of(node):
            place = self._flow.given.get(one.arg)
            if place is not None:
                self._words.asked.setdefault(place, {})[one.arg] = None
                self._held[one.arg] = one.arg
        self._held |= self._flow.held.get(id(node), {})
        self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 (the name that ast asks for)

    def visit_Dict(self, node: ast.Dict) -> None:
        """An ASGI event may choose a subprotocol."""
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None and text_in(key) == "subprotocol":
                self._offer(value)
        self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A model: its fields make a message."""
        example = self._example_of(node)
        for name in example:
            self._words.add_key(name)
        if example and example not in self._words.models:
            self._words.models.append(example)

    def _example_of(self, node: ast.ClassDef, depth: int = 0) -> dict[str, Any]:
        """A value for each field that a class and those it is derived from declare."""
        found: dict[str, Any] = {}
        for base in node.bases:
            for one in self._named(last_name(base)):
                if isinstance(one, ast.ClassDef) and one is not node and depth < DEEPEST:
                    found |= self._example_of(one, depth + 1)
        return found | {name: self._example(annotation, depth) for name, annotation in fields_of(node)}

    def _example(self, annotation: ast.AST, depth: int) -> Any:
        """A value of an annotated type: the first of a Literal, else one of the first type that is named."""
        for node in ast.walk(annotation):
            if isinstance(node, ast.Subscript) and last_name(node.value) == "Literal":
                first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
                return first.value if isinstance(first, ast.Constant) else next(self._constants(first), TEXT)
            if isinstance(node, ast.Subscript) and last_name(node.value) in ("list", "List"):
                item = self._example(node.slice, depth)
                return [item] if isinstance(item, dict) else []
            if isinstance(node, ast.Name) and node.id in TYPES:
                return EXAMPLES[TYPES[node.id]]
            if (last_name(node) or "") in WRITTEN:
                return WRITTEN[last_name(node) or ""]
            for one in self._named(last_name(node)) if depth < DEEPEST else ():
                if isinstance(one, ast.ClassDef):
                    return next(iter(members_of(one).values()), None) or self._example_of(one, depth + 1)
        return TEXT

    def visit_Assign(self, node: ast.Assign) -> None:
        """A variable may hold a key's value."""
        for target in node.targets:
            for one, value in pairs(target, node.value):
                self._hold(one, value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The same with an annotation."""
        if node.value is not None:
            self._hold(node.target, node.value)
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """The same within an expression."""
        self._hold(node.target, node.value)
        self.generic_visit(node)

    def _hold(self, target: ast.AST, value: ast.AST) -> None:
        key, decoded = self._key(value), _is_decoded(value)
        if isinstance(target, SEVERAL) and (key == WHOLE or decoded) and target.elts:
            target, key = target.elts[0], WHOLE  # of what a text is split into
            self._words.arrays |= decoded
        elif isinstance(target, ast.Name):
            self._decoded |= {target.id} if decoded else set()
            place = self._place_of(value)
            self._handshake |= {target.id: place} if place is not None else {}
        if isinstance(target, ast.Name) and key is not None:
            self._held[target.id] = key
        call = value.value if isinstance(value, ast.Await) else None
        if isinstance(target, ast.Name) and isinstance(call, ast.Call) and last_name(call.func) == "receive":
            self._events.add(target.id)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        """Messages, one after another."""
        self._hold(node.target, node.iter)
        self.generic_visit(node)

    visit_AsyncFor = visit_For  # noqa: N815 (the name that ast asks for)

    def visit_Name(self, node: ast.Name) -> None:
        """A library that packs JSON into bytes."""
        if (packing := PACKINGS.get(node.id)) is not None:
            self._words.packings.add(packing)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """What reads bytes."""
        self._words.binary |= node.attr in ("receive_bytes", "iter_bytes", "bytes_data")
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`message["key"]`, or a table that is looked up by a key's value."""
        if isinstance(node.ctx, ast.Load):
            self._key(node)
            self._look_up(node.value, self._key(node.slice))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """`message.get("key")`, `table.get(value)`, `getattr(self, value)`, `int(value)`, `text.startswith("x")`."""
        name = last_name(node.func) or ""
        key = self._key(node)
        first = self._key(node.args[0]) if node.args else None
        if isinstance(node.func, ast.Attribute) and name in LOOKUPS:
            self._look_up(node.func.value, first)
        if name in NUMBERS and first is not None:
            self._words.add_key(first, "number")
        if name in ("startswith", "endswith") and isinstance(node.func, ast.Attribute) and node.args:
            self._compare(self._key(node.func.value), node.args[0])
        if name == "isinstance" and first is not None and len(node.args) > 1:
            self._is_of(first, node.args[1])
        if key is not None and ("number" in name or "int" in name.split("_")):
            self._words.add_key(key, "number")
        if name in STRUCT and node.args:
            self._words.add_layout(getattr(node.args[0], "value", None))
        for keyword in node.keywords if name == "accept" else ():
            if keyword.arg in ("subprotocol", "subprotocols"):
                self._offer(keyword.value)
        if (read := self._written(node, name)) is not None:
            self._words.add_value(first, read)
        self._call(node, name)
        self._choose_among(node)
        self._spread(node)
        self.generic_visit(node)

    def _written(self, node: ast.Call, name: str) -> str | None:
        """A text that a call reads: `datetime.fromisoformat(text)`, `UUID(text)`."""
        if not node.args:
            return None
        if name == "fromisoformat" and isinstance(node.func, ast.Attribute):
            return WRITTEN.get(last_name(node.func.value) or "")
        if name == "strptime" and len(node.args) > 1:
            layout = text_in(node.args[1])
            return None if layout is None else SOME_TIME.strftime(layout)
        return WRITTEN.get(name) if name not in ("datetime", "date", "time") else None

    def _choose_among(self, node: ast.Call) -> None:
        """`getattr(self, "on_" + kind)`: methods that are chosen by their names."""
        chosen = named_by(node, self._sources)
        if chosen is not None:
            key = self._key(chosen[0])
            for value, function in chosen[1].items():
                self._choose(key, value, function)

    def _choose(self, key: str | None, value: str, function: Function) -> None:
        """A function is chosen by a value of a key."""
        self._words.add_value(key, value)
        self._flow.chosen[id(function)] = (key, value, function)

    def _spread(self, node: ast.Call) -> None:
        """`handler(websocket, **data)`: what the functions take that may be called is looked for."""
        spread = [(one.value, True) for one in node.keywords if one.arg is None]
        spread += [(one.value, False) for one in node.args if isinstance(one, ast.Starred)]
        first = sum(not isinstance(one, ast.Starred) for one in node.args)
        for value, by_name in spread:
            outer = self._key(value) or None
            for key, chosen, function in list(self._flow.chosen.values()) if outer is not None or by_name else ():
                taken = {one.arg: self._example(one.annotation or one, 0) for one in parameters_of(function)[first:]}
                call = {key: chosen} if key else {}
                inner: Any = taken if by_name else list(taken.values())
                call |= taken if outer is None else {outer: inner}
                if call not in self._words.calls:
                    self._words.calls.append(call)

    def _offer(self, node: ast.AST) -> None:
        """Subprotocols that the app knows."""
        texts = [one for one in self._constants(node) if isinstance(one, str)]
        self._words.subprotocols += [one for one in texts if one not in self._words.subprotocols]

    def _is_of(self, key: str, kinds: ast.AST) -> None:
        """A key's value is compared with types."""
        for kind in kinds.elts if isinstance(kinds, SEVERAL) else [kinds]:
            self._words.add_key(key, TYPES.get(getattr(kind, "id", "")))

    def _call(self, node: ast.Call, name: str) -> None:
        """What is called may be the user's: an enum of which a value is looked up, a function that is given values."""
        called = list(self._named(name))
        if not called and not isinstance(node.func, ast.Attribute):
            called = [function for _, _, function in self._flow.chosen.values()]
        for one in called:
            if isinstance(one, ast.ClassDef) and node.args:
                key = self._key(node.args[0])
                for value in members_of(one).values() if key is not None else ():
                    self._words.add_value(key, value)
            elif isinstance(one, (ast.FunctionDef, ast.AsyncFunctionDef)):
                given = [*zip([argument.arg for argument in parameters_of(one)], node.args, strict=False)]
                given += [(each.arg, each.value) for each in node.keywords if each.arg is not None]
                keys = {parameter: key for parameter, value in given if (key := self._key(value)) is not None}
                self._flow.held.setdefault(id(one), {}).update(keys)

    def visit_Compare(self, node: ast.Compare) -> None:
        """`value == "x"`, `value in ("x", "y")`, `"key" in message`, `0 <= value < 4`, `type(value) is int`."""
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(left, ast.Call) and last_name(left.func) == "type" and left.args:
                key = self._key(left.args[0])
                if key is not None:
                    self._is_of(key, right)
            elif isinstance(operator, (ast.In, ast.NotIn)):
                self._contain(left, right)
            else:
                for one, other in ((left, right), (right, left)):
                    for item in one.elts if isinstance(one, SEVERAL) else (one,):
                        self._compare(self._key(item), other)
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        """`match value: case "x"` and `match message: case {"key": "x"}`."""
        key = self._key(node.subject)
        for inner in ast.walk(node):
            if isinstance(inner, ast.MatchValue):
                self._compare(key, inner.value)
            elif isinstance(inner, ast.MatchMapping):
                for name, pattern in zip(inner.keys, inner.patterns, strict=False):
                    self._key_of_pattern(name, pattern)
        for case in node.cases:
            for example in self._examples_of_pattern(case.pattern):
                self._take_example(example, key)
        self.generic_visit(node)

    def _take_example(self, example: Any, key: str | None) -> None:
        """An object or an array that is a message, or the words of a line."""
        if key == WHOLE and isinstance(example, list):
            self._words.add_value(key, " ".join(map(str, example)))
        elif isinstance(example, (dict, list)) and example and example not in self._words.models:
            self._words.models.append(example)

    def _key_of_pattern(self, name: ast.AST, pattern: ast.AST) -> None:
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self._words.add_key(name.value)
            for value in ast.walk(pattern):
                if isinstance(value, ast.MatchValue):
                    self._compare(name.value, value.value)

    def _examples_of_pattern(self, pattern: ast.AST | None) -> Iterator[Any]:
        """Values that a pattern takes: one for each of its alternatives."""
        if isinstance(pattern, ast.MatchMapping):
            fields: dict[str, list[Any]] = {
                name.value: list(self._examples_of_pattern(one))
                for name, one in zip(pattern.keys, pattern.patterns, strict=False)
                if isinstance(name, ast.Constant) and isinstance(name.value, str)
            }
            most = max(map(len, fields.values()), default=1)
            yield from ({name: found[min(n, len(found) - 1)] for name, found in fields.items()} for n in range(most))
        elif isinstance(pattern, ast.MatchOr):
            for one in pattern.patterns:
                yield from self._examples_of_pattern(one)
        elif isinstance(pattern, ast.MatchAs) and pattern.pattern is not None:
            yield from self._examples_of_pattern(pattern.pattern)
        elif isinstance(pattern, ast.MatchValue):
            yield next(self._constants(pattern.value), TEXT)
        elif isinstance(pattern, ast.MatchClass):
            yield EXAMPLES[TYPES.get(last_name(pattern.cls) or "", "text")]
        elif isinstance(pattern, ast.MatchSequence):
            yield [
                next(self._examples_of_pattern(one)) for one in pattern.patterns if not isinstance(one, ast.MatchStar)
            ]
        else:
            yield TEXT

    def _contain(self, left: ast.AST, right: ast.AST) -> None:
        key = self._key(left)
        if self._key(right) == "subprotocols" or last_name(right) == "subprotocols":
            self._offer(left)
        elif isinstance(left, ast.Constant) and isinstance(left.value, str):
            self._words.add_key(left.value)
            if self._key(right) is not None:
                self._compare(self._key(right), left)  # part of a text
        elif isinstance(right, SEVERAL):
            self._compare(key, right)
        else:
            self._look_up(right, key)

    def _compare(self, key: str | None, other: ast.AST) -> None:
        for value in self._constants(other):
            self._words.add_value(key, value)
            if key is not None and isinstance(value, (int, float)):
                self._words.add_key(key, "number")

    def _constants(self, node: ast.AST, depth: int = 0) -> Iterator[Any]:
        """The constants that an expression is, or may be: its own, those of a name, what a table holds."""
        if isinstance(node, ast.Constant) and type(node.value) in (str, bytes, int, float):
            yield node.value
        elif isinstance(node, SEVERAL):
            for item in node.elts:
                yield from self._constants(item, depth)
        elif isinstance(node, ast.Attribute) and node.attr == "value":
            yield from self._constants(node.value, depth)
        elif isinstance(node, (ast.Name, ast.Attribute)) and depth < DEEPEST:
            for value in self._values_of(node):
                yield from () if isinstance(value, ast.Dict) else self._constants(value, depth + 1)
        elif (table := _table(node)) is not None:
            held = [value for value in self._values_of(table) if isinstance(value, ast.Dict)]
            yield from (one for value in held for item in value.values for one in self._constants(item, DEEPEST))

    def _values_of(self, name: ast.AST) -> Iterator[ast.AST]:
        """What is assigned to a name, as it is written."""
        found = (getattr(one, "value", None) for one in self._named(last_name(name)))
        return (value for value in found if isinstance(value, ast.AST))

    def _look_up(self, table: ast.AST, key: str | None) -> None:
        """The keys of a table that is written out somewhere are values of the key it is looked up by."""
        if key is None:
            return
        for node in self._named(last_name(table)):
            if isinstance(node, ast.ClassDef):
                for name in members_of(node):
                    self._words.add_value(key, name)
                continue
            value = getattr(node, "value", None)
            for item in getattr(value, "keys", None) or getattr(value, "elts", None) or ():
                self._compare(key, item)
            if isinstance(value, ast.Dict) and not value.keys:
                self._look_up_registered(key)

    def _look_up_registered(self, key: str) -> None:
        """A table that is filled by decorators."""
        for name, function in registered(self._sources):
            for text in self._constants(name):
                if isinstance(text, str):
                    self._choose(key, text, function)

    def _key(self, node: ast.AST | None) -> str | None:
        """Which key's value an expression is."""
        if isinstance(node, (ast.Await, ast.NamedExpr)):
            return self._key(node.value)
        if isinstance(node, ast.IfExp):
            return self._key(node.body) or self._key(node.orelse)
        if isinstance(node, ast.BoolOp):
            return next((key for one in node.values if (key := self._key(one)) is not None), None)
        if isinstance(node, ast.Name):
            return self._held.get(node.id, node.id if node.id in self._flow.keys else None)
        if isinstance(node, ast.Subscript):
            return self._key_of_item(node)
        return self._key_of_call(node) if isinstance(node, ast.Call) else None

    def _key_of_item(self, node: ast.Subscript) -> str | None:
        """`message["key"]`; the first word of a line, or the first item of an array, says what it is."""
        is_first = getattr(node.slice, "value", None) == 0
        if is_first and getattr(node.value, "id", None) in self._decoded:
            self._words.arrays = True
            return WHOLE
        within = (is_first and self._key(node.value) == WHOLE) or isinstance(node.slice, ast.Slice)
        return self._key_in(node.value, text_in(node.slice), within=within)

    def _key_in(self, message: ast.AST, key: str | None, *, within: bool = False) -> str | None:
        """A key that is looked for in a message, or in the value of another key."""
        if key is None:
            return self._key(message) if within else None
        if key == "bytes":
            self._words.binary = True
        if isinstance(message, ast.Name) and message.id in self._events:
            return None
        place = self._place_of(message)
        if place is not None:
            self._words.asked.setdefault(place, {})[key] = None
            return key
        self._words.add_key(key)
        outer = self._key(message)
        if outer and outer != key:
            self._words.inside.setdefault(outer, set()).add(key)
        return key

    def _place_of(self, holder: ast.AST) -> str | None:
        """What of a handshake an expression is."""
        if isinstance(holder, ast.Call):
            name = last_name(holder.func)
            inner = holder.args[0] if name == "dict" and holder.args else None
            return self._place_of(inner) if inner is not None else "query" if name in QUERIES else None
        name = getattr(holder, "id", None)
        if name == "args":  # the request's are an attribute
            return None
        return self._handshake.get(name or "") or PLACES.get(last_name(holder) or "")

    def _key_of_call(self, node: ast.Call) -> str | None:
        """`message.get("key")` and helpers such as `text_of(message, "key")`; `value.lower()` is still the value."""
        name = last_name(node.func) or ""
        if name in RECEIVES:
            return WHOLE
        if isinstance(node.func, ast.Attribute):
            return self._key_of_method(node, node.func)
        if len(node.args) == 1 and name in CASTS:
            return self._key(node.args[0])
        if name[:1].isupper():
            return None  # a class, such as an exception's with what it says
        texts = [text for argument in node.args[1:] if (text := text_in(argument)) is not None]
        return self._key_in(node.args[0], texts[0]) if texts and isinstance(node.args[0], _MESSAGES) else None

    def _key_of_method(self, node: ast.Call, method: ast.Attribute) -> str | None:
        if method.attr in SPLITS:
            return WHOLE if self._key(method.value) == WHOLE else None
        if method.attr in LOOKUPS and node.args:
            return self._key_in(method.value, text_in(node.args[0]))
        if method.attr.startswith("get_param") and node.args:
            return self._key_in(ast.Name("query_params"), text_in(node.args[0]))
        return None if node.args and method.attr not in OF_TEXT else self._key(method.value)


def _is_decoded(node: ast.AST) -> bool:
    """Whether an expression is a message as JSON has it."""
    call = node.value if isinstance(node, ast.Await) else node
    return isinstance(call, ast.Call) and last_name(call.func) in DECODES


def _table(node: ast.AST) -> ast.AST | None:
    """The table of which an expression is a value: `table.get(x)`, `table[x]`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOOKUPS:
        return node.func.value
    return node.value if isinstance(node, ast.Subscript) else None

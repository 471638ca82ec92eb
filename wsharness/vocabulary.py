"""Which messages an app may understand, read from its source: the keys it looks for and what it compares them with."""

import ast
import json
import typing
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
LOOKUPS = ("get", "pop", "setdefault")
NUMBERS = ("int", "float", "abs", "round", "range", "min", "max")
ASGI_TYPES = ("websocket", "lifespan", "http")
"""What the types of ASGI events begin with: apps that read events themselves compare with them."""
MOST = 32  # messages


@dataclass(slots=True)
class Words:
    """What the source looks for in a message."""

    keys: dict[str, set[str]] = field(default_factory=dict)
    """Key → the JSON types its value is used as, where that shows."""
    values: dict[str, list[Any]] = field(default_factory=dict)
    """Key → what its value is compared with or looked up in."""
    texts: list[str] = field(default_factory=list)
    """What whole messages are compared with, or begin with."""
    models: list[dict[str, Any]] = field(default_factory=list)
    """An example of each annotated class."""

    def add_key(self, key: str, kind: str | None = None) -> None:
        """The source looks for a key, and uses its value as a JSON type."""
        self.keys.setdefault(key, set()).update([kind] if kind else [])

    def add_value(self, key: str | None, value: Any) -> None:
        """The source compares a key's value, or it is not known whose, with a constant."""
        if key is None:
            if isinstance(value, str) and value not in self.texts:
                self.texts.append(value)
        elif isinstance(value, str) and value.startswith(ASGI_TYPES):
            return
        elif value not in (known := self.values.setdefault(key, [])):
            known.append(value)


def words_of(places: Iterable[tuple[str, int]], read: Callable[[str], str]) -> Words:
    """The words of functions, given as (file, first line), and of what they name; `read` gives a file's source."""
    places = list(places)
    sources = {file: _index(read(file)) for file in dict.fromkeys(file for file, _ in places)}
    waiting: list[ast.AST] = [
        node for file, line in places for node in sources[file].functions if _first_line(node) == line
    ]
    words, seen = Words(), set()
    while waiting:
        node = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        _Reader(words, sources.values()).visit(node)
        for name in _names(node):
            for source in sources.values():
                waiting += source.named.get(name, ())
    return words


@dataclass(slots=True)
class _Source:
    functions: list[Function]
    named: dict[str, list[ast.AST]]
    """Functions, methods, classes and constants by name."""


@lru_cache(maxsize=64)
def _index(text: str) -> _Source:
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return _Source([], {})
    found = _Source([], {})
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.functions.append(node)
            found.named.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.ClassDef) and _fields(node):
            found.named.setdefault(node.name, []).append(node)
    classes = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    for statement in [*tree.body, *(statement for one in classes for statement in one.body)]:
        for name in _assigned(statement):
            found.named.setdefault(name, []).append(statement)
    return found


def _assigned(node: ast.AST) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    for target in targets:
        if isinstance(target, ast.Name):
            yield target.id


def _first_line(node: Function) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def _names(node: ast.AST) -> Iterator[str]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr


class _Reader(ast.NodeVisitor):
    """Reads one function: which of its variables hold the value of which key."""

    def __init__(self, words: Words, sources: Iterable[_Source]) -> None:
        self._words = words
        self._sources = list(sources)
        self._held: dict[str, str] = {}

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """A model: its fields make a message."""
        example = {name: _example(annotation) for name, annotation in _fields(node)}
        for name in example:
            self._words.add_key(name)
        if example not in self._words.models:
            self._words.models.append(example)

    def visit_Assign(self, node: ast.Assign) -> None:
        """A variable may hold a key's value."""
        key = self._key(node.value)
        for target in node.targets:
            if isinstance(target, ast.Name) and key is not None:
                self._held[target.id] = key
        self.generic_visit(node)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        """The same within an expression."""
        key = self._key(node.value)
        if key is not None:
            self._held[node.target.id] = key
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`message["key"]`, or a table that is looked up by a key's value."""
        if isinstance(node.ctx, ast.Load):
            self._key(node)
            self._look_up(node.value, self._key(node.slice))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        """`message.get("key")`, `table.get(value)`, `getattr(self, value)`, `int(value)`, `text.startswith("x")`."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        key = self._key(node)
        first = self._key(node.args[0]) if node.args else None
        if isinstance(node.func, ast.Attribute) and name in LOOKUPS:
            self._look_up(node.func.value, first)
        if name in NUMBERS and first is not None:
            self._words.add_key(first, "number")
        if name in ("startswith", "endswith") and isinstance(node.func, ast.Attribute):
            self._compare(self._key(node.func.value), node.args[0])
        if name == "isinstance" and first is not None:
            self._words.add_key(first, _TYPES.get(getattr(node.args[1], "id", "")))
        if key is not None and ("number" in name or "int" in name.split("_")):
            self._words.add_key(key, "number")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        """`value == "x"`, `value in ("x", "y")`, `"key" in message`, `0 <= value < 4`."""
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            if isinstance(operator, (ast.In, ast.NotIn)):
                self._contain(left, right)
            else:
                self._compare(self._key(left), right)
                self._compare(self._key(right), left)
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
        self.generic_visit(node)

    def _key_of_pattern(self, name: ast.AST, pattern: ast.AST) -> None:
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            self._words.add_key(name.value)
            for value in ast.walk(pattern):
                if isinstance(value, ast.MatchValue):
                    self._compare(name.value, value.value)

    def _contain(self, left: ast.AST, right: ast.AST) -> None:
        key = self._key(left)
        if isinstance(left, ast.Constant) and isinstance(left.value, str):
            self._words.add_key(left.value)
        elif isinstance(right, (ast.Tuple, ast.List, ast.Set)):
            for item in right.elts:
                self._compare(key, item)
        else:
            self._look_up(right, key)

    def _compare(self, key: str | None, other: ast.AST) -> None:
        if isinstance(other, (ast.Tuple, ast.List)):
            for item in other.elts:
                self._compare(key, item)
        elif isinstance(other, ast.Constant) and type(other.value) in (str, int, float):
            self._words.add_value(key, other.value)
            if key is not None and not isinstance(other.value, str):
                self._words.add_key(key, "number")

    def _look_up(self, table: ast.AST, key: str | None) -> None:
        """The keys of a table that is written out somewhere are values of the key it is looked up by."""
        name = getattr(table, "attr", getattr(table, "id", None))
        if key is None or name is None:
            return
        for source in self._sources:
            for node in source.named.get(name, ()):
                value = getattr(node, "value", None)
                items = getattr(value, "keys", None) or getattr(value, "elts", None) or ()
                for item in items:
                    self._compare(key, item)

    def _key(self, node: ast.AST) -> str | None:
        """Which key's value an expression is."""
        key: str | None = None
        if isinstance(node, (ast.Await, ast.NamedExpr)):
            return self._key(node.value)
        if isinstance(node, ast.Name):
            return self._held.get(node.id)
        if isinstance(node, ast.Subscript):
            key = _text(node.slice)
        elif isinstance(node, ast.Call):
            key = self._key_of_call(node)
        if key is not None:
            self._words.add_key(key)
        return key

    def _key_of_call(self, node: ast.Call) -> str | None:
        """`message.get("key")` and helpers such as `text_of(message, "key")`; `value.lower()` is still the value."""
        if isinstance(node.func, ast.Attribute):
            if node.func.attr in LOOKUPS and node.args:
                return _text(node.args[0])
            return None if node.args else self._key(node.func.value)
        texts = [text for argument in node.args[1:] if (text := _text(argument)) is not None]
        return texts[0] if texts and isinstance(node.args[0], _MESSAGES) else None


_MESSAGES = (ast.Name, ast.Call, ast.Attribute, ast.Await)


def _text(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


_TYPES = {"str": "text", "int": "number", "float": "number", "list": "array", "dict": "object", "bool": "boolean"}
_EXAMPLES: dict[str, Any] = {"number": 1, "boolean": True, "array": [], "object": {}, "text": "alice"}


def _fields(node: ast.ClassDef) -> list[tuple[str, ast.AST]]:
    """What a model, dataclass or typed dictionary declares."""
    return [
        (one.target.id, one.annotation)
        for one in node.body
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
    ]


def _example(annotation: ast.AST) -> Any:
    """A value of an annotated type: the first of a Literal, else one of the first type that is named."""
    for node in ast.walk(annotation):
        if isinstance(node, ast.Subscript) and getattr(node.value, "id", getattr(node.value, "attr", "")) == "Literal":
            first = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            return getattr(first, "value", "alice")
        if isinstance(node, ast.Name) and node.id in _TYPES:
            return _EXAMPLES[_TYPES[node.id]]
    return "alice"


# Messages


def messages_of_model(model: Any) -> list[str]:
    """A message for a pydantic model, or for each member of a union of them."""
    fields = getattr(model, "model_fields", None)
    if fields is not None:
        return [json.dumps({one.alias or name: _of_type(one.annotation) for name, one in fields.items()})]
    return [text for member in typing.get_args(model) for text in messages_of_model(member)]


def _of_type(kind: Any) -> Any:
    """A value of a field's type."""
    if typing.get_origin(kind) is typing.Literal:
        return typing.get_args(kind)[0]
    if (fields := getattr(kind, "model_fields", None)) is not None:
        return {one.alias or name: _of_type(one.annotation) for name, one in fields.items()}
    for part in (kind, typing.get_origin(kind), *typing.get_args(kind)):
        if (name := _TYPES.get(getattr(part, "__name__", ""))) is not None:
            return _EXAMPLES[name]
    return NAMES[0]


NAMES = ("alice", "bob", "carol", "dave")


def _value(kind: str, number: int) -> Any:
    """A value of a type; two keys have different ones, for what is said of two is not to be of one twice."""
    if kind == "text":
        return NAMES[number % len(NAMES)]
    return number + 1 if kind == "number" else _EXAMPLES[kind]


def messages_of(words: Words) -> list[str]:
    """Messages that may be understood, as text: one for each value of each key, which has all the other keys too."""
    keys = words.keys
    found: list[str] = [json.dumps(model) for model in words.models]
    for other in ("text", "number"):
        base = {key: _value(min(kinds, default=other), number) for number, (key, kinds) in enumerate(keys.items())}
        tagged = [{**base, key: value} for key in keys for value in words.values.get(key, ())]
        found += [json.dumps(message) for message in (tagged or [base]) if message]
        found += [json.dumps(base)] if base else []
    for text in words.texts:
        found += [text, f"{text} alice", f"{text}:alice"]
    return list(dict.fromkeys(found))[:MOST]

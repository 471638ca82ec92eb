"""YAML as a tree of nodes that know their line and column, without YAML's traps; problems are collected."""

import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

MAX_SIZE = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Scalar:
    """A piece of text; `plain` if it stands without quotes, so that it may be a number, a boolean or null."""

    place: Place
    text: str
    plain: bool = False


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    place: Place
    items: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Mapping:
    """A mapping; its keys are unique and text."""

    place: Place
    pairs: dict[str, tuple[Scalar, "Node"]] = field(default_factory=dict)


Node: TypeAlias = Scalar | Sequence | Mapping


class Problems:
    """What is wrong with one file, in the order of its lines."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._found: dict[tuple[int, int, str], None] = {}

    def add(self, where: Node | Place, sentence: str) -> None:
        """Note a problem once."""
        place = where if isinstance(where, Place) else where.place
        self._found[place.line, place.column, sentence] = None

    def lines(self) -> list[str]:
        """One `file:line:column: sentence` each."""
        return [f"{self._name}:{line}:{column}: {sentence}" for line, column, sentence in sorted(self._found)]

    def unknown(self, where: Node, what: str, word: str, known: Iterable[str]) -> None:
        """Note a word that is none of those known, with the nearest of them."""
        names = list(known)
        hint = suggest(word, names) or f"; expected one of {', '.join(names)}" * bool(names)
        self.add(where, f"unknown {what} {word!r}{hint}")


def suggest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?`, or nothing."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


class _Absurd(Exception):
    """Reading on makes no sense."""


def parse(text: str, problems: Problems) -> list[Node]:
    """The documents of a file; what is refused is in `problems`."""
    text = text.removeprefix("\ufeff")
    if len(text) > MAX_SIZE:
        problems.add(Place(1, 1), f"expected at most {MAX_SIZE} characters; got {len(text)}; split the file")
        return []
    builder = _Builder(text, problems)
    try:
        for event in YAML(typ="safe", pure=True).parse(text):
            builder.take(event)
    except _Absurd:
        pass
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Place(mark.line + 1, mark.column + 1) if mark else builder.last
        problems.add(where, _syntax(error))
    except ReaderError as error:
        code = f"{error.character:04x}"
        where = _place_of(text, error.position)
        problems.add(where, f"YAML allows no character {code}; write it in double quotes as \\u{code}")
    except (YAMLError, ValueError, OverflowError) as error:
        problems.add(builder.last, f"not valid YAML: {error}")
    return builder.documents


def _syntax(error: MarkedYAMLError) -> str:
    context = f" {error.context}" if error.context else ""
    return f"not valid YAML{context}: {error.problem or 'it ends too early'}"


def _place_of(text: str, index: int) -> Place:
    before = text[:index]
    return Place(before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


class _Builder:
    """Builds trees from YAML's events, without recursion."""

    def __init__(self, text: str, problems: Problems) -> None:
        self.documents: list[Node] = []
        self.last = Place(1, 1)
        self._text = text
        self._problems = problems
        self._open: list[tuple[Any, Place, list[Node]]] = []
        self._count = 0

    def take(self, event: Event) -> None:
        """Take the next event."""
        mark = event.start_mark
        self.last = Place(mark.line + 1, mark.column + 1)
        if isinstance(event, (DocumentStartEvent, SequenceStartEvent, MappingStartEvent)):
            self._begin(event)
        elif isinstance(event, (SequenceEndEvent, MappingEndEvent, DocumentEndEvent)):
            self._end()
        elif isinstance(event, ScalarEvent):
            self._refuse_tag(event)
            self._add(Scalar(self.last, self._scalar_text(event), plain=event.style is None))
        elif isinstance(event, AliasEvent):
            self._problems.add(self.last, f"aliases are refused; write out what *{event.anchor} stands for")
            self._add(Scalar(self.last, "", plain=True))

    def _begin(self, event: Event) -> None:
        if not isinstance(event, DocumentStartEvent):
            self._refuse_tag(event)
        self._open.append((type(event), self.last, []))
        if len(self._open) > MAX_DEPTH:
            self._problems.add(self.last, f"nested deeper than {MAX_DEPTH} levels; send such a message as text")
            raise _Absurd

    def _end(self) -> None:
        kind, place, children = self._open.pop()
        if kind is DocumentStartEvent:
            self.documents += children
        elif kind is SequenceStartEvent:
            self._add(Sequence(place, children))
        else:
            self._add(self._mapping(place, children))

    def _add(self, node: Node) -> None:
        self._open[-1][2].append(node)
        self._count += 1
        if self._count > MAX_NODES:
            self._problems.add(node, f"more than {MAX_NODES} values; split the file")
            raise _Absurd

    def _mapping(self, place: Place, children: list[Node]) -> Mapping:
        found = Mapping(place)
        for key, value in zip(children[::2], children[1::2], strict=True):
            if (why := _bad_key(key, found)) is not None:
                self._problems.add(key, why)
            else:
                assert isinstance(key, Scalar)
                found.pairs[key.text] = (key, value)
        return found

    def _refuse_tag(self, event: Any) -> None:
        if event.ctag is not None:
            written = self._text[event.start_mark.index :].split(None, 1)[0]
            self._problems.add(self.last, f"tags are refused; leave out {written!r}")

    def _scalar_text(self, event: ScalarEvent) -> str:
        """Its text; two escaped halves of a surrogate pair are one character, as in JSON."""
        value: str = event.value
        if event.style == '"' and _PAIR.search(self._text[event.start_mark.index : event.end_mark.index]):
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return value


_PAIR = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


def _bad_key(key: Node, mapping: Mapping) -> str | None:
    if not isinstance(key, Scalar):
        return f"keys are text; got {kind(key)}"
    if key.plain and key.text == "<<":
        return "merge keys are refused; write the keys out"
    if not isinstance(core(key), str):
        return f"keys are text; write {key.text!r} in quotes"
    if key.text in mapping.pairs:
        return f"duplicate key {key.text!r}; the first is on line {mapping.pairs[key.text][0].place.line}"
    return None


# What nodes say

_WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
}
_NUMBERS = (
    (re.compile(r"[-+]?[0-9]{1,4000}"), int),
    (re.compile(r"0o[0-7]{1,4000}"), lambda text: int(text, 0)),
    (re.compile(r"0x[0-9a-fA-F]{1,4000}"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"), float),
)


def core(node: Scalar) -> str | int | float | bool | None:
    """A scalar as YAML 1.2's core schema reads it (section 10.3): no dates, no `1_000`, no `yes`."""
    if not node.plain:
        return node.text
    if node.text in _WORDS:
        return _WORDS[node.text]
    for pattern, read in _NUMBERS:
        if pattern.fullmatch(node.text):
            return read(node.text)
    return node.text


def kind(node: Node) -> str:
    """What a node is, for a sentence."""
    if isinstance(node, Mapping):
        return "a mapping"
    return "a list" if isinstance(node, Sequence) else repr(core(node))


def pairs(node: Mapping) -> Iterator[tuple[str, Scalar, Node]]:
    """The keys with their nodes and their values."""
    return ((name, key, value) for name, (key, value) in node.pairs.items())

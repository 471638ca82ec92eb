"""Patterns: why a value does not match; one matcher for Python's patterns and for those of scenario files."""

import datetime as dt
import json
import re
import types
import typing
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

from wsharness import models
from wsharness.errors import UsageError

Payload: TypeAlias = str | bytes
SHOWN = 120  # characters of a value in a message


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_uuid(value: Any) -> bool:
    return isinstance(value, str) and _parses(uuid.UUID, value)


def _is_datetime(value: Any) -> bool:
    return isinstance(value, str) and "T" in value.upper().replace(" ", "T") and _parses(_DATETIME, value)


_DATETIME = dt.datetime.fromisoformat


def _parses(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except ValueError:
        return False
    return True


class Matcher(Enum):
    """A kind of value, by its name in scenario files; `$absent` stands for a key that must not be there."""

    ANY = "$any"
    STR = "$str"
    INT = "$int"
    NUMBER = "$number"
    BOOL = "$bool"
    NULL = "$null"
    LIST = "$list"
    OBJECT = "$object"
    UUID = "$uuid"
    DATETIME = "$datetime"
    ABSENT = "$absent"
    BYTES = "$bytes"

    def __repr__(self) -> str:
        return self.value

    def accepts(self, value: Any) -> bool:
        """Whether a value is of this kind."""
        return _ACCEPTS[self](value)


_ACCEPTS: dict[Matcher, Callable[[Any], bool]] = {
    Matcher.ANY: lambda _: True,
    Matcher.STR: lambda value: isinstance(value, str),
    Matcher.INT: lambda value: isinstance(value, int) and not isinstance(value, bool),
    Matcher.NUMBER: _is_number,
    Matcher.BOOL: lambda value: isinstance(value, bool),
    Matcher.NULL: lambda value: value is None,
    Matcher.LIST: lambda value: isinstance(value, (list, tuple)),
    Matcher.OBJECT: lambda value: isinstance(value, Mapping),
    Matcher.UUID: _is_uuid,
    Matcher.DATETIME: _is_datetime,
    Matcher.ABSENT: lambda _: False,
    Matcher.BYTES: lambda value: isinstance(value, (bytes, bytearray, memoryview)),
}


class Operator(ABC):
    """A pattern with an argument, `{$len: 3}` in scenario files."""

    __slots__ = ()
    name: str
    """As scenario files spell it."""

    @property
    @abstractmethod
    def argument(self) -> Any:
        """What stands behind the name."""

    @abstractmethod
    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why a value does not match; None if it does."""

    def __repr__(self) -> str:
        return f"{{{self.name}: {self.argument!r}}}"


@dataclass(frozen=True, slots=True, repr=False)
class Unordered(Operator):
    """An array of these items in any order."""

    items: tuple[Any, ...]
    name = "$unordered"

    @property
    def argument(self) -> list[Any]:
        """The patterns of the items."""
        return list(self.items)

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why an array does not hold exactly one item for each pattern."""
        if not isinstance(value, (list, tuple)):
            return _differs(path, "an array", value)
        if len(value) != len(self.items):
            return f"{_at(path)}expected {_count(len(self.items))}; got {len(value)}: {shorten(value)}"
        missing = _unmatched(self.items, value)
        return None if missing is _NONE else _differs(path, f"an item {describe(missing)}", value)


_NONE = object()


def _unmatched(patterns: Sequence[Any], values: Sequence[Any]) -> Any:
    """The first pattern that finds no value of its own, by augmenting paths; _NONE if all do."""
    fits = [[mismatch(pattern, value) is None for value in values] for pattern in patterns]
    owner: dict[int, int] = {}
    for index, pattern in enumerate(patterns):
        if not _assign(index, fits, owner, set()):
            return pattern
    return _NONE


def _assign(index: int, fits: list[list[bool]], owner: dict[int, int], tried: set[int]) -> bool:
    for place, fit in enumerate(fits[index]):
        if fit and place not in tried:
            tried.add(place)
            if place not in owner or _assign(owner[place], fits, owner, tried):
                owner[place] = index
                return True
    return False


@dataclass(frozen=True, slots=True, repr=False)
class Length(Operator):
    """A text, an array or an object whose length matches."""

    argument: Any
    name = "$len"

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why a value's length does not match."""
        if not isinstance(value, (str, bytes, list, tuple, Mapping)):
            return _differs(path, "something with a length", value)
        why = mismatch(self.argument, len(value))
        return None if why is None else f"{_at(path)}its length: {why}; the value: {shorten(value)}"


@dataclass(frozen=True, slots=True, repr=False)
class Exact(Operator):
    """A value without a key more than the pattern has, at any depth."""

    argument: Any
    name = "$exact"

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why a value differs, or which key is too many."""
        why = _mismatch(self.argument, value, path)
        return _surplus(self.argument, value, path) if why is None else why


def _surplus(pattern: Any, value: Any, path: str) -> str | None:
    if isinstance(pattern, Mapping):
        for key in value:
            if key not in pattern:
                return f"{path}{_key(key)}: expected no such key; got {shorten(value[key])}"
        pairs = [(pattern[key], value[key], f"{path}{_key(key)}") for key in value]
    elif isinstance(pattern, (list, tuple)):
        pairs = [(item, value[index], f"{path}[{index}]") for index, item in enumerate(pattern)]
    else:
        pairs = []
    return next((why for pair in pairs if (why := _surplus(*pair)) is not None), None)


@dataclass(frozen=True, slots=True, repr=False)
class Not(Operator):
    """Anything but what the pattern matches."""

    argument: Any
    name = "$not"

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Say that a value matches what it must not."""
        matches = _mismatch(self.argument, value, "") is None
        return _differs(path, f"anything but {describe(self.argument)}", value) if matches else None


@dataclass(frozen=True, slots=True, repr=False)
class Greater(Operator):
    """A number above a limit."""

    argument: float
    name = "$gt"

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why a value is not above the limit."""
        good = _is_number(value) and value > self.argument
        return None if good else _differs(path, f"a number above {self.argument!r}", value)


@dataclass(frozen=True, slots=True, repr=False)
class Less(Operator):
    """A number below a limit."""

    argument: float
    name = "$lt"

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why a value is not below the limit."""
        good = _is_number(value) and value < self.argument
        return None if good else _differs(path, f"a number below {self.argument!r}", value)


@dataclass(frozen=True, slots=True, repr=False)
class OneOf(Operator):
    """A value that matches at least one of these."""

    choices: tuple[Any, ...]
    name = "$one_of"

    @property
    def argument(self) -> list[Any]:
        """The patterns to choose from."""
        return list(self.choices)

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why a value matches none."""
        good = any(_mismatch(choice, value, "") is None for choice in self.choices)
        return None if good else _differs(path, "one of " + _listed(self.choices), value)


@dataclass(frozen=True, slots=True, repr=False)
class Where(Operator):
    """What matches a pattern, and a predicate accepts: as the instance, where the pattern is a model."""

    pattern: Any
    accepts: Callable[[Any], Any]
    name = "$where"

    @property
    def argument(self) -> Any:
        """The predicate."""
        return self.accepts

    def mismatch(self, value: Any, path: str = "") -> str | None:
        """Why the pattern does not match, or what the predicate does not accept."""
        why = _mismatch(self.pattern, value, path)
        return self._refused(value, path) if why is None else why

    def match(self, data: Payload) -> str | None:
        """The same for a message, which the pattern may ask for as it came."""
        why = match_message(self.pattern, data)
        return self._refused(decode(data), "") if why is None else why

    def _refused(self, value: Any, path: str) -> str | None:
        return _predicate_mismatch(self.accepts, understood(self.pattern, value), path)

    def __repr__(self) -> str:
        accepted = describe(self.accepts)
        return accepted if self.pattern is Matcher.ANY else f"{describe(self.pattern)}, {accepted}"


def understood(pattern: Any, value: Any) -> Any:
    """A value that matches, as its pattern understands it: the instance, where that is a model."""
    if isinstance(pattern, Where):
        pattern = pattern.pattern
    return models.read(pattern, value) if models.is_model(pattern) else value


def mismatch(pattern: Any, value: Any) -> str | None:
    """Why the value does not match, with the path to the difference; None if it matches."""
    return _mismatch(pattern, value, "")


def _mismatch(pattern: Any, value: Any, path: str) -> str | None:
    kind = type(pattern)
    if kind is type(value) and kind in _SCALARS:
        return None if pattern == value else _differs(path, describe(pattern), value)
    if kind is dict:
        return _object_mismatch(pattern, value, path)
    if kind is list:
        return _array_mismatch(pattern, value, path)
    if isinstance(pattern, Matcher):
        return None if pattern.accepts(value) else _differs(path, describe(pattern), value)
    if isinstance(pattern, Operator):
        return pattern.mismatch(value, path)
    return _python_mismatch(pattern, value, path)


_SCALARS = frozenset([str, int, float, bool, type(None), bytes])


def _python_mismatch(pattern: Any, value: Any, path: str) -> str | None:
    """Patterns that only Python can write."""
    if isinstance(pattern, Mapping):
        return _object_mismatch(pattern, value, path)
    if isinstance(pattern, (list, tuple)):
        return _array_mismatch(pattern, value, path)
    if models.is_model(pattern):
        return models.mismatch(pattern, value, path)
    if _is_type(pattern):
        good = _is_instance(value, pattern)
    elif isinstance(pattern, re.Pattern):
        good = _found(pattern, value)
    elif _is_predicate(pattern):
        return _predicate_mismatch(pattern, value, path)
    elif type(pattern) is types.CoroutineType:
        pattern.close()
        raise UsageError(f"expected a pattern; got a coroutine of {pattern.__name__}, which nobody awaited; await it")
    else:
        good = _equal(pattern, value)
        if not good and models.is_instance(pattern):
            return _mismatch(models.as_value(pattern), value, path)
    return None if good else _differs(path, describe(pattern), value)


def _is_type(pattern: Any) -> bool:
    """A class, a union or typing.Any; a class whose own class defines `==` says itself what it equals."""
    if isinstance(pattern, type) and not isinstance(pattern, types.GenericAlias):
        return type(pattern).__eq__ is type.__eq__
    return typing.get_origin(pattern) in _UNIONS or pattern is Any


_UNIONS = (types.UnionType, typing.Union)


def _is_instance(value: Any, kind: Any) -> bool:
    if kind is Any or kind is object:
        return True
    if typing.get_origin(kind) in _UNIONS:
        return any(_is_instance(value, member) for member in typing.get_args(kind))
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, kind) or (kind is float and isinstance(value, int))


def _found(pattern: re.Pattern[Any], value: Any) -> bool:
    kind = bytes if isinstance(pattern.pattern, bytes) else str
    return isinstance(value, kind) and pattern.search(value) is not None


def _predicate_mismatch(pattern: Callable[[Any], Any], value: Any, path: str) -> str | None:
    try:
        good = pattern(value)
    except Exception as error:  # noqa: BLE001 (written for one kind of message, asked about every kind)
        return f"{_differs(path, describe(pattern), value)} ({type(error).__name__}: {error})"
    if type(good) is types.CoroutineType:  # which is true, whatever it would have said
        good.close()
        name = getattr(pattern, "__name__", repr(pattern))
        raise UsageError(f"expected a function that answers at once; got the async {name}; make it a plain `def`")
    return None if good else _differs(path, describe(pattern), value)


def _equal(pattern: Any, value: Any) -> bool:
    """`==`, but true and 1 differ, as they do in JSON."""
    if isinstance(pattern, bool) != isinstance(value, bool) and isinstance(pattern, (int, float)):
        return False
    return bool(pattern == value)


def _object_mismatch(pattern: Mapping[Any, Any], value: Any, path: str) -> str | None:
    if type(value) is not dict and not isinstance(value, Mapping):
        return _differs(path, f"an object {describe(pattern)}", value)
    for key, expected in pattern.items():
        if expected is Matcher.ABSENT:
            if key in value:
                return f"{path}{_key(key)}: expected no such key; got {shorten(value[key])}"
        elif key not in value:
            return f"{path}{_key(key)}: expected {describe(expected)}; got no such key in {shorten(value)}"
        elif not _same(expected, found := value[key]):
            why = _mismatch(expected, found, f"{path}{_key(key)}")
            if why is not None:
                return why
    return None


def _same(pattern: Any, value: Any) -> bool:
    """Whether two scalars are plainly equal: the common case, decided without building a path."""
    kind = type(pattern)
    return kind is type(value) and kind in _SCALARS and bool(pattern == value)


def _array_mismatch(pattern: Sequence[Any], value: Any, path: str) -> str | None:
    if not isinstance(value, (list, tuple)):
        return _differs(path, f"an array {describe(pattern)}", value)
    for index, (expected, item) in enumerate(zip(pattern, value, strict=False)):
        if _same(expected, item):
            continue
        why = _mismatch(expected, item, f"{path}[{index}]")
        if why is not None:
            return why
    if len(pattern) != len(value):
        return f"{_at(path)}expected {_count(len(pattern))}; got {len(value)}: {shorten(value)}"
    return None


# Messages


def match_message(pattern: Any, data: Payload) -> str | None:
    """Why a message does not match.

    Text and regexes are compared with the message as it came, bytes with a binary message; everything else
    with its JSON, or with the message itself where that is no JSON.
    """
    if type(pattern) is types.FunctionType:  # nothing else that can be asked of a pattern is true of it
        return _predicate_mismatch(pattern, decode(data), "")
    if isinstance(pattern, (str, re.Pattern)) or _means_bytes(pattern):
        return _mismatch(pattern, data, "")
    if isinstance(pattern, Where):
        return pattern.match(data)
    if isinstance(pattern, Not):
        refused = match_message(pattern.argument, data) is None
        return _differs("", f"anything but {describe(pattern.argument)}", data) if refused else None
    if isinstance(pattern, OneOf):
        good = any(match_message(choice, data) is None for choice in pattern.choices)
        return None if good else _differs("", "one of " + _listed(pattern.choices), data)
    return _mismatch(pattern, decode(data), "")


def _means_bytes(pattern: Any) -> bool:
    return isinstance(pattern, (bytes, bytearray, memoryview)) or pattern is bytes or pattern is Matcher.BYTES


def decode(data: Payload) -> Any:
    """What a message says: its JSON, or the message itself where that is no JSON."""
    if isinstance(data, str) and data[:1] not in BEGINS_JSON:
        return data  # said at once: an exception costs more than the rest of a wait
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return data


BEGINS_JSON = frozenset('{["-0123456789tfnNI \t\r\n')  # with NaN and Infinity, which json reads


# How far off


def closest(pattern: Any, messages: Iterable[Payload]) -> Payload:
    """The message in which the least differs from the pattern; the last of several."""
    return min(reversed(list(messages)), key=lambda data: message_distance(pattern, data))


def message_distance(pattern: Any, data: Payload) -> int:
    """In how many places a message differs from a pattern; 0 if it matches."""
    if match_message(pattern, data) is None:
        return 0
    return max(1, distance(pattern, decode(data)))


def distance(pattern: Any, value: Any) -> int:
    """In how many places a value differs from a pattern; 0 if it matches."""
    if isinstance(pattern, Mapping) and isinstance(value, Mapping):
        return sum(_key_distance(expected, key, value) for key, expected in pattern.items())
    if isinstance(pattern, (list, tuple)) and isinstance(value, (list, tuple)):
        pairs = zip(pattern, value, strict=False)
        surplus = sum(map(_size, pattern[len(value) :])) + max(0, len(value) - len(pattern))
        return sum(distance(expected, item) for expected, item in pairs) + surplus
    return 0 if _mismatch(pattern, value, "") is None else _size(pattern)


def _key_distance(expected: Any, key: Any, value: Mapping[Any, Any]) -> int:
    if expected is Matcher.ABSENT:
        return int(key in value)
    return distance(expected, value[key]) if key in value else _size(expected) + 1


def _size(pattern: Any) -> int:
    if isinstance(pattern, Mapping):
        return 1 + sum(map(_size, pattern.values()))
    if isinstance(pattern, (list, tuple)):
        return 1 + sum(map(_size, pattern))
    return 1


# Words


def describe(pattern: Any) -> str:
    """A pattern as people read it."""
    if isinstance(pattern, re.Pattern):
        return f"text matching {pattern.pattern!r}"
    if pattern is Any or pattern is Matcher.ANY:
        return "anything"
    if models.is_model(pattern):
        return f"a value of type {models.name_of(pattern)}"
    if isinstance(pattern, type) or typing.get_origin(pattern) in _UNIONS:
        return f"a value of type {_words(pattern)}"
    if _is_predicate(pattern):
        return f"what {_words(pattern)} accepts"
    return _elided(_words(pattern))


def _words(pattern: Any) -> str:
    """A pattern's repr, with names in place of classes and functions."""
    if isinstance(pattern, Mapping):
        return "{" + ", ".join(f"{key!r}: {_words(item)}" for key, item in pattern.items()) + "}"
    if isinstance(pattern, (list, tuple)):
        return "[" + ", ".join(map(_words, pattern)) + "]"
    if isinstance(pattern, Operator) and not isinstance(pattern, Where):
        return f"{{{pattern.name}: {_words(pattern.argument)}}}"
    return _name_of(pattern)


def _name_of(pattern: Any) -> str:
    if models.is_model(pattern):
        return models.name_of(pattern)
    if not isinstance(pattern, type) and not _is_predicate(pattern):
        return shorten(pattern)
    name = getattr(pattern, "__name__", None)
    code = getattr(pattern, "__code__", None)
    if name == "<lambda>" and code is not None:
        return f"the lambda at {code.co_filename.rpartition('/')[2]}:{code.co_firstlineno}"
    return name or shorten(pattern)


def _is_predicate(pattern: Any) -> bool:
    return callable(pattern) and not isinstance(pattern, type) and typing.get_origin(pattern) is None


def shorten(value: Any) -> str:
    """A value's repr, elided in the middle."""
    if isinstance(value, (str, bytes)) and len(value) > 4 * SHOWN:
        head, tail = value[:SHOWN], value[-SHOWN:]
        text = f"{head!r}{tail!r}"
    else:
        try:
            text = repr(value)
        except (RecursionError, ValueError):
            return f"a {type(value).__name__} too deep or too large to show"
    return _elided(text)


def _elided(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[: SHOWN // 2]}…{text[-SHOWN // 2 :]}"


def _listed(patterns: Iterable[Any]) -> str:
    return _elided(", ".join(map(describe, patterns)))


def _count(number: int) -> str:
    return f"{number} item{'s' * (number != 1)}"


def _differs(path: str, expected: str, value: Any) -> str:
    return f"{_at(path)}expected {expected}; got {shorten(value)}"


def _at(path: str) -> str:
    return f"{path}: " if path else ""


def _key(key: Any) -> str:
    """One step of a path: `.name`, or `['any text']`."""
    return f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"

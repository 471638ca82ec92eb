"""Messages that an app may understand, made of the words of its source or of its models."""

import json
import re
import struct
import typing
from collections.abc import Iterator
from itertools import islice
from typing import Any, TypeAlias

from wsharness.packing import pack
from wsharness.vocabulary import DEEPEST, EXAMPLES, TYPES
from wsharness.words import Words

Data: TypeAlias = str | bytes
MOST = 48  # objects
FEW = 24  # frames
MANY = 48  # lines
LINES = 5  # forms of a line
LONGEST = 8  # arguments
NAMES = ("alice", "bob", "carol", "dave")


def messages_of(words: Words) -> list[Data]:
    """Messages that may be understood: objects, as JSON or as it is packed, then lines of text, then bytes."""
    objects = list(islice(_distinct([*words.models, *_objects(words)]), MOST))
    packed = (pack(form, one) for form in sorted(words.packings) for one in objects)
    found: list[Data] = [one for one in packed if one is not None]
    found += [json.dumps(one, default=str) for one in objects]
    lines = list(islice(_lines(words), MANY))
    found += islice(_arrays(words), MANY if words.arrays else 0)
    found += [line.encode() if isinstance(line, str) else line for line in lines if words.binary]
    return list(dict.fromkeys([*found, *lines, *islice(_frames(words), FEW)]))


def _distinct(objects: list[Any]) -> Iterator[Any]:
    known: set[str] = set()
    for one in objects:
        text = json.dumps(one, default=repr)
        if text not in known:
            known.add(text)
            yield one


def _objects(words: Words) -> Iterator[dict[str, Any]]:
    """One for each value of each key, which has all the other keys too; then values of two keys together."""
    keys = list(words.keys)
    values = {key: [one for one in words.values.get(key, ()) if not isinstance(one, bytes)] for key in keys}
    bases = [_base(words, other) for other in ("text", "number")] if keys else []
    yield from words.calls
    yield from ({**base, **call} for base in bases[:1] for call in words.calls)
    for base in bases:
        tagged = [{**base, key: value} for key in keys for value in values[key]]
        yield from (*tagged, base)
    kinds = max(values, key=lambda key: sum(isinstance(one, str) for one in values[key]), default="")
    for kind in values.get(kinds, ()):
        yield from ({**bases[0], kinds: kind, key: one} for key in keys if key != kinds for one in values[key])


def _base(words: Words, other: str) -> dict[str, Any]:
    """A value for every key; two keys have different ones, for what is said of two is not to be of one twice."""
    found: dict[str, Any] = {}
    for number, (key, kinds) in enumerate(words.keys.items()):
        texts = [one for one in words.values.get(key, ()) if isinstance(one, str)]
        found[key] = texts[number % len(texts)] if texts else _value(min(kinds, default=other), number)
    return {key: _with_inner(words, found, key) for key in found}


def _with_inner(words: Words, values: dict[str, Any], key: str, depth: int = 0) -> Any:
    """The value of a key, an object where keys are looked for in it."""
    inner = words.inside.get(key)
    if not inner or depth == DEEPEST:
        return values[key]
    return {one: _with_inner(words, values, one, depth + 1) for one in sorted(inner) if one in values}


def _value(kind: str, number: int) -> Any:
    if kind == "text":
        return NAMES[number % len(NAMES)]
    return number + 1 if kind == "number" else EXAMPLES[kind]


def _lines(words: Words) -> Iterator[Data]:
    """Commands, alone, then with an argument, then with others."""
    for number in range(LINES):
        yield from (_line(text, number) for text in words.texts)


def _arrays(words: Words) -> Iterator[str]:
    """Commands as the first of a JSON array, alone, then with arguments."""
    counts = [one for one in words.numbers if isinstance(one, int) and 1 < one <= LONGEST]
    tails: list[list[Any]] = [[], *([1] * count for count in counts), [NAMES[0]], [1], [NAMES[0], NAMES[1]], [{}]]
    for tail in tails:
        yield from (json.dumps([text, *tail]) for text in words.texts if isinstance(text, str))


def _line(text: Data, number: int) -> Data:
    if isinstance(text, bytes):
        return text + (b"", b" alice", b" 1", b" alice 1", b"1")[number]
    glued = (":alice", " 1") if text[-1:].isalnum() else ("alice", "1")
    return text + ("", " alice", *glued, " alice 1")[number]


_TAILS = (b"", b"\x00", b"\x01" * 32, b"\x00" * 32)


def _frames(words: Words) -> Iterator[bytes]:
    """Bytes in the formats that are read, of each kind that they may be said to be."""
    kinds = [one for one in words.numbers if isinstance(one, int) and 0 <= one < 256] or [1]  # noqa: PLR2004 (a byte)
    layouts = [*words.layouts, *(["B"] if words.binary and not words.layouts else [])]
    for tail in _TAILS:
        for layout in layouts:
            for kind in kinds:
                frame = _packed(layout, kind)
                if frame is not None:
                    yield frame + tail


def _packed(layout: str, kind: int) -> bytes | None:
    """A frame whose first number says its kind."""
    values: list[Any] = list(struct.unpack(layout, bytes(struct.calcsize(layout))))
    first = next((place for place, one in enumerate(values) if isinstance(one, int)), None)
    filled = [kind if place == first else _filled(one) for place, one in enumerate(values)]
    try:
        return struct.pack(layout, *filled)
    except struct.error:
        return None


def _filled(value: Any) -> Any:
    return b"a" * len(value) if isinstance(value, bytes) else type(value)(1)


# Names

IDENTITY = ("name", "user", "nick", "player", "client", "id", "mail", "login", "handle", "who", "from", "sender")
"""What keys are called that say who somebody is."""
_NAME = re.compile(rf"\b({'|'.join(NAMES)})\b(?!.*\b({'|'.join(NAMES)})\b)", re.DOTALL)


def own(message: Data, number: int) -> Data:
    """What the client of that number, from 1, says in place of the first's: with a name of its own."""
    if isinstance(message, bytes) or number == 1:
        return message
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return _NAME.sub(rf"\g<1>{number}", message)
    named = [key for key, value in said.items() if value in NAMES]
    who = [key for key in named if any(one in key.lower() for one in IDENTITY)] or named
    return json.dumps({**said, **{key: f"{said[key]}{number}" for key in who}})


# Models


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
        if (name := TYPES.get(getattr(part, "__name__", ""))) is not None:
            return EXAMPLES[name]
    return NAMES[0]

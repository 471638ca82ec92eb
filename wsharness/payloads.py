"""The catalogue of malformed and unfriendly payloads, and near misses of known-good messages."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

from wsharness.errors import UsageError
from wsharness.packing import pack, unpack

Source: TypeAlias = str | bytes | Callable[[], str | bytes]
Path: TypeAlias = tuple[Any, ...]
"""Keys and indices from the outermost value inwards."""


@dataclass(frozen=True, slots=True)
class Payload:
    """One message worth sending: its name, why it is unfriendly, what a robust app does with it."""

    name: str
    """Stable: reports and baselines refer to it."""
    source: Source
    """The message, or what builds it: long ones are built on use."""
    reason: str
    robust: str

    @property
    def data(self) -> str | bytes:
        """The message as it is sent: text or binary."""
        return self.source() if callable(self.source) else self.source


@dataclass(frozen=True, slots=True)
class Reordering:
    """A good conversation out of order: the messages to send, in this order."""

    name: str
    messages: tuple[Any, ...]
    reason: str
    robust: str


REFUSES = "refuses it: an error message, or a close with 1003, 1007 or 1008"
IGNORES = "takes it or refuses it; other clients notice nothing"
TAKES = "takes it like any other message"
LIMITS = "has a limit: an error message, or a close with 1009"

TAGS = ("type", "action", "event", "op", "kind", "cmd", "command", "method")
"""The keys by which messages commonly say what they are."""

DIGITS = "7" * 5_000
"""An integer json.loads refuses with a plain ValueError: Python reads at most 4,300 digits."""
DEPTH = 100_000
MEBIBYTE = 1 << 20
HEAD = 8  # bytes of a binary message in which kinds, counts and lengths are likely


def _repeat(before: str, times: int, after: str = "") -> str:
    return before * times + after * times


def _tagged(value: str) -> str:
    """An object that says what it is under every common key."""
    return "{" + ", ".join(f'"{tag}": {value}' for tag in TAGS) + "}"


def _many_keys() -> str:
    return json.dumps({f"key{n}": n for n in range(10_000)})


_NOT_JSON = (
    Payload("plain-text", "hello", "is not JSON", REFUSES),
    Payload("empty-text", "", "is no JSON value, and false in a condition", REFUSES),
    Payload("blank-text", " \r\n\t", "is empty only after strip()", REFUSES),
    Payload("truncated-json", '{"type": "message", "text": "hel', "ends within a string", REFUSES),
    Payload("truncated-escape", '{"text": "\\u12', "ends within an escape", REFUSES),
    Payload("missing-value", '{"type": }', "has a key without a value", REFUSES),
    Payload("trailing-garbage", '{"type": "message"} x', "goes on after the value", REFUSES),
    Payload("trailing-comma", '{"type": "message",}', "is JavaScript, not JSON", REFUSES),
    Payload("concatenated-json", '{"type": "a"}{"type": "b"}', "is two values in one message", REFUSES),
    Payload("single-quotes", "{'type': 'message'}", "is Python's repr, not JSON", REFUSES),
    Payload("unquoted-keys", "{type: 1}", "is JavaScript, not JSON", REFUSES),
    Payload("byte-order-mark", '\ufeff{"type": "message"}', "begins with a mark json.loads refuses", REFUSES),
    Payload("raw-null-byte", '{"text": "\x00"}', "holds a control character JSON forbids", REFUSES),
    Payload("line-break-in-string", '{"text": "a\nb"}', "holds a control character JSON forbids", REFUSES),
)

_TOP_LEVEL = (
    Payload("json-null", "null", "decodes to None, which has neither keys nor get()", REFUSES),
    Payload("json-true", "true", "decodes to a bool", REFUSES),
    Payload("json-false", "false", "decodes to a bool that is false", REFUSES),
    Payload("json-zero", "0", "decodes to an int that is false", REFUSES),
    Payload("json-number", "7", "decodes to an int", REFUSES),
    Payload("json-negative", "-1", "counts from the end where it becomes an index", REFUSES),
    Payload("json-float", "0.5", "decodes to a float", REFUSES),
    Payload("json-string", '"type"', "decodes to a str: `'type' in message` holds, get() does not", REFUSES),
    Payload("json-empty-string", '""', "decodes to a str that is false", REFUSES),
    Payload("json-list", '["type", 1, null]', "decodes to a list: its indices are no keys", REFUSES),
    Payload("json-empty-list", "[]", "decodes to a list that is false", REFUSES),
    Payload("json-list-of-null", "[null]", "holds an element that has no keys", REFUSES),
    Payload("json-list-of-objects", "[{}, {}]", "is a batch where one message is expected", REFUSES),
    Payload("json-empty-object", "{}", "lacks every key", REFUSES),
)

_NUMBERS = (
    Payload("nan", '{"value": NaN}', "is taken by json.loads, refused by JSON", REFUSES),
    Payload("infinity", '{"value": Infinity}', "int() of it is an OverflowError", REFUSES),
    Payload("top-level-nan", "NaN", "decodes to a float unequal to itself", REFUSES),
    Payload("huge-integer", DIGITS, "is a ValueError of json.loads that is no JSONDecodeError", REFUSES),
    Payload("huge-integer-value", f'{{"value": {DIGITS}}}', "the same within an object", REFUSES),
    Payload("wide-integer", f'{{"value": {"9" * 400}}}', "decodes, but float() of it overflows", REFUSES),
    Payload("64-bit-integer", '{"value": 18446744073709551616}', "overflows a database's integer", REFUSES),
    Payload("huge-float", '{"value": 1e400}', "decodes to infinity", REFUSES),
    Payload("unicode-digit", "²", "isdigit() holds, int() raises ValueError", REFUSES),
)

_TEXT = (
    Payload("duplicate-keys", '{"type": "a", "type": "b"}', "the last one wins, silently", IGNORES),
    Payload(
        "lone-surrogate",
        '{"type": "message", "text": "\\ud800"}',
        "decodes, but cannot be encoded to be sent on",
        REFUSES,
    ),
    Payload("lone-surrogate-string", '"\\ud800"', "the same as the whole message", REFUSES),
    Payload("escaped-null-byte", '{"text": "\\u0000"}', "decodes; a database may refuse it", IGNORES),
    Payload("null-byte", "\x00", "is a character that is no text", IGNORES),
    Payload("control-characters", "\x1b[2J\x07\x08", "moves the cursor where it is logged", IGNORES),
    Payload("newlines", "a\nb\r\nc", "is several lines where one is expected", IGNORES),
    Payload("right-to-left", "\u202eabc", "shows reversed", IGNORES),
    Payload("joined-emoji", "\U0001f469\u200d\U0001f467", "is one sign, three characters", TAKES),
    Payload("homoglyph-key", '{"t\u0443pe": "message"}', "looks like `type` with a Cyrillic letter", REFUSES),
    Payload("format-string", "{0.__class__} {x} %s %(x)d", "fails where it becomes a format", TAKES),
    Payload("markup", "<img src=x onerror=alert(1)>", "runs where it is shown unescaped", TAKES),
    Payload("parent-path", "../../../etc/passwd", "leaves the folder where it becomes a path", REFUSES),
)

_MEANING = (
    Payload("unknown-type", _tagged('"no-such-type"'), "says it is something nobody knows", REFUSES),
    Payload("missing-type", '{"text": "hello", "data": {}}', "does not say what it is", REFUSES),
    Payload("null-type", _tagged("null"), "is of type None", REFUSES),
    Payload("object-type", _tagged("{}"), "cannot be looked up: a dict is not hashable", REFUSES),
    Payload("list-type", _tagged('["message"]'), "cannot be looked up: a list is not hashable", REFUSES),
    Payload("number-type", _tagged("1"), "has no lower(), split() or startswith()", REFUSES),
    Payload("private-type", _tagged('"__class__"'), "is an attribute where getattr() dispatches", REFUSES),
    Payload("private-keys", '{"__class__": 1, "self": 1}', "collides as keyword arguments", REFUSES),
    Payload("empty-key", '{"": ""}', "has a key without a name", REFUSES),
)

_BINARY = (
    Payload("binary-text", b"hello", "is binary where text is expected", REFUSES),
    Payload("binary-json", b'{"type": "message"}', "is JSON, in a binary message", REFUSES),
    Payload("empty-binary", b"", "is binary, and false in a condition", REFUSES),
    Payload("invalid-utf-8", b"\xff\xfe\xfd", "cannot be decoded", REFUSES),
    Payload("overlong-utf-8", b"\xc0\xaf", "is a slash that must not be decoded", REFUSES),
    Payload("utf-16", '{"a": 1}'.encode("utf-16-le"), "json.loads decodes it, text does not", REFUSES),
    Payload("binary-nulls", b"\x00" * 16, "is empty to what reads up to a null", REFUSES),
)

_LARGE = (
    Payload("deep-lists", partial(_repeat, "[", DEPTH, "]"), "is a RecursionError of json.loads", REFUSES),
    Payload("deep-objects", partial(_repeat, '{"a":', DEPTH), "is one before its end is missed", REFUSES),
    Payload("nested-lists", partial(_repeat, "[", 500, "]"), "decodes; a walk over it may fail", REFUSES),
    Payload("long-text", partial(_repeat, "x", MEBIBYTE), "is 1 MiB of text", LIMITS),
    Payload("long-string", partial(json.dumps, {"text": "x" * 65_536}), "is 64 KiB in one value", LIMITS),
    Payload("long-binary", partial(bytes, MEBIBYTE), "is 1 MiB of binary", LIMITS),
    Payload("many-keys", _many_keys, "has 10,000 keys", LIMITS),
)

CATALOGUE: tuple[Payload, ...] = (
    *_NOT_JSON,
    *_TOP_LEVEL,
    *_NUMBERS,
    *_TEXT,
    *_MEANING,
    *_BINARY,
    *_LARGE,
)
"""Every payload that needs no example; its order is the order in which they are tried."""

_FIRST = (
    "plain-text",
    "json-empty-object",
    "json-list",
    "json-null",
    "unknown-type",
    "binary-text",
    "object-type",
    "huge-integer",
    "lone-surrogate",
    "deep-lists",
    "empty-text",
    "missing-type",
    "lone-surrogate-string",
    "invalid-utf-8",
)
SMOKE: tuple[Payload, ...] = tuple(next(p for p in CATALOGUE if p.name == name) for name in _FIRST)
"""The few that find most, best first: one for each way in which handlers fail."""


def near_misses(message: Any) -> Iterator[Payload]:
    """Mutations of a known-good message, those that find most first.

    `message` is a string or bytes as they are sent, or anything JSON can express. A name is the mutation
    and, after a colon, where it was done, as a JSON Pointer (RFC 6901): `null:/user/name`.
    """
    if isinstance(message, bytes):
        yield from _packed_misses(message)
        yield from _binary_misses(message)
        return
    text = message if isinstance(message, str) else _encode(message)
    decoded = _decode(text)
    if decoded is not None:
        yield from _dropped_keys(decoded)
        yield from _value_misses(decoded)
        yield from _key_misses(decoded)
    else:
        yield from _line_misses(text)
    yield from _text_misses(text)


def reorderings(messages: Sequence[Any]) -> Iterator[Reordering]:
    """A good conversation with messages left out, said twice, swapped or reversed."""
    good = tuple(messages)
    robust = "refuses what does not fit its state, and keeps serving"
    for n in range(len(good)):
        yield Reordering(f"skip:{n}", good[:n] + good[n + 1 :], "a message is missing", robust)
        yield Reordering(f"replay:{n}", good[: n + 1] + good[n:], "a message comes twice", robust)
    for n in range(len(good) - 1):
        swapped = (*good[:n], good[n + 1], good[n], *good[n + 2 :])
        yield Reordering(f"swap:{n}", swapped, "two messages come in the other order", robust)
    if good:
        yield Reordering("twice", good + good, "the whole conversation is repeated", robust)
    if len(good) > 2:  # noqa: PLR2004 (of two it is the swap)
        yield Reordering("reversed", good[::-1], "it runs backwards", robust)


@dataclass(frozen=True, slots=True)
class _Substitute:
    """JSON text to put in a value's place; `instead_of` names the JSON types it makes sense for."""

    name: str
    text: str | Callable[[], str]
    reason: str
    instead_of: tuple[str, ...]

    def build(self, message: Any, path: Path) -> str:
        text = self.text() if callable(self.text) else self.text
        return _spliced(message, path, text)


_ANY = ("null", "boolean", "number", "string", "array", "object")


def _but(kind: str) -> tuple[str, ...]:
    return tuple(other for other in _ANY if other != kind)


_SUBSTITUTES = (
    _Substitute("null", "null", "is null", _but("null")),
    _Substitute("object", "{}", "is an object: unhashable, no string methods", _but("object")),
    _Substitute("string", '"no"', "is a string", _but("string")),
    _Substitute("unknown", '"no-such-value"', "is a value nobody knows", ("string",)),
    _Substitute("number", "7", "is a number", _but("number")),
    _Substitute("list", "[]", "is a list: unhashable, empty", _but("array")),
    _Substitute("boolean", "true", "is a boolean", _but("boolean")),
    _Substitute("negative", "-1", "is negative", ("number",)),
    _Substitute("very-negative", "-1000000", "is no index, not from the end either", ("number",)),
    _Substitute("zero", "0", "is zero: false, and no divisor", ("number",)),
    _Substitute("large", "1000000", "is larger than any count or index", ("number",)),
    _Substitute("empty", '""', "is empty", ("string",)),
    _Substitute("empty", "[]", "is empty", ("array",)),
    _Substitute("empty", "{}", "is empty", ("object",)),
    _Substitute("surrogate", '"\\ud800"', "holds a lone surrogate: cannot be sent on", ("string",)),
    _Substitute("close-code", "1005", "is a close code that no frame may carry", ("number",)),
    _Substitute("nan", "NaN", "is not a number", ("number",)),
    _Substitute("fraction", "0.5", "is no integer", ("number",)),
    _Substitute("wide", "9" * 400, "is an integer float() cannot hold", ("number", "string")),
    _Substitute("infinity", "1e400", "is infinite: int() of it overflows", ("number",)),
    _Substitute("digits", DIGITS, "is an integer Python refuses to read", _ANY),
    _Substitute("deep", partial(_repeat, "[", DEPTH, "]"), "is nested too deeply to be read", _ANY),
    _Substitute("nested", partial(_repeat, "[", 200, "]"), "is nested 200 deep", _ANY),
    _Substitute("text-number", '"7"', "is a number in quotes", ("number",)),
    _Substitute("text-boolean", '"false"', "is a boolean in quotes: true in a condition", ("boolean",)),
    _Substitute("nulls", "[null]", "holds a null", ("array",)),
    _Substitute("long-list", partial(json.dumps, [0] * 10_000), "has 10,000 elements", ("array",)),
    _Substitute("null-byte", '"\\u0000"', "holds a null character", ("string",)),
    _Substitute("private", '"__class__"', "is the name of an attribute", ("string",)),
    _Substitute("blank", '" \\n"', "is blank", ("string",)),
    _Substitute("aware", '"2030-01-01T00:00:00+00:00"', "is a time with its offset from UTC", ("string",)),
    _Substitute("naive", '"2030-01-01T00:00:00"', "is a time without its offset from UTC", ("string",)),
    _Substitute("wide-characters", '"' + "\u20ac" * 200 + '"', "is 600 bytes long", ("string", "number")),
    _Substitute("long", partial(json.dumps, "x" * 65_536), "is 64 KiB long", ("string",)),
)


def _value_misses(message: Any) -> Iterator[Payload]:
    """One value replaced, everywhere by the first substitute before anywhere by the second."""
    places = list(_places(message))
    for substitute in _SUBSTITUTES:
        for path, value in places:
            if _kind(value) in substitute.instead_of:
                name = f"{substitute.name}:{_pointer(path)}"
                reason = f"{_pointer(path) or 'the message'} {substitute.reason}"
                yield Payload(name, partial(substitute.build, message, path), reason, REFUSES)


def _dropped_keys(message: Any) -> Iterator[Payload]:
    """One key left out, at every depth."""
    for path, _ in _keyed(message):
        at = _pointer(path)
        yield Payload(f"drop-key:{at}", _encode(_without(message, path)), f"{at} is missing", REFUSES)


def _key_misses(message: Any) -> Iterator[Payload]:
    """Keys misspelt, doubled, added, in another order."""
    for path, value in _keyed(message):
        at, key = _pointer(path), path[-1]
        for name, changed in (("homoglyph-key", _homoglyph(key)), ("upper-key", key.upper())):
            if changed != key:
                data = _encode(_renamed(message, path, changed))
                yield Payload(f"{name}:{at}", data, f"{at} is spelt {changed!r}", REFUSES)
        twin = f"null, {json.dumps(key)}: {json.dumps(value)}"
        yield Payload(f"duplicate-key:{at}", _spliced(message, path, twin), f"{at} comes twice", IGNORES)
    if isinstance(message, dict):
        extra = {**message, "no_such_key": {"a": [1]}}
        yield Payload("extra-key", _encode(extra), "has a key nobody knows", IGNORES)
        backwards = dict(reversed(message.items()))
        yield Payload("reversed-keys", _encode(backwards), "has its keys in the other order", TAKES)


def _line_misses(text: str) -> Iterator[Payload]:
    """A line of words with one left out or too many, or with another number."""
    words = text.split(" ")
    for place, word in enumerate(words):
        before, after = words[:place], words[place + 1 :]
        if len(words) > 1:
            yield Payload(f"drop-word:{place}", " ".join([*before, *after]), f"lacks {word!r}", REFUSES)
        if word.removeprefix("-").isdecimal():
            for name, number, reason in _ODD_NUMBERS:
                line = " ".join([*before, number, *after])
                yield Payload(f"{name}:{place}", line, f"has a number that {reason}", REFUSES)
    yield Payload("more-words", f"{text} no such words", "has words too many", REFUSES)
    yield Payload("space-at-end", f"{text} ", "ends with a space", REFUSES)


_ODD_NUMBERS = (
    ("negative", "-1", "is negative"),
    ("very-negative", "-1000000", "is no index, not from the end either"),
    ("zero", "0", "is zero: false, and no divisor"),
    ("large", "1000000", "is larger than any count or index"),
    ("fraction", "0.5", "is no integer"),
    ("superscript", "\u00b2", "is a digit that int() does not read"),
    ("nan", "nan", "is not a number, yet float() reads it"),
    ("infinity", "inf", "is infinite: int() of it overflows"),
    ("digits", DIGITS, "Python refuses to read"),
)
"""Name, text, and why."""


def _text_misses(text: str) -> Iterator[Payload]:
    """The message as text, cut, extended, repeated, in another encoding."""
    yield Payload("as-binary", text.encode(errors="surrogatepass"), "is sent as a binary message", REFUSES)
    yield Payload("truncated", text[: len(text) // 2], "is cut in the middle", REFUSES)
    yield Payload("truncated-end", text[:-1], "lacks its last character", REFUSES)
    yield Payload("trailing", text + "x", "goes on after its end", REFUSES)
    yield Payload("doubled", text + text, "comes twice in one message", REFUSES)
    yield Payload("in-list", f"[{text}]", "is wrapped in a list", REFUSES)
    yield Payload("quoted", json.dumps(text), "is encoded twice", REFUSES)
    yield Payload("byte-order-mark", "\ufeff" + text, "begins with a byte order mark", REFUSES)
    yield Payload("padded", f" \n{text}\n ", "is surrounded by white space", IGNORES)
    yield Payload("upper-case", text.upper(), "is in upper case", REFUSES)
    yield Payload("replay", text, "is said a second time", IGNORES)


def _packed_misses(data: bytes) -> Iterator[Payload]:
    """The near misses of the value that is packed in bytes, packed again."""
    found = unpack(data)
    if found is None:
        return
    form, value = found
    for miss in (*_dropped_keys(value), *_value_misses(value)):
        changed = _decode(str(miss.data))
        packed = pack(form, changed) if changed is not None else None
        if packed is not None:
            yield replace(miss, source=packed)


def _binary_misses(data: bytes) -> Iterator[Payload]:
    """A binary message, cut, extended, damaged, as text."""
    yield Payload("as-text", data.decode("latin-1"), "is sent as a text message", REFUSES)
    yield Payload("empty", b"", "is empty", REFUSES)
    yield Payload("truncated", data[: len(data) // 2], "is cut in the middle", REFUSES)
    yield Payload("truncated-end", data[:-1], "lacks its last byte", REFUSES)
    yield Payload("trailing", data + b"\x00", "goes on after its end", REFUSES)
    yield Payload("doubled", data + data, "comes twice in one message", REFUSES)
    yield Payload("inverted", bytes(byte ^ 0xFF for byte in data), "has every bit turned over", REFUSES)
    yield Payload("first-byte", b"\xff" + data[1:], "begins with another byte", REFUSES)
    for place in range(1, min(len(data), HEAD)):
        changed = data[:place] + b"\xff" + data[place + 1 :]
        yield Payload(f"byte:{place}", changed, f"has 255 in byte {place}: a count or length beyond its end", REFUSES)
    yield Payload("replay", data, "is said a second time", IGNORES)


def _encode(message: Any) -> str:
    try:
        return json.dumps(message)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"expected a message that JSON can express; got {type(message).__name__} ({error}); "
            "give text or bytes where the app speaks no JSON"
        ) from error


def _decode(text: str) -> Any:
    """The decoded message, None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _kind(value: Any) -> str:
    """The JSON type of a decoded value."""
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


_DEEPEST = 16


def _places(message: Any) -> Iterator[tuple[Path, Any]]:
    """Where something can be replaced: every value inside an object or list, else the message itself."""
    return _inside(message, ()) if message and isinstance(message, dict | list) else iter([((), message)])


def _keyed(message: Any) -> Iterator[tuple[Path, Any]]:
    """The places that have a key, not an index."""
    return ((path, value) for path, value in _places(message) if path and isinstance(path[-1], str))


def _inside(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    items: Any = ()
    if len(path) == _DEEPEST:
        return
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value[:2])  # one element stands for the others; the second shows the first is done
    for key, inner in items:
        yield (*path, key), inner
        yield from _inside(inner, (*path, key))


def _pointer(path: Path) -> str:
    """The path as a JSON Pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)


_HOLE = "\ue000hole\ue000"


def _spliced(message: Any, path: Path, text: str) -> str:
    """The message's JSON with the value at `path` replaced by JSON text, which may be no JSON at all."""
    return _encode(_changed(message, path, lambda _: _HOLE)).replace(json.dumps(_HOLE), text, 1)


def _changed(value: Any, path: Path, change: Callable[[Any], Any]) -> Any:
    """A copy of the value with what is at `path` changed."""
    if not path:
        return change(value)
    copy = value.copy()
    copy[path[0]] = _changed(copy[path[0]], path[1:], change)
    return copy


def _without(message: Any, path: Path) -> Any:
    return _changed(message, path[:-1], lambda parent: {k: v for k, v in parent.items() if k != path[-1]})


def _renamed(message: Any, path: Path, name: str) -> Any:
    """A copy with the key at `path` renamed, in its place."""
    return _changed(
        message,
        path[:-1],
        lambda parent: {(name if key == path[-1] else key): value for key, value in parent.items()},
    )


_LOOKALIKES = str.maketrans(
    "aceiopxyACEHIKMOPTX",
    "\u0430\u0441\u0435\u0456\u043e\u0440\u0445\u0443\u0410\u0421\u0415\u041d\u0406\u041a\u041c\u041e\u0420\u0422\u0425",
)


def _homoglyph(key: str) -> str:
    """The key with each letter that has one replaced by its Cyrillic lookalike."""
    return key.translate(_LOOKALIKES)

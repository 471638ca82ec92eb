"""Plain data, patterns and durations as YAML text: minimal, as a person would write it, and exact."""

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from wsharness.errors import UsageError
from wsharness.patterns import Matcher, Operator, describe


class Source(str):
    """Text that is written as it stands."""

    __slots__ = ()


# Values


def escaped(value: Any) -> Any:
    """Plain data, with every `$` doubled that would begin something of the grammar."""
    if isinstance(value, str):
        return _BEGINS.sub(lambda found: found[0] * 2, value) if "$" in value else value
    if isinstance(value, Mapping):
        return {_escaped_key(key): escaped(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [escaped(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise UsageError(f"a file cannot say {describe(value)}; a message is text, bytes, or what JSON can say")


_BEGINS = re.compile(r"^\$+|\${2,}|\$(?=\()")


def _escaped_key(key: Any) -> str:
    if not isinstance(key, str):
        raise UsageError(f"a file cannot say the key {key!r}; keys are text")
    return f"${key}" if key.startswith("$") else key


def pattern_data(pattern: Any) -> Any:
    """A pattern as the grammar's plain data."""
    if isinstance(pattern, Mapping):
        return {_escaped_key(key): pattern_data(item) for key, item in pattern.items()}
    if isinstance(pattern, (list, tuple)):
        return [pattern_data(item) for item in pattern]
    if pattern is None or isinstance(pattern, (str, bool, int, float)):
        return escaped(pattern)
    return _grammar(pattern)


def _grammar(pattern: Any) -> Any:
    if isinstance(pattern, type):
        pattern = _TYPES.get(pattern, pattern)
    if isinstance(pattern, Matcher):
        return pattern.value
    if isinstance(pattern, Operator):
        return {pattern.name: pattern_data(pattern.argument)}
    if isinstance(pattern, re.Pattern):
        return {"$regex": _regex(pattern)}
    if isinstance(pattern, (bytes, bytearray)):
        return {"$hex": hex_pairs(pattern)}
    raise UsageError(f"a file cannot say {describe(pattern)}; use a value, a regex or a matcher such as $int")


_TYPES = {
    str: Matcher.STR,
    int: Matcher.INT,
    float: Matcher.NUMBER,
    bool: Matcher.BOOL,
    type(None): Matcher.NULL,
    list: Matcher.LIST,
    dict: Matcher.OBJECT,
    bytes: Matcher.BYTES,
    object: Matcher.ANY,
}


def _regex(pattern: re.Pattern[Any]) -> str:
    source = pattern.pattern
    if not isinstance(source, str):
        raise UsageError(f"a file cannot say {describe(pattern)}; regexes there are text")
    flags = "".join(letter for flag, letter in _FLAGS.items() if pattern.flags & flag)
    return source if not flags or source.startswith("(?") else f"(?{flags}){source}"


_FLAGS = {re.ASCII: "a", re.IGNORECASE: "i", re.MULTILINE: "m", re.DOTALL: "s", re.VERBOSE: "x"}


def hex_pairs(data: bytes | bytearray | memoryview) -> str:
    """Bytes as `00 ff`."""
    return Source(bytes(data).hex(" ")) if data else ""


def duration(seconds: float) -> str:
    """A duration with its unit, which reads back as the same number of seconds."""
    if not 0 <= seconds < _LONGEST:
        raise UsageError(f"a file cannot say {seconds!r} seconds; expected a duration from 0 on")
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        text = f"{round(seconds * factor)}{unit}"
        if parse_duration(text) == seconds:
            return Source(text)
    return Source(f"{Decimal(repr(float(seconds))):f}s")


_LONGEST = 1e15


_DURATION = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)?)(?P<unit>us|ms|s|m|h)")
_EXPONENTS = {"us": "e-6", "ms": "e-3", "s": "e0"}
_FACTORS = {"m": 60, "h": 3600}


def parse_duration(text: str) -> float:
    """Seconds of `500ms`, `1.5s`, `2m`, `1h`, `20us`; ValueError for anything else."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"expected a duration such as 500ms; got {text!r}")
    number, unit = found["number"], found["unit"]
    if unit in _FACTORS:
        return float(number) * _FACTORS[unit]
    return float(number + _EXPONENTS[unit])  # the nearest float of 0.02, which 20 / 1000 need not be


# YAML


def flow(value: Any) -> str:
    """A value in YAML's flow style on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key_text(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(flow, value)) + "]"
    return scalar(value)


def key_text(key: Any) -> str:
    """A key; a long one needs YAML's question mark."""
    text = scalar(str(key))
    return f"? {text} " if len(text) > _LONG_KEY else text


_LONG_KEY = 1000  # YAML 1.2 section 7.4.2: a simple key spans at most 1,024 characters


def scalar(value: Any) -> str:
    """A number, null, a boolean, or text in the quotes it needs."""
    if isinstance(value, Source):
        return value
    if isinstance(value, float):
        return _SPECIAL.get(str(value), json.dumps(value))
    if not isinstance(value, str):
        return json.dumps(value)
    if _PLAIN.fullmatch(value) and value.isprintable() and value.lower() not in _WORDS:
        return value
    if ('"' in value or "\\" in value) and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return '"' + "".join(_ESCAPES.get(char) or _escape(char) for char in _guarded(value)) + '"'


_SPECIAL = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}
_WORDS = ("null", "true", "false")
_PLAIN = re.compile(r"[^\W\d_](?:[\w./$+@ -]|:(?=[^\s,\[\]{}]))*(?<! )|[/$][\w./$-]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}
_PAIR = re.compile("[\ud800-\udbff](?=[\udc00-\udfff])")


def _guarded(text: str) -> list[str]:
    """The characters, a surrogate before its other half escaped already: no reader joins them."""
    halves = {found.start() for found in _PAIR.finditer(text)}
    return [f"\\U{ord(char):08x}" if place in halves else char for place, char in enumerate(text)]


def _escape(char: str) -> str:
    if len(char) > 1 or char.isprintable():
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004

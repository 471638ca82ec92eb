"""Values that a JSON Schema allows, as strategies: what pydantic says of a message model is such a schema."""

import datetime as dt
import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from pydantic import TypeAdapter

Schema: TypeAlias = Mapping[str, Any]
LONGEST = 20  # of a text or list without a limit: what is longer finds no more
INTEGERS = 2**53  # JSON's own limit of what every reader reads the same (RFC 8259 section 6)


def allowed(model: Any) -> SearchStrategy[Any]:
    """The JSON values a pydantic model (or any type pydantic knows) reads; shrinks to its smallest values."""
    schema = TypeAdapter(model).json_schema()
    return _Reader(schema.get("$defs", {})).read(schema)


class _Reader:
    """One schema's definitions."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self._read: dict[str, SearchStrategy[Any]] = {}

    def read(self, schema: Schema) -> SearchStrategy[Any]:
        if "$ref" in schema:
            return self._definition(schema["$ref"].rpartition("/")[2])
        if "const" in schema:
            return st.just(schema["const"])
        if "enum" in schema:
            return st.sampled_from(schema["enum"])
        for key in ("anyOf", "oneOf"):
            if key in schema:
                return st.one_of(*map(self.read, schema[key]))
        return self._typed(schema)

    def _definition(self, name: str) -> SearchStrategy[Any]:
        if name not in self._read:
            self._read[name] = st.deferred(lambda: self.read(self._definitions[name]))
        return self._read[name]

    def _typed(self, schema: Schema) -> SearchStrategy[Any]:
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema)
        make = _SCALARS.get(str(kind))
        return ANYTHING if make is None else make(schema)

    def _object(self, schema: Schema) -> SearchStrategy[dict[str, Any]]:
        properties = {name: self.read(one) for name, one in schema.get("properties", {}).items()}
        required = {name: one for name, one in properties.items() if name in schema.get("required", ())}
        optional = {name: one for name, one in properties.items() if name not in required}
        if not properties and isinstance(schema.get("additionalProperties"), Mapping):
            return st.dictionaries(st.text(max_size=LONGEST), self.read(schema["additionalProperties"]), max_size=3)
        return st.fixed_dictionaries(required, optional=optional)

    def _array(self, schema: Schema) -> SearchStrategy[list[Any]]:
        if "prefixItems" in schema:
            return st.tuples(*map(self.read, schema["prefixItems"])).map(list)
        least = schema.get("minItems", 0)
        items = self.read(schema.get("items", {}))
        most = min(schema.get("maxItems", least + 3), least + 3)
        return st.lists(items, min_size=least, max_size=most, unique=bool(schema.get("uniqueItems")))


def _string(schema: Schema) -> SearchStrategy[str]:
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]()
    least = schema.get("minLength", 0)
    most = schema.get("maxLength", max(least, LONGEST))
    if "pattern" not in schema:
        return st.text(min_size=least, max_size=most)
    fitting: SearchStrategy[str] = st.from_regex(str(schema["pattern"]))
    return fitting.filter(lambda text: least <= len(text) <= most and not text.endswith("\n"))  # where re's $ matches


_FORMATS: dict[str, Callable[[], SearchStrategy[str]]] = {
    "date-time": lambda: st.datetimes(timezones=st.just(dt.UTC)).map(dt.datetime.isoformat),
    "date": lambda: st.dates().map(dt.date.isoformat),
    "time": lambda: st.times().map(dt.time.isoformat),
    "uuid": lambda: st.uuids().map(str),
    "email": lambda: st.just("alice@example.com"),
    "uri": lambda: st.just("https://example.com/"),
    "duration": lambda: st.integers(0, 86_400).map(lambda seconds: f"PT{seconds}S"),
    "ipv4": lambda: st.ip_addresses(v=4).map(str),
    "ipv6": lambda: st.ip_addresses(v=6).map(str),
    "binary": lambda: st.text(max_size=LONGEST),
}


def _integer(schema: Schema) -> SearchStrategy[int]:
    step = schema.get("multipleOf", 1)
    low, high = _bounds(schema, 1)
    least = math.ceil((-INTEGERS if low is None else low) / step)
    most = math.floor((INTEGERS if high is None else high) / step)
    return st.integers(least, max(least, most)).map(lambda number: int(number * step))


def _number(schema: Schema) -> SearchStrategy[float]:
    low, high = _bounds(schema, 0)
    return st.floats(
        low,
        high,
        allow_nan=False,
        allow_infinity=False,
        exclude_min=low is not None and "exclusiveMinimum" in schema,
        exclude_max=high is not None and "exclusiveMaximum" in schema,
    )


def _bounds(schema: Schema, step: int) -> tuple[float | None, float | None]:
    """The least and the greatest; an exclusive bound of whole numbers moves by one."""
    low, high = schema.get("minimum"), schema.get("maximum")
    if "exclusiveMinimum" in schema:
        low = schema["exclusiveMinimum"] + step
    if "exclusiveMaximum" in schema:
        high = schema["exclusiveMaximum"] - step
    return low, high


_SCALARS: dict[str, Callable[[Schema], SearchStrategy[Any]]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _: st.booleans(),
    "null": lambda _: st.none(),
}
ANYTHING: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGERS, INTEGERS) | st.text(max_size=LONGEST),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
"""Any JSON value; shrinks to null."""

"""Values for what a route declares, so that it can be tried."""

import datetime as dt
import decimal
import enum
import re
import types
import typing
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from wsharness.targets.routes import Param, Route


def fill(route: Route, *, client: int = 1, given: Mapping[str, str] | None = None) -> tuple[str, dict[str, str]]:
    """A concrete path and query for the client of that number; values that are `given` come first."""
    given = given or {}

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return given[name] if name in given else example(route.params.get(name, Param(name)), client)

    path = re.sub(r"\{(\w+)(?::[^{}]*)?\}", value, route.path)
    return path, _filled(route, "query", client, given)


def fill_headers(
    route: Route, *, client: int = 1, given: Mapping[str, str] | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """The headers and the cookies that a route requires."""
    return _filled(route, "header", client, given or {}), _filled(route, "cookie", client, given or {})


def varying(route: Route, given: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The parameters of which each client gets another value: a room that they never share, or a name of their own."""
    needed = (param for param in route.params.values() if param.required and param.name not in (given or {}))
    return tuple(param.name for param in needed if example(param, 1) != example(param, 2))


def _filled(route: Route, place: str, client: int, given: Mapping[str, str]) -> dict[str, str]:
    return {
        name: given[name] if name in given else example(param, client)
        for name, param in route.params.items()
        if param.place == place and (param.required or name in given)
    }


def example(param: Param, client: int = 1) -> str:
    """A value of a parameter's declared type; each client gets another where the type has others."""
    kind = _plain_type(param.type)
    choices = param.limits.get("choices") or _choices(kind)
    if choices:
        return str(min(choices) if isinstance(choices, (set, frozenset)) else next(iter(choices)))
    make = _EXAMPLES.get(kind, _text)
    return make(param, client)


def _plain_type(kind: Any) -> Any:
    """The type inside Annotated, of the first member of a union, and of the items of a list."""
    origin = typing.get_origin(kind)
    members = [member for member in typing.get_args(kind) if member is not type(None)]
    if origin in (typing.Annotated, typing.Union, types.UnionType, list, set, tuple, frozenset) and members:
        return _plain_type(members[0])
    return kind


def _choices(kind: Any) -> tuple[Any, ...]:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return tuple(member.value for member in kind)
    return typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()


def _number(param: Param, client: int) -> str:
    limits = param.limits
    step = limits.get("multiple_of", 1)
    low = limits["ge"] if "ge" in limits else limits["gt"] + step if "gt" in limits else None
    high = limits["le"] if "le" in limits else limits["lt"] - step if "lt" in limits else None
    if low is None:
        low = step if high is None or high >= step else high
    low = -(-low // step) * step
    value = low + (client - 1) * step
    return str(value if high is None or value <= high else max(low, high // step * step))


def _fraction(param: Param, client: int) -> str:
    limits = param.limits
    low = limits.get("ge", limits.get("gt"))
    high = limits.get("le", limits.get("lt"))
    if low is not None and high is not None:
        return str(low + (high - low) / (client + 1))
    return str(float(high - client if high is not None else (low or 0) + client))


def _text(param: Param, client: int) -> str:
    """A word that fits; one client is alice, the next bob."""
    word = _fitting_pattern(param, client)
    if word is not None:
        return word
    word = _NAMES[client - 1] if client <= len(_NAMES) else f"client{client}"
    shortest, longest = param.limits.get("min_length", 0), param.limits.get("max_length")
    return word.ljust(shortest, "x")[:longest]


_NAMES = ("alice", "bob", "carol", "dave")


def _fitting_pattern(param: Param, client: int) -> str | None:
    """The first of some ordinary words that a declared pattern accepts."""
    pattern = getattr(param.limits.get("pattern"), "pattern", param.limits.get("pattern"))
    if not pattern:
        return None
    expression = re.compile(pattern)
    lengths = sorted({param.limits.get("min_length", 1), *range(1, 41)})
    for make in _SHAPES:
        for length in lengths:
            word = make(length, client)
            if expression.search(word) and len(word) <= param.limits.get("max_length", len(word)):
                return word
    return None


_SHAPES: tuple[Callable[[int, int], str], ...] = (
    lambda length, client: chr(ord("a") + (client - 1) % 26) * length,
    lambda length, client: chr(ord("A") + (client - 1) % 26) * length,
    lambda length, client: str(client % 10) * length,
    lambda length, client: f"a{client}".ljust(length, "0"),
    lambda length, client: f"{'a' * length}-{client}",
    lambda length, client: f"{'a' * length}{client}@example.com",
    lambda _, client: str(uuid.UUID(int=client)),
    lambda _, client: f"2026-01-{client:02}",
)


_EXAMPLES: dict[Any, Callable[[Param, int], str]] = {
    int: _number,
    float: _fraction,
    decimal.Decimal: _fraction,
    bool: lambda _, __: "true",
    uuid.UUID: lambda _, client: str(uuid.UUID(int=client, version=4)),
    dt.datetime: lambda _, client: f"2026-01-{client:02}T00:00:00Z",
    dt.date: lambda _, client: f"2026-01-{client:02}",
    dt.time: lambda _, client: f"00:{client:02}:00",
    dt.timedelta: lambda _, client: f"PT{client}S",
}

"""Tokens: what an app and a client saw, one short word an event, in the notation of tests/data/cases.json."""

import re
from typing import Any

LONG = 40
OWN_WORDS = (1002, 1007, 1009)  # codes that come with the server's own words
MASKED_AT_CLIENT = (1002, 1007, 1009, 1011)


def value(given: Any) -> Any:
    """A value of the cases' JSON: `$b` bytes, `$ba` bytearray, `$mv` memoryview, `$rep`, `$repb`, `$tuple`."""
    if isinstance(given, list):
        return [value(item) for item in given]
    if not isinstance(given, dict):
        return given
    if len(given) == 1:
        key, inner = next(iter(given.items()))
        if key in _VALUES:
            return _VALUES[key](inner)
    return {key: value(item) for key, item in given.items()}


_VALUES = {
    "$b": lambda text: text.encode("latin-1"),
    "$ba": lambda text: bytearray(text.encode("latin-1")),
    "$mv": lambda text: memoryview(text.encode("latin-1")),
    "$rep": lambda pair: pair[0] * pair[1],
    "$repb": lambda pair: pair[0].encode("latin-1") * pair[1],
    "$tuple": lambda items: tuple(value(item) for item in items),
}


def short(data: Any) -> str:
    """A payload, or its size where it is long."""
    if isinstance(data, (str, bytes)) and len(data) > LONG:
        return f"<{len(data)} bytes>"
    return repr(data)


def quoted(reason: str) -> str:
    return f"<{len(reason)} chars>" if len(reason) > LONG else repr(reason)


def received(event: dict[str, Any]) -> str:
    """The token of what `receive` returned."""
    kind = event["type"].removeprefix("websocket.")
    if kind == "connect":
        return "connect"
    if kind == "disconnect":
        return disconnected(event)
    parts = ",".join(f"{key}:{short(event[key])}" for key in ("bytes", "text") if key in event)
    return f"rx{{{parts}}}"


def disconnected(event: dict[str, Any]) -> str:
    code = event.get("code", "<no code>")
    if event.get("reason") is None:
        return f"disc {code}"
    if code in OWN_WORDS:
        return f"disc {code} (reason)"
    return f"disc {code} {quoted(event['reason'])}"


def sent(event: dict[str, Any]) -> str:
    """The name of a `send`."""
    return str(event.get("type", "<no type>")).removeprefix("websocket.")


def raised(error: BaseException) -> str:
    return "OSError" if isinstance(error, OSError) else "Exception"


def took(seconds: float) -> str:
    """`(10s)` behind a send that took long."""
    if seconds < 0.4:
        return ""
    rounded = round(seconds, 1)
    return f"({rounded:.0f}s)" if rounded >= 3 or rounded == int(rounded) else f"({rounded}s)"


def message(data: str | bytes) -> str:
    name = "TEXT" if isinstance(data, str) else "BIN"
    return f"{name} <{len(data)}>" if len(data) > LONG else f"{name} {data!r}"


def closed(code: int | None, reason: str, *, own_reasons: tuple[str, ...]) -> str:
    """The token of a close frame; the server's own words are left out."""
    if code is None:
        return "CLOSE <empty>"
    if not reason or (code in MASKED_AT_CLIENT and reason not in own_reasons):
        return f"CLOSE {code}"
    return f"CLOSE {code} {quoted(reason)}"


def folded(tokens: list[str]) -> list[str]:
    """Large messages and pings in a row become one token with xN."""
    result: list[str] = []
    for token in tokens:
        bare = result[-1].removesuffix(" xN") if result else ""
        if result and token == bare and _FOLDS.match(token):
            result[-1] = f"{token} xN"
        else:
            result.append(token)
    return result


_FOLDS = re.compile(r"~?(PING|BIN <|rx\{bytes:<|rx\{bytes:<)")

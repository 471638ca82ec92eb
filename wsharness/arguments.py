"""What users hand over in their calls, checked: one sentence for each thing that cannot be."""

import json
import math
from typing import Any

from wsharness.errors import UsageError
from wsharness.events import Lost, is_sendable
from wsharness.patterns import Where

MAX_REASON = 123  # bytes: RFC 6455 section 5.5


def seconds(value: Any, name: str = "within") -> float:
    """A number of seconds that ends; UsageError for anything else."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return value
    raise UsageError(f"expected {name} in seconds, 0 or more; got {value!r}; write {name}=0.5 for half a second")


def payload(message: Any) -> str | bytes:
    """What is sent for a message: text and bytes verbatim, else JSON."""
    if isinstance(message, str):
        return str(message)
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    dump = getattr(message, "model_dump_json", None)
    return str(dump()) if dump is not None and not isinstance(message, type) else as_json(message)


def as_json(value: Any, **options: Any) -> str:
    """A value as JSON; UsageError where JSON cannot hold it."""
    try:
        return json.dumps(value, allow_nan=False, **options)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"expected text, bytes or a value that JSON can hold; got a {type(value).__name__}: {error}; "
            "encode it yourself and send the text"
        ) from None


def check_close(code: Any, reason: Any) -> None:
    """UsageError for what no close frame can carry (RFC 6455 section 7.4)."""
    if code is not None and (isinstance(code, bool) or not isinstance(code, int) or not is_sendable(code)):
        better = "; drop() loses the connection" if code == Lost().code else ""
        raise UsageError(f"expected a close code from 1000-1003, 1007-1014 or 3000-4999; got {code!r}{better}")
    if not isinstance(reason, str) or len(reason.encode(errors="replace")) > (0 if code is None else MAX_REASON):
        raise UsageError(
            f"expected a close reason, text of {MAX_REASON} bytes at most, after a code; got {reason!r}; shorten it"
        )


def checked_where(pattern: Any, where: Any) -> Where:
    """A pattern whose value `where` must accept as well."""
    if not callable(where):
        raise UsageError(f"expected where as a function of the message; got {where!r}; write where=lambda m: ...")
    return Where(pattern, where)

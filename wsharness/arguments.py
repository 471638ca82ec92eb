"""What users hand over in their calls, checked: one sentence for each thing that cannot be."""

import inspect
import json
import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any, get_args

from wsharness.asgi import LifespanMode
from wsharness.errors import UsageError
from wsharness.events import Lost, is_sendable
from wsharness.patterns import Where

_ENCODER = json.JSONEncoder(allow_nan=False)
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
        encoder = json.JSONEncoder(allow_nan=False, **options) if options else _ENCODER
        return encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"expected text, bytes or a value that JSON can hold; got one of type {type(value).__name__}: {error}; "
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


# Apps


def check_app(app: Any) -> None:
    """UsageError for what can be no app: a module, MODULE:APP, a number."""
    hint = ""
    if isinstance(app, str):
        module, _, name = app.partition(":")
        if not all(part.isidentifier() for part in (*module.split("."), *name.split("."))):
            return  # the URL of a deployed server, or meant as one
        hint = f"; import it: from {module} import {name}"
    elif isinstance(app, ModuleType):
        hint = f"; name the app in it: {app.__name__}.app"
    if hint or not callable(app):
        raise UsageError(f"expected an ASGI app, a callable, or a URL such as ws://127.0.0.1:8000; got {app!r}{hint}")


def check_surroundings(lifespan: Any, state: Any, root_path: Any, client: Any) -> None:
    """UsageError for what no server tells an app of itself and of the client."""
    if lifespan not in get_args(LifespanMode):
        raise UsageError(f"expected lifespan 'auto', 'on' or 'off'; got {lifespan!r}")
    if state is not None and not isinstance(state, Mapping):
        raise UsageError(f"expected state as a dict; got {state!r}")
    if not isinstance(root_path, str):
        raise UsageError(f"expected root_path as text, such as '/api'; got {root_path!r}")
    kinds = [type(one) for one in client] if isinstance(client, (tuple, list)) else []
    if kinds != [str, int]:
        raise UsageError(f"expected client as a host and a port, such as ('127.0.0.1', 50000); got {client!r}")


def not_called(app: Any, error: TypeError) -> UsageError:
    """The error for an app that cannot be called as a server calls it, or that does not return what can be awaited."""
    return UsageError(f"expected an ASGI app, async def app(scope, receive, send); got {app!r}: {error}{_meant(app)}")


def _meant(app: Any) -> str:
    if hasattr(app, "as_asgi"):
        return f"; write {app.__name__}.as_asgi()"
    if _takes(app, 3):
        return "; make it async"
    if _takes(app, 0):
        return "; if it makes the app, call it"
    if _takes(app, 2):
        return "; a WSGI app has no WebSockets"
    if isinstance(app, type) and _takes(app, 1):
        return "; wrap it in asgiref.compatibility.guarantee_single_callable if it is of ASGI 2"
    return "; if it is an endpoint, give the app that has it as a route"


def _takes(app: Any, count: int) -> bool:
    try:
        inspect.signature(app).bind(*range(count))
    except (TypeError, ValueError):
        return False
    return True

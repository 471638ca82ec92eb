"""What kind of callable a dependency is, and how its result is had."""

import functools
import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any


class Kind(Enum):
    """How a callable is called."""

    FUNCTION = "function"  # in a thread
    COROUTINE = "coroutine"
    GENERATOR = "generator"  # entered and left in a thread
    ASYNC_GENERATOR = "async generator"


def kind_of(call: Callable[..., Any]) -> Kind:
    """The kind of a function, class, partial, wrapped function or object with `__call__`."""
    faces = list(_faces(call))
    if any(map(inspect.isasyncgenfunction, faces)):
        return Kind.ASYNC_GENERATOR
    if any(map(inspect.isgeneratorfunction, faces)):
        return Kind.GENERATOR
    if any(map(inspect.iscoroutinefunction, faces)):
        return Kind.COROUTINE
    return Kind.FUNCTION


def _faces(call: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """The function itself, the one it wraps, and the methods that calling them calls."""
    outer = _without_partial(call)
    inner = unwrapped(call)
    yield from (outer, inner)
    if inspect.isclass(inner):  # calling a class makes an object, whatever its __call__ is
        return
    for face in (outer, inner):
        method = getattr(face, "__call__", None)  # noqa: B004 (its kind is asked, not whether it is there)
        if method is not None:
            yield from (_without_partial(method), unwrapped(method))


def unwrapped(call: Callable[..., Any]) -> Any:
    """What stands behind partials and decorators that used functools.wraps."""
    return inspect.unwrap(_without_partial(call))


def _without_partial(call: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(call, functools.partial):
        call = call.func
    return call

"""wsharness/app/calls.py: what kind of callable something is, however it is wrapped."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from wsharness.app.calls import Kind, kind_of, unwrapped


def function() -> None: ...
async def coroutine() -> None: ...
def generator() -> Any:
    yield


async def async_generator() -> Any:
    yield


FUNCTIONS = {
    Kind.FUNCTION: function,
    Kind.COROUTINE: coroutine,
    Kind.GENERATOR: generator,
    Kind.ASYNC_GENERATOR: async_generator,
}


def wrapping(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        return call(*arguments, **named)

    return wrapper


def as_object(call: Callable[..., Any]) -> Any:
    return type("Callable", (), {"__call__": staticmethod(call)})()


def as_method(call: Callable[..., Any]) -> Any:
    return type("Owner", (), {"method": call})().method


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize(
    "form",
    [
        lambda call: call,
        functools.partial,
        wrapping,
        as_object,
        as_method,
        lambda call: functools.partial(wrapping(call)),
        lambda call: as_object(wrapping(call)),
    ],
    ids=["plain", "partial", "wrapped", "object", "method", "partial wrapped", "object wrapped"],
)
def test_the_kind_is_seen_through_wrappers(kind: Kind, form: Callable[[Any], Any]) -> None:
    assert kind_of(form(FUNCTIONS[kind])) is kind


def test_a_class_is_called_like_a_function_whatever_its_call_is() -> None:
    class Dependency:
        async def __call__(self) -> None: ...

    assert kind_of(Dependency) is Kind.FUNCTION
    assert kind_of(Dependency()) is Kind.COROUTINE


def test_partials_and_wrappers_are_taken_off() -> None:
    assert unwrapped(functools.partial(wrapping(function), 1)) is function

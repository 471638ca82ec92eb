"""Models as patterns: pydantic's classes, dataclasses, TypedDicts and annotated types, and why a value is none."""

import dataclasses
import json
import types
import typing
from functools import lru_cache
from typing import Any

from wsharness.errors import UsageError

_UNIONS = (types.UnionType, typing.Union)
_NO_MODELS = frozenset((types.FunctionType, types.MethodType, dict, list, str, bytes, int, float, bool))
_SHOULD = "Input should be "


def is_model(pattern: Any) -> bool:
    """Whether pydantic says what matches: a model, dataclass, TypedDict, `list[Model]`, or a union with one."""
    if type(pattern) in _NO_MODELS:
        return False
    origin = typing.get_origin(pattern)
    if origin in _UNIONS:
        return any(is_model(member) for member in typing.get_args(pattern))
    if origin is not None or _is_adapter(pattern):
        return True
    if not isinstance(pattern, type):
        return False
    return hasattr(pattern, "model_validate_json") or dataclasses.is_dataclass(pattern) or _is_typed_dict(pattern)


def is_instance(pattern: Any) -> bool:
    """Whether it is a model's instance, which means the JSON that it is sent as."""
    return hasattr(type(pattern), "model_dump_json")


def as_value(instance: Any) -> Any:
    """What the JSON of a model's instance says."""
    return json.loads(instance.model_dump_json())


def _is_typed_dict(pattern: Any) -> bool:
    return issubclass(pattern, dict) and hasattr(pattern, "__required_keys__")  # typing's, and typing_extensions'


def _is_adapter(pattern: Any) -> bool:
    return type(pattern).__name__ == "TypeAdapter" and hasattr(pattern, "validate_json")


def read(kind: Any, value: Any) -> Any:
    """The value as an instance of a model; pydantic's ValidationError, a ValueError, if it is none."""
    adapter = _adapter(kind)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return adapter.validate_python(value)
    return adapter.validate_json(json.dumps(value))  # what JSON lacks, dates and tuples, is read from JSON only


def _adapter(kind: Any) -> Any:
    try:
        return _made(kind)
    except TypeError:  # an annotation that cannot be hashed
        return _made.__wrapped__(kind)


@lru_cache(maxsize=256)
def _made(kind: Any) -> Any:
    from pydantic import PydanticUserError, TypeAdapter  # noqa: PLC0415 (only where a test uses models)

    try:
        return kind if _is_adapter(kind) else TypeAdapter(kind)
    except PydanticUserError as error:
        said = str(error.message).partition("\n")[0]
        raise UsageError(f"{name_of(kind)} cannot be a pattern: {said[:1].lower()}{said[1:].rstrip('.')}") from None


def mismatch(kind: Any, value: Any, path: str = "") -> str | None:
    """Every reason why a value is no instance of a model, with paths; None if it is one."""
    from pydantic import ValidationError  # noqa: PLC0415 (only where a test uses models)

    try:
        read(kind, value)
    except ValidationError as error:
        return "\n  ".join(_reason(one, path) for one in error.errors(include_url=False))
    return None


def _reason(error: Any, path: str) -> str:
    """One of pydantic's errors in our words."""
    where = path + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"])
    got = _short(error["input"])
    if error["type"] == "missing":
        said = f"expected a value; got no such key in {got}"
    elif error["type"] == "extra_forbidden":
        said = f"expected no such key; got {got}"
    elif error["msg"].startswith(_SHOULD):
        said = f"expected {error['msg'].removeprefix(_SHOULD)}; got {got}"
    else:
        said = f"{error['msg'][:1].lower()}{error['msg'][1:]}; got {got}"
    return f"{where}: {said}" if where else said


def _short(value: Any, limit: int = 120) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit // 2]}…{text[-limit // 2 :]}"


def name_of(kind: Any) -> str:
    """A model's name, as people write it."""
    return kind.__name__ if isinstance(kind, type) and typing.get_origin(kind) is None else _plain(kind)


def _plain(kind: Any) -> str:
    if _is_adapter(kind):
        return name_of(kind._type)  # noqa: SLF001 (it has no public name)
    members = ", ".join(name_of(member) for member in typing.get_args(kind))
    origin = typing.get_origin(kind)
    if origin in _UNIONS:
        return members.replace(", ", " | ")
    return f"{getattr(origin, '__name__', origin)}[{members}]" if members else repr(kind)

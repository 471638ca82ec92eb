"""JSON's values as bytes: msgpack and CBOR, where the app has imported what makes them."""

import importlib
import sys
from collections.abc import Callable
from typing import Any

FORMS: dict[str, tuple[str, str]] = {"msgpack": ("packb", "unpackb"), "cbor2": ("dumps", "loads")}
"""Module → its functions that pack a value and unpack it."""


def pack(form: str, value: Any) -> bytes | None:
    """A value as bytes; None where the form cannot express it or is not installed."""
    try:
        found: Callable[[Any], bytes] = getattr(importlib.import_module(form), FORMS[form][0])
        return found(value)
    except (ImportError, ValueError, TypeError, OverflowError, RecursionError):
        return None


def unpack(data: bytes) -> tuple[str, Any] | None:
    """The form of some bytes and the object or list that they are; None where they are none that the app knows."""
    for form, (_, name) in FORMS.items():
        module = sys.modules.get(form)
        if module is None:
            continue
        try:
            value = getattr(module, name)(data)
        except Exception:  # noqa: BLE001, S112 (of any kind: these are bytes of anything)
            continue
        if value and isinstance(value, (dict, list)):
            return form, value
    return None

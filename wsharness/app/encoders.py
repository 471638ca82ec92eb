"""jsonable_encoder: anything a handler holds, as what json.dumps() can write."""

import dataclasses
import datetime as dt
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import PurePath
from re import Pattern
from types import GeneratorType
from typing import Any
from uuid import UUID

from pydantic import AnyUrl, BaseModel, NameEmail, SecretBytes, SecretStr
from pydantic_core import PydanticUndefinedType, Url

Encoder = Callable[[Any], Any]
Names = set[Any] | dict[Any, Any] | None


def _isoformat(value: dt.date | dt.time) -> str:
    return value.isoformat()


def _number(value: Decimal) -> int | float:
    exponent = value.as_tuple().exponent
    return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)


ENCODERS_BY_TYPE: dict[type, Encoder] = {
    bytes: bytes.decode,
    dt.date: _isoformat,
    dt.datetime: _isoformat,
    dt.time: _isoformat,
    dt.timedelta: dt.timedelta.total_seconds,
    Decimal: _number,
    IPv4Address: str,
    IPv4Interface: str,
    IPv4Network: str,
    IPv6Address: str,
    IPv6Interface: str,
    IPv6Network: str,
    NameEmail: str,
    Pattern: lambda value: value.pattern,
    SecretBytes: str,
    SecretStr: str,
    UUID: str,
    Url: str,
    AnyUrl: str,
}


@dataclasses.dataclass(frozen=True)
class _Encoding:
    """What to leave out, and whose own encoders to use."""

    include: Names
    exclude: Names
    by_alias: bool
    exclude_unset: bool
    exclude_defaults: bool
    exclude_none: bool
    custom_encoder: dict[Any, Encoder]
    sqlalchemy_safe: bool

    def encode(self, value: Any) -> Any:
        custom = self._custom(value)
        if custom is not None:
            return custom(value)
        if isinstance(value, BaseModel):
            return self._model(value)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            fields = dataclasses.asdict(value)
            return self.encode(fields)
        if isinstance(value, Enum):
            return value.value
        if isinstance(value, (str, int, float, type(None))):
            return value
        return self._compound(value)

    def _compound(self, value: Any) -> Any:
        if isinstance(value, PurePath):
            return str(value)
        if isinstance(value, PydanticUndefinedType):
            return None
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, (list, set, frozenset, GeneratorType, tuple, deque)):
            return [self.encode(item) for item in value]
        for known in type(value).__mro__:
            if known in ENCODERS_BY_TYPE:
                return ENCODERS_BY_TYPE[known](value)
        return self.encode(_attributes(value))

    def _custom(self, value: Any) -> Encoder | None:
        if type(value) in self.custom_encoder:
            return self.custom_encoder[type(value)]
        return next((encoder for known, encoder in self.custom_encoder.items() if isinstance(value, known)), None)

    def _model(self, value: BaseModel) -> Any:
        fields = value.model_dump(
            mode="json",
            include=self.include,
            exclude=self.exclude,
            by_alias=self.by_alias,
            exclude_unset=self.exclude_unset,
            exclude_none=self.exclude_none,
            exclude_defaults=self.exclude_defaults,
        )
        return dataclasses.replace(self._inside(), custom_encoder={}).encode(fields)

    def _mapping(self, value: dict[Any, Any]) -> dict[Any, Any]:
        inside = self._inside()
        return {inside.encode(key): inside.encode(item) for key, item in value.items() if self._keeps(key, item)}

    def _keeps(self, key: Any, value: Any) -> bool:
        if self.sqlalchemy_safe and isinstance(key, str) and key.startswith("_sa"):
            return False
        if value is None and self.exclude_none:
            return False
        if self.include is not None and key not in self.include:
            return False
        return self.exclude is None or key not in self.exclude

    def _inside(self) -> "_Encoding":
        """The same, without what was said of the outermost names."""
        if self.include is None and self.exclude is None:
            return self
        return dataclasses.replace(self, include=None, exclude=None)


def jsonable_encoder(
    obj: Any,
    include: Any = None,
    exclude: Any = None,
    by_alias: bool = True,
    exclude_unset: bool = False,
    exclude_defaults: bool = False,
    exclude_none: bool = False,
    custom_encoder: dict[Any, Encoder] | None = None,
    sqlalchemy_safe: bool = True,
) -> Any:
    """`obj` made of dictionaries, lists, strings, numbers, booleans and None."""
    return _Encoding(
        include=_names(include),
        exclude=_names(exclude),
        by_alias=by_alias,
        exclude_unset=exclude_unset,
        exclude_defaults=exclude_defaults,
        exclude_none=exclude_none,
        custom_encoder=custom_encoder or {},
        sqlalchemy_safe=sqlalchemy_safe,
    ).encode(obj)


def _names(given: Any) -> Names:
    return given if given is None or isinstance(given, (set, dict)) else set(given)


def _attributes(value: Any) -> dict[Any, Any]:
    try:
        attributes = dict(value)
    except Exception as not_iterable:  # noqa: BLE001 (whatever an object of the application raises)
        try:
            attributes = vars(value)
        except TypeError as without_attributes:
            raise ValueError([not_iterable, without_attributes]) from without_attributes
    return attributes

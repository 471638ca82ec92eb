"""wsharness/app/encoders.py: the same JSON as FastAPI's encoder makes."""

import datetime as dt
import re
import uuid
from collections import deque
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi.encoders import jsonable_encoder as theirs
from pydantic import AnyUrl, BaseModel, Field, SecretStr
from pydantic_core import PydanticUndefined

from wsharness.app.encoders import jsonable_encoder


class Colour(Enum):
    RED = "red"


class Inner(BaseModel):
    when: dt.datetime = dt.datetime(2024, 1, 2, 3, 4, tzinfo=dt.UTC)
    name: str = Field("x", alias="Name")


class Outer(BaseModel):
    inner: Inner = Inner()
    size: Decimal = Decimal("1.50")
    nothing: None = None


@dataclass
class Point:
    x: int
    inner: Inner


class Listed:
    def __init__(self) -> None:
        self.a = 1
        self._sa_state = 2


VALUES: list[Any] = [
    1, 1.5, "text", True, None, b"bytes", Colour.RED, dt.date(2024, 1, 2), dt.time(1, 2),
    dt.datetime(2024, 1, 2, tzinfo=dt.UTC), dt.timedelta(seconds=90), Decimal("2"), Decimal("2.5"),
    ip_address("127.0.0.1"), ip_address("::1"), ip_network("10.0.0.0/8"), Path("a/b"), re.compile("a+"),
    uuid.UUID(int=1), AnyUrl("http://a.b/"), SecretStr("s"), PydanticUndefined, {1, 2}, frozenset({1}),
    deque([1]), (1, (2,)), [Inner()], {"a": {"b": Inner(), "_sa_x": 1}, 1: None}, Outer(), Inner(),
    Point(1, Inner()), Listed(), SimpleNamespace(a=Colour.RED),
]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"exclude_none": True},
        {"by_alias": False},
        {"exclude_unset": True},
        {"exclude_defaults": True},
        {"include": ["a", "inner", "x"]},
        {"exclude": {"a", "inner", "x"}},
        {"sqlalchemy_safe": False},
        {"custom_encoder": {dt.datetime: lambda value: "then", int: lambda value: -value}},
    ],
    ids=lambda options: next(iter(options), "none"),  # no address, no order of a set: every worker collects alike
)
def test_it_encodes_as_fastapi_does(options: dict[str, Any]) -> None:
    for value in VALUES:
        assert jsonable_encoder(value, **options) == theirs(value, **options), value


def test_a_generator_is_a_list() -> None:
    assert jsonable_encoder(number for number in range(3)) == [0, 1, 2]


def test_what_has_neither_items_nor_attributes_is_refused() -> None:
    with pytest.raises(ValueError, match="not iterable"):
        jsonable_encoder(object())

import datetime as dt
import enum
import ipaddress
import uuid
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, find, given, settings
from pydantic import AnyUrl, BaseModel, Field, TypeAdapter

from wsharness.schemas import allowed

quick = settings(
    max_examples=40, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Point(BaseModel):
    x: Annotated[int, Field(gt=0, lt=10)]
    y: Annotated[float, Field(ge=0, le=1)] = 0.5
    name: Annotated[str, Field(min_length=2, max_length=4)]


class Tree(BaseModel):
    value: int
    children: list["Tree"] = []


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: Annotated[int, Field(multiple_of=3, le=9, ge=0)]


class Dog(BaseModel):
    kind: Literal["dog"]
    code: Annotated[str, Field(pattern="^[a-z]{3}$")]


@pytest.mark.parametrize(
    "kind",
    [
        Point,
        Tree,
        Annotated[Cat | Dog, Field(discriminator="kind")],
        Colour,
        list[Point],
        tuple[int, str],
        set[bool],
        dict[str, int],
        int | None,
        dt.datetime,
        dt.date,
        dt.time,
        dt.timedelta,
        uuid.UUID,
        AnyUrl,
        bytes,
        Any,
        Annotated[float, Field(gt=0, lt=1)],
        Annotated[list[int], Field(min_length=2, max_length=3)],
        ipaddress.IPv4Address,
        ipaddress.IPv6Address,
    ],
    ids=str,
)
def test_what_is_drawn_is_what_pydantic_reads(kind):
    adapter = TypeAdapter(kind)

    @quick
    @given(allowed(kind))
    def valid(value):
        adapter.validate_python(value)

    valid()


def test_it_shrinks_to_the_smallest_values():
    assert find(allowed(Point), lambda _: True, settings=quick) == {"x": 1, "name": "00"}
    assert find(allowed(Tree), lambda tree: tree.get("children"), settings=quick) == {
        "value": 0,
        "children": [{"value": 0}],
    }

"""Values that fit what a route declares, another one for each client."""

import datetime as dt
import decimal
import enum
import re
import uuid
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, TypeAdapter

from wsharness.targets import Param, Route, example, fill, fill_headers


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


def test_a_path_and_the_required_query_are_filled():
    params = {
        "room": Param("room"),
        "n": Param("n", int),
        "token": Param("token", str, place="query"),
        "page": Param("page", int, required=False, place="query"),
        "x-key": Param("x-key", str, place="header"),
        "sid": Param("sid", str, place="cookie"),
    }
    route = Route("/ws/{room}/{n:int}/{other:path}", params=params)
    assert fill(route) == ("/ws/alice/1/alice", {"token": "alice"})
    assert fill(route, client=2) == ("/ws/bob/2/bob", {"token": "bob"})
    assert fill(route, given={"room": "lobby", "page": "7"}) == ("/ws/lobby/1/alice", {"token": "alice", "page": "7"})
    assert fill_headers(route) == ({"x-key": "alice"}, {"sid": "alice"})


KINDS = [
    int,
    float,
    bool,
    str,
    uuid.UUID,
    dt.datetime,
    dt.date,
    dt.time,
    dt.timedelta,
    decimal.Decimal,
    Color,
    Literal["a", "b"],
    int | None,
    uuid.UUID | str,
    Annotated[int, "about it"],
]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("client", [1, 2, 9])
def test_a_value_is_valid_for_its_type(kind, client):
    text = example(Param("x", kind), client)
    TypeAdapter(kind).validate_strings(text)


@pytest.mark.parametrize("kind", [int, float, str, uuid.UUID], ids=str)
def test_every_client_gets_another_value(kind):
    assert len({example(Param("x", kind), client) for client in range(1, 10)}) == 9


LIMITS = [
    (int, {"ge": 5, "le": 6}),
    (int, {"gt": 5}),
    (int, {"lt": 0}),
    (int, {"le": -3}),
    (int, {"ge": 3, "multiple_of": 5}),
    (int, {"gt": 10, "lt": 12}),
    (float, {"gt": 0, "lt": 1}),
    (float, {"ge": 2.5}),
    (float, {"lt": -1}),
    (str, {"min_length": 20}),
    (str, {"max_length": 2}),
    (str, {"min_length": 3, "max_length": 3}),
    (str, {"pattern": "^[a-z]{3}$"}),
    (str, {"pattern": r"^\d{6}$"}),
    (str, {"pattern": "^[A-F0-9]{8}$"}),
    (str, {"pattern": r"^[^@]+@[^@]+\.\w+$"}),
]


@pytest.mark.parametrize(("kind", "limits"), LIMITS, ids=[f"{kind.__name__} {limits}" for kind, limits in LIMITS])
@pytest.mark.parametrize("client", [1, 2, 5])
def test_declared_limits_are_kept(kind, limits, client):
    text = example(Param("x", kind, limits=limits), client)
    TypeAdapter(Annotated[kind, Field(**limits)]).validate_strings(text)


@given(st.integers(-50, 50), st.integers(0, 50), st.integers(1, 7), st.integers(1, 20))
def test_whole_numbers_stay_within_their_limits(low, span, step, client):
    value = int(example(Param("n", int, limits={"ge": low, "le": low + span + step, "multiple_of": step}), client))
    assert low <= value <= low + span + step
    assert value % step == 0


def test_a_pattern_that_no_ordinary_word_fits_is_left_to_the_user():
    assert re.fullmatch("alice", example(Param("x", limits={"pattern": "^ZZ-[0-9]{77}$"})))

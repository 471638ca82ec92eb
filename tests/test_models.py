import dataclasses
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter
from typing_extensions import TypedDict

from wsharness.errors import UsageError
from wsharness.models import is_model, mismatch, name_of, read
from wsharness.patterns import describe, match_message
from wsharness.patterns import mismatch as pattern_mismatch


class User(BaseModel):
    name: str


class Left(TypedDict):
    kind: Literal["left"]


@dataclasses.dataclass
class Size:
    width: int


@pytest.mark.parametrize(
    "kind", [User, Left, Size, list[User], User | None, Annotated[int, Field(gt=1)], Literal["a"], TypeAdapter(User)]
)
def test_these_are_models(kind):
    assert is_model(kind)


@pytest.mark.parametrize("kind", [int, dict, list, Any, int | str, User(name="a"), "x", None, {"a": 1}, len])
def test_these_are_none(kind):
    assert not is_model(kind)


def test_dates_and_sets_are_read_from_json():
    assert read(list[set[int]], [[1, 1]]) == [{1}]


def test_bytes_are_read_as_they_are():
    assert read(Annotated[bytes, Field(min_length=1)], b"\xff") == b"\xff"


def test_an_annotation_that_cannot_be_hashed_is_read():
    assert read(Annotated[int, Field(json_schema_extra={"a": []}), []], 3) == 3


def test_every_reason_is_given_with_its_path():
    class Room(BaseModel):
        users: list[User]
        size: Annotated[int, Field(gt=5)]

    why = mismatch(Room, {"users": [{"name": 1}, {}], "size": 3}, ".room")
    assert why == (
        ".room.users[0].name: expected a valid string; got 1\n"
        "  .room.users[1].name: expected a value; got no such key in {}\n"
        "  .room.size: expected greater than 5; got 3"
    )


def test_what_a_validator_says_is_told():
    class Even(BaseModel):
        n: Annotated[int, Field(multiple_of=2)]

    assert "got 'x…" in str(mismatch(int | User, "x" * 500)) or "…" in str(mismatch(User, "x" * 500))
    assert mismatch(Even, {"n": 2}) is None


def test_models_stand_inside_patterns():
    assert pattern_mismatch({"user": User}, {"user": {"name": "a"}}) is None
    assert pattern_mismatch({"user": User}, {"user": {}}) == ".user.name: expected a value; got no such key in {}"
    assert match_message(User, '{"name": "a"}') is None
    assert "expected" in str(match_message(User, b"\xff"))


@pytest.mark.parametrize(
    "kind, name",
    [
        (User, "User"),
        (list[User], "list[User]"),
        (User | None, "User | NoneType"),
        (Literal["a"], "Literal['a']"),
        (TypeAdapter(User), "User"),
    ],
)
def test_a_model_is_named_as_people_write_it(kind, name):
    assert name_of(kind).replace("typing.", "") == name
    assert describe(kind) == f"a value of type {name_of(kind)}"


def test_what_pydantic_cannot_read_is_refused_in_a_sentence():
    class Odd:
        pass

    with pytest.raises(UsageError, match=r"list\[Odd\] cannot be a pattern: unable to generate pydantic-core schema"):
        mismatch(list[Odd], [])

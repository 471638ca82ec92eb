"""wsharness/app/annotations.py: signatures resolved, and which types are simple values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Optional, Union

import pytest
from pydantic import BaseModel

from wsharness.app.annotations import (
    is_scalar,
    is_scalar_sequence,
    is_sequence,
    is_subclass,
    model_of,
    signature_of,
    unaliased,
)
from wsharness.app.exceptions import AnnotationError, DependencyError

if TYPE_CHECKING:
    from decimal import Decimal


class Model(BaseModel):
    a: int


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    "annotation", [list, list[int], set[str], tuple[int, str], Sequence[int], list[int] | None], ids=str
)
def test_several_values_make_a_sequence(annotation: Any) -> None:
    assert is_sequence(annotation)
    assert is_sequence(Annotated[annotation, "x"])
    assert not is_scalar(annotation)
    assert is_scalar_sequence(annotation)


@pytest.mark.parametrize(
    "annotation", [int, str, bytes, Any, int | None, Optional[str], Union[int, str, None], ...], ids=str
)
def test_one_value_is_a_scalar(annotation: Any) -> None:
    assert is_scalar(annotation)
    assert not is_sequence(annotation)
    assert not is_scalar_sequence(annotation)


@pytest.mark.parametrize("annotation", [Model, Point, dict, dict[str, int], Mapping[str, int], int | Model], ids=str)
def test_models_mappings_and_dataclasses_are_no_scalars(annotation: Any) -> None:
    assert not is_scalar(annotation)
    assert not is_scalar(Annotated[annotation, "x"])


def test_a_sequence_of_models_is_no_sequence_of_scalars() -> None:
    assert not is_scalar_sequence(list[Model])
    assert is_scalar_sequence(list[int] | int)
    assert not is_scalar_sequence(list[int] | Model)


def test_a_model_may_be_optional_but_not_one_of_two() -> None:
    assert model_of(Model) is Model
    assert model_of(Model | None) is Model
    assert model_of(Model | int) is None
    assert model_of(None | int) is None


def test_generic_aliases_are_no_subclasses() -> None:
    assert is_subclass(bool, int)
    assert not is_subclass(list[int], list)
    assert not is_subclass(3, int)


def test_a_type_statement_is_looked_through() -> None:
    from typing_extensions import TypeAliasType

    assert unaliased(TypeAliasType("Name", str)) is str
    assert unaliased(int) is int


def late(a: "int", b: "Annotated[list[Model], 'x']" = ()) -> "Decimal":  # type: ignore[assignment]
    """Its return type is unknown at run time, and nobody asks for it."""


def test_forward_references_are_resolved_whatever_is_returned() -> None:
    assert [parameter.annotation for parameter in signature_of(late)] == [int, Annotated[list[Model], "x"]]
    assert [parameter.name for parameter in signature_of(partial(late, b=[]))] == ["a", "b"]


def test_an_annotation_that_cannot_be_resolved_is_named() -> None:
    def unknown(a: int, b: "Decimal") -> None: ...

    with pytest.raises(AnnotationError, match=r"cannot resolve the annotation 'Decimal' of parameter 'b'"):
        signature_of(unknown)


def test_what_has_no_signature_is_refused() -> None:
    with pytest.raises(DependencyError, match="got 5"):
        signature_of(5)  # type: ignore[arg-type]

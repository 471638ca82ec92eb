"""wsharness/app/declarations.py: what a parameter declares, and what cannot be declared."""

import inspect
from typing import Annotated, Any

import pytest
from pydantic import AliasChoices, BaseModel, Field

from wsharness.app.declarations import declaration_of
from wsharness.app.exceptions import AnnotationError, DeclarationError
from wsharness.app.fields import BodyReader, ModelReader, ValueReader
from wsharness.app.params import Body, Cookie, Depends, Header, Location, Path, Query


class Model(BaseModel):
    a: int = 1


def reader_of(annotation: Any, default: Any = inspect.Parameter.empty, *, path: str = "p", name: str = "a") -> Any:
    parameter = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
    return declaration_of(parameter, {path}).reader()


@pytest.mark.parametrize(
    ("annotation", "name", "location"),
    [
        (int, "p", Location.PATH),
        (int, "a", Location.QUERY),
        (list[int], "a", Location.BODY),
        (Model, "a", Location.BODY),
        (Annotated[int, Field(gt=3)], "a", Location.QUERY),
        (inspect.Parameter.empty, "a", Location.QUERY),
    ],
    ids=str,
)
def test_without_a_marker_the_place_follows_from_name_and_type(annotation: Any, name: str, location: Location) -> None:
    assert reader_of(annotation, name=name).location is location


@pytest.mark.parametrize("marker", [Query, Header, Cookie, Body])
def test_a_marker_says_the_place_in_both_forms(marker: Any) -> None:
    location = Location(marker.__name__.lower())
    assert reader_of(Annotated[int, marker()]).location is location
    assert reader_of(int, marker(3)).location is location
    assert reader_of(Annotated[int, marker()], 3).field.info.default == 3


def test_kinds_of_readers() -> None:
    assert isinstance(reader_of(int), ValueReader)
    assert isinstance(reader_of(Annotated[Model, Query()]), ModelReader)
    assert isinstance(reader_of(Annotated[Model | None, Header()], None), ModelReader)
    assert isinstance(reader_of(Model), BodyReader)


def test_headers_have_hyphens_unless_told_otherwise() -> None:
    assert reader_of(Annotated[str, Header()], name="user_agent").alias == "user-agent"
    assert reader_of(Annotated[str, Header(convert_underscores=False)], name="user_agent").alias == "user_agent"
    assert reader_of(Annotated[str, Header(alias="X")], name="user_agent").alias == "X"


def test_a_path_parameter_takes_the_name_its_path_has() -> None:
    marker = Path(validation_alias=AliasChoices("q", "p"))
    assert reader_of(Annotated[int, marker]).alias == "p"
    assert marker.info.validation_alias == AliasChoices("q", "p")


def test_one_marker_may_serve_several_parameters() -> None:
    shared = Query(gt=3)
    assert reader_of(int, shared, name="a").alias == "a"
    assert reader_of(float, shared, name="b").alias == "b"
    assert shared.info.annotation is None


def test_constraints_of_annotated_add_up() -> None:
    info = reader_of(Annotated[int, Field(gt=1), Query(lt=5)]).field.info
    assert [repr(item) for item in info.metadata] == ["Gt(gt=1)", "Lt(lt=5)"]


@pytest.mark.parametrize(
    ("annotation", "default", "name", "sentence"),
    [
        (Annotated[int, Query(3)], inspect.Parameter.empty, "a", "has its default inside Annotated"),
        (Annotated[int, Query()], Query(), "a", "is declared twice"),
        (Annotated[int, Depends(len)], Depends(len), "a", "is declared twice"),
        (Annotated[int, Path()], 3, "p", "is part of the path and always there"),
        (int, Query(), "p", r"is part of the path; got Query\(\)"),
        (list[int], inspect.Parameter.empty, "p", "path parameter 'p' is one string"),
        (Model, inspect.Parameter.empty, "p", "path parameter 'p' is one string"),
        (Annotated[dict[str, int], Query()], inspect.Parameter.empty, "a", "is one or several strings"),
        (int, Field(3), "a", "say where it is read"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_in_a_sentence(annotation: Any, default: Any, name: str, sentence: str) -> None:
    with pytest.raises(DeclarationError, match=sentence) as caught:
        reader_of(annotation, default, name=name)
    assert isinstance(caught.value, AssertionError)  # what FastAPI raises


def test_a_default_and_a_factory_are_one_too_many() -> None:
    with pytest.raises(TypeError, match="a default and a default_factory"):
        reader_of(Annotated[int, Query(default_factory=int)], 3)


def test_a_type_pydantic_does_not_know_is_named() -> None:
    class Unknown: ...

    with pytest.raises(AnnotationError, match="cannot validate parameter 'a'"):
        reader_of(Unknown)

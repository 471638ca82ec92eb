"""wsharness/app/params.py: the markers, and what they refuse."""

from dataclasses import replace
from typing import Annotated, Any

import pytest

from wsharness.app.exceptions import DeclarationError, FastAPIDeprecationWarning
from wsharness.app.params import Body, Cookie, Dependency, Depends, Header, Location, Path, Query, Security


def test_each_marker_knows_its_place() -> None:
    assert [marker().location for marker in (Path, Query, Header, Cookie, Body)] == list(Location)
    assert repr(Query(3)) == "Query(3)"


def test_a_path_parameter_has_no_default() -> None:
    with pytest.raises(DeclarationError, match="got 3: leave it out"):
        Path(3)


def test_an_unknown_argument_is_answered_with_the_nearest() -> None:
    with pytest.raises(TypeError, match="'min_lenght'; did you mean 'min_length'"):
        Query(min_lenght=3)
    with pytest.raises(TypeError, match="one of default_factory, alias"):
        Query(zzzzzz=3)


@pytest.mark.parametrize(("old", "value"), [("regex", "^a"), ("example", "a")])
def test_old_names_still_work_and_say_so(old: str, value: str) -> None:
    with pytest.warns(FastAPIDeprecationWarning, match=f"'{old}' is deprecated"):
        marker = Query(**{old: value})
    assert marker.info.is_required()


def test_what_describes_a_schema_is_accepted() -> None:
    info = Query(include_in_schema=False, openapi_examples={}, title="T", description="D", examples=["a"]).info
    assert (info.title, info.description, info.examples) == ("T", "D", ["a"])
    assert Body(media_type="application/x").info.is_required()


def test_arguments_that_are_none_are_not_given() -> None:
    assert Query(gt=None, alias=None).info.metadata == []


def test_a_dependency_refuses_what_cannot_be() -> None:
    for limit in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match="max_concurrency to be a positive integer"):
            Depends(max_concurrency=limit)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected the scope 'function' or 'request'; got 'app'"):
        Depends(scope="app")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"write \['a'\]"):
        Security(scopes="a")


def test_a_limit_belongs_to_its_declaration() -> None:
    first, second = Depends(len, max_concurrency=1), Depends(len, max_concurrency=1)
    assert first.limit is not second.limit
    assert Annotated[Any, first] != Annotated[Any, second]
    assert replace(first, use_cache=False).limit is first.limit
    assert replace(first, max_concurrency=2).limit.size == 2
    assert replace(first, max_concurrency=None).limit is None


def test_security_is_a_dependency_with_scopes() -> None:
    declared = Security(len, scopes=["a"], use_cache=False)
    assert declared == Dependency(len, use_cache=False, scopes=["a"])
    assert Security(len).scopes == ()

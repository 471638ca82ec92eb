"""wsharness/app/dependencies.py: graphs analysed once, where they are declared."""

from typing import Annotated, Any

import pytest

from tests.app.driver import connect
from wsharness.app import Depends, FastAPI, Path, Query, Security, SecurityScopes, WebSocket
from wsharness.app import dependencies as module
from wsharness.app.dependencies import analyse, embeds_bodies, endpoint_dependant, injection_of
from wsharness.app.exceptions import (
    DeclarationError,
    DependencyCycleError,
    DependencyError,
    DependencyScopeError,
    FastAPIError,
)
from wsharness.app.params import Body


def test_a_graph_is_analysed_where_it_is_declared_and_never_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def dependency(a: int = 1) -> int:
        return a

    app = FastAPI()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket, a: Annotated[int, Depends(dependency)]) -> None:
        await websocket.accept()

    monkeypatch.setattr(module, "analyse", None)
    monkeypatch.setattr(module, "signature_of", None)
    assert connect(app).accepted


def test_parameters_stand_where_they_are_read() -> None:
    def call(a: int, b: Annotated[str, Query()], c: Annotated[int, Path()], websocket: WebSocket) -> None: ...

    dependant = analyse(call, path="/{a}")
    assert [reader.name for reader in dependant.path_params] == ["a", "c"]
    assert [reader.alias for reader in dependant.query_params] == ["b"]
    assert dependant.header_params == dependant.cookie_params == []
    assert dependant.injections == [("websocket", module.Injection.WEBSOCKET, False)]


def test_a_dependency_without_a_function_calls_the_annotated_class() -> None:
    class Pages:
        def __init__(self, limit: int = 10) -> None:
            self.limit = limit

    def call(pages: Annotated[Pages, Depends()]) -> None: ...

    assert analyse(call, path="/").dependencies[0].call is Pages


def test_a_cycle_is_named_where_it_is_declared() -> None:
    def first() -> None: ...
    def second(value: Any = Depends(first)) -> None: ...

    first.__signature__ = __import__("inspect").signature(second)  # type: ignore[attr-defined]
    first.__signature__ = first.__signature__.replace(  # type: ignore[attr-defined]
        parameters=[next(iter(first.__signature__.parameters.values())).replace(default=Depends(second))]  # type: ignore[attr-defined]
    )
    with pytest.raises(DependencyCycleError, match="first -> second -> first; take one of these") as caught:
        analyse(first, path="/")
    assert isinstance(caught.value, RecursionError)


@pytest.mark.parametrize("dependency", [5, "name", None])
def test_depends_on_what_cannot_be_called_is_refused(dependency: Any) -> None:
    def call(value: Any = Depends(dependency)) -> None: ...

    if dependency is None:  # then the annotation is called, and Any is nothing to call
        call.__annotations__["value"] = 3
    with pytest.raises(DependencyError, match="something that can be called"):
        analyse(call, path="/")


@pytest.mark.parametrize("dependency", [len, Depends(), "name"], ids=["function", "empty", "string"])
def test_dependencies_of_a_route_are_depends_of_something(dependency: Any) -> None:
    with pytest.raises(DeclarationError, match=r"write \[Depends\(function\)\]"):
        endpoint_dependant(lambda: None, path="/", dependencies=[dependency])


def test_a_longer_life_cannot_need_a_shorter_one() -> None:
    def short() -> Any:
        yield

    def long(value: Any = Depends(short, scope="function")) -> Any:
        yield

    def call(value: Any = Depends(long)) -> None: ...
    def fine(value: Any = Depends(long, scope="function")) -> None: ...

    with pytest.raises(DependencyScopeError, match='The dependency "long" has a scope of "request"') as caught:
        analyse(call, path="/")
    assert isinstance(caught.value, FastAPIError)
    analyse(fine, path="/")


def test_scopes_tell_calls_apart_only_where_somebody_reads_them() -> None:
    def plain() -> None: ...
    def reading(scopes: SecurityScopes) -> None: ...
    def above(value: Any = Depends(reading)) -> None: ...

    def call(
        a: Any = Security(above, scopes=["x"]),
        b: Any = Depends(above),
        c: Any = Depends(plain),
        d: Any = Depends(plain),
    ) -> None: ...

    a, b, c, d = analyse(call, path="/").dependencies
    assert a.cache_key != b.cache_key
    assert c.cache_key == d.cache_key
    assert a.dependencies[0].scopes == ["x"]


def test_several_bodies_stand_under_their_names() -> None:
    def one(a: dict[str, int]) -> None: ...
    def embedded(a: Annotated[int, Body(embed=True)]) -> None: ...
    def two(a: dict[str, int], b: Annotated[int, Body()]) -> None: ...

    assert [embeds_bodies(analyse(call, path="/")) for call in (one, embedded, two)] == [False, True, True]


def test_a_marker_on_what_is_injected_is_refused() -> None:
    def call(websocket: Annotated[WebSocket, Query()]) -> None: ...

    with pytest.raises(DeclarationError, match="gets its WebSocket from its type alone"):
        analyse(call, path="/")


def test_types_are_injected_with_their_subclasses() -> None:
    import starlette.websockets

    assert injection_of(starlette.websockets.WebSocket) is module.Injection.WEBSOCKET
    assert injection_of(type("Mine", (WebSocket,), {})) is module.Injection.WEBSOCKET
    assert injection_of(int) is None
    assert injection_of(WebSocket | None) is None

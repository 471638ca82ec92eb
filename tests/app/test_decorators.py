"""wsharness/app/decorators.py: the same decorators on applications and routers."""

from typing import Any

import pytest

from tests.app.driver import connect, request
from wsharness.app import APIRouter, FastAPI, WebSocket
from wsharness.app.decorators import RouteDecorators
from wsharness.app.exceptions import DeclarationError, FastAPIDeprecationWarning


@pytest.fixture(params=[FastAPI, APIRouter])
def routes(request: pytest.FixtureRequest) -> Any:
    return request.param()


def test_websocket_decorators_return_the_function(routes: Any) -> None:
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()

    assert routes.websocket("/a", name="first", dependencies=[])(endpoint) is endpoint
    assert routes.websocket_route("/b", name="second")(endpoint) is endpoint
    assert connect(routes, "/a").accepted
    assert connect(routes, "/b").accepted
    assert routes.url_path_for("first") == "/a"
    assert routes.url_path_for("second") == "/b"


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete", "head", "options"])
def test_every_method_has_its_decorator(routes: Any, method: str) -> None:
    getattr(routes, method)("/", status_code=202)(lambda: "x")
    assert request(routes, method.upper()).status == 202


def test_api_route_takes_several_methods(routes: Any) -> None:
    routes.api_route("/", methods=["GET", "POST"], tags=["x"], summary="s", response_model=None)(lambda: 1)
    assert [request(routes, method).status for method in ("GET", "POST")] == [200, 200]


@pytest.mark.parametrize(
    "option", [{"response_model": int}, {"response_model_exclude_none": True}, {"zzz": 1}], ids=str
)
def test_options_that_cannot_be_honoured_are_refused(routes: Any, option: dict[str, Any]) -> None:
    with pytest.raises(DeclarationError, match=f"has no '{next(iter(option))}' for HTTP routes"):
        routes.get("/", **option)(lambda: 1)


def test_on_event_is_deprecated(routes: Any) -> None:
    with pytest.warns(FastAPIDeprecationWarning, match="pass a lifespan"):
        routes.on_event("startup")(print)
    assert getattr(routes, "router", routes).on_startup == [print]


def test_the_methods_behind_the_decorators_are_to_be_written() -> None:
    base = RouteDecorators()
    for call in (
        lambda: base.add_api_websocket_route("/", print),
        lambda: base.add_websocket_route("/", print),
        lambda: base.add_api_route("/", print),
        lambda: base.add_event_handler("startup", print),
    ):
        with pytest.raises(NotImplementedError):
            call()

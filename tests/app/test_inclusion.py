"""wsharness/app/inclusion.py: the routes of one router as another one serves them."""

from typing import Any

import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Host, Match, Mount, NoMatchFound, Route, Router

from tests.app.driver import connect, request
from wsharness.app import APIRouter, Depends, FastAPI, WebSocket
from wsharness.app.exceptions import DeclarationError
from wsharness.app.inclusion import IncludedRouter, contains, leaves


def noting(log: list[str], name: str) -> Any:
    def note() -> None:
        log.append(name)

    return Depends(note)


async def accepting(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_json({"path": websocket.scope["route"].path, **websocket.path_params})


def test_prefixes_and_dependencies_add_up_from_outside_in() -> None:
    log: list[str] = []
    inner = APIRouter(prefix="/inner", dependencies=[noting(log, "inner")])
    inner.websocket("/{x}", dependencies=[noting(log, "route")])(accepting)
    outer = APIRouter(prefix="/outer", dependencies=[noting(log, "outer")])
    outer.include_router(inner, prefix="/a", dependencies=[noting(log, "including inner")])
    app = FastAPI(dependencies=[noting(log, "app")])
    app.include_router(outer, prefix="/{tenant}", dependencies=[noting(log, "including outer")])
    transcript = connect(app, "/t/outer/a/inner/7")
    assert transcript.texts == ['{"path":"/{tenant}/outer/a/inner/{x}","tenant":"t","x":"7"}']
    assert log == ["app", "including outer", "outer", "including inner", "inner", "route"]


def test_routes_added_or_taken_away_later_count() -> None:
    router, app = APIRouter(), FastAPI()
    app.include_router(router, prefix="/p")
    assert connect(app, "/p/late").closed == (1000, "")
    router.websocket("/late")(accepting)
    assert connect(app, "/p/late").accepted
    router.routes.clear()
    assert not connect(app, "/p/late").accepted


def test_a_router_may_be_included_twice() -> None:
    router, app = APIRouter(), FastAPI()
    router.websocket("/ws", name="ws")(accepting)
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    assert connect(app, "/v1/ws").accepted
    assert connect(app, "/v2/ws").accepted
    assert app.url_path_for("ws") == "/v1/ws"
    assert router.routes[0].path == "/ws"  # type: ignore[attr-defined]


def test_every_kind_of_route_is_included() -> None:
    router = APIRouter()
    router.add_websocket_route("/plain", accepting)
    router.add_route("/page", lambda request: PlainTextResponse("page"), name="page")
    router.get("/api")(lambda: "api")
    mounted = Router([Route("/in", lambda request: PlainTextResponse("mounted"), name="in")])
    router.routes.append(Mount("/m", mounted, name="m"))
    app = FastAPI()
    app.include_router(router, prefix="/p")
    assert connect(app, "/p/plain").accepted
    assert [request(app, path=path).body for path in ("/p/page", "/p/api", "/p/m/in")] == [
        b"page",
        b'"api"',
        b"mounted",
    ]
    assert app.url_path_for("m:in") == "/p/m/in"
    assert [getattr(route, "path", None) for route in leaves(app.routes)] == [
        "/p/plain", "/p/page", "/p/api", "/p/m",
    ]  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "/p"])
def test_hosts_are_included(prefix: str) -> None:
    hosted = Router([Route("/", lambda request: PlainTextResponse(request.path_params["name"]))])
    app = FastAPI()
    app.include_router(APIRouter(routes=[Host("{name}.example.org", hosted)]), prefix=prefix)
    assert request(app, path=f"{prefix}/", headers=[("host", "a.example.org")]).body == b"a"
    assert request(app, path=f"{prefix}/", headers=[("host", "other.org")]).status == 404


def test_a_route_of_an_unknown_kind_is_served_as_it_is() -> None:
    class Odd(BaseRoute):
        def matches(self, scope: Any) -> Any:
            return Match.FULL, {}

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "websocket.close", "code": 4000, "reason": "odd"})

    app = FastAPI()
    app.include_router(APIRouter(routes=[Odd()]), prefix="/p")
    assert connect(app, "/anything").closed == (4000, "odd")


def test_a_wrong_method_waits_for_a_route_that_fits() -> None:
    first, second, app = APIRouter(), APIRouter(), FastAPI()
    first.get("/x")(lambda: "get")
    second.post("/x")(lambda: "post")
    app.include_router(first)
    app.include_router(second)
    assert request(app, "POST", "/x").body == b'"post"'
    assert request(app, "PUT", "/x").status == 405


def test_what_is_declared_wrongly_fails_where_it_is_included() -> None:
    router = APIRouter()

    @router.websocket("/ws")
    async def endpoint(websocket: WebSocket, tags: list[str]) -> None: ...

    with pytest.raises(DeclarationError, match="path parameter 'tags' is one string"):
        FastAPI().include_router(router, prefix="/{tags}")


def test_names_nobody_has_are_not_found() -> None:
    app = FastAPI()
    app.include_router(APIRouter())
    with pytest.raises(NoMatchFound):
        app.url_path_for("nobody")


def test_included_routers_can_be_looked_at() -> None:
    inner, outer, app = APIRouter(), APIRouter(), FastAPI()
    inner.websocket("/ws")(accepting)
    outer.include_router(inner, prefix="/i")
    app.include_router(outer, prefix="/o")
    [included] = app.routes
    assert isinstance(included, IncludedRouter)
    assert [route.path for route in included.effective_route_contexts()] == ["/o/i/ws"]  # type: ignore[attr-defined]
    assert "prefix='/o'" in repr(included)
    assert contains(outer, inner)
    assert not contains(inner, outer)

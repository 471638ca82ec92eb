"""WebSocket routes are found in every framework's own tables, with what they declare."""

import uuid
import warnings
from typing import Annotated

import falcon.asgi
import fastapi
import litestar
import pytest
import quart
from litestar.params import HeaderParameter, QueryParameter
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.routing import Host, Mount, Router, WebSocketRoute

import wsharness.app
from wsharness.targets import Route, discover_routes, route_of


def paths(app):
    return [route.path for route in discover_routes(app)]


def declared(route):
    return {name: (param.type, param.required, param.place) for name, param in route.params.items()}


async def endpoint(websocket):
    pass


def test_a_bare_callable_has_none():
    assert discover_routes(endpoint) == []
    assert discover_routes(lambda scope: None) == []
    assert discover_routes(None) == []


def test_starlette_mounts_hosts_routers_and_middleware_are_looked_into():
    inner = Starlette(routes=[WebSocketRoute("/in/{n:int}", endpoint)])

    class Middleware:
        def __init__(self, app):
            self.app = app

        async def __call__(self, scope, receive, send):
            await self.app(scope, receive, send)

    app = Starlette(
        routes=[
            WebSocketRoute("/ws", endpoint, name="main"),
            Mount("/sub", routes=[Mount("/deep", app=Middleware(inner))]),
            Host("{tenant}.example.org", app=Router(routes=[WebSocketRoute("/host", endpoint)])),
        ]
    )
    assert paths(Middleware(app)) == ["/ws", "/sub/deep/in/{n}", "/host"]
    assert declared(discover_routes(app)[1]) == {"n": (int, True, "path")}


def test_a_mount_of_itself_does_not_hang():
    app = Starlette()
    app.mount("/again", app)
    app.router.routes.append(WebSocketRoute("/ws", endpoint))
    assert paths(app)[-1] == "/ws"


FRAMEWORKS = [fastapi, wsharness.app]


@pytest.mark.parametrize("framework", FRAMEWORKS, ids=["fastapi", "wsharness.app"])
def test_fastapi_and_our_own_declare_parameters_dependencies_included(framework):
    async def token(
        tok: Annotated[str, framework.Query(min_length=20)],
        page: int = 3,
        x_key: Annotated[str, framework.Header()] = "k",
        sid: Annotated[str | None, framework.Cookie()] = None,
    ):
        pass

    async def read(websocket: framework.WebSocket, rid: uuid.UUID, n: Annotated[int, framework.Path(ge=5, le=9)]):
        pass

    router = framework.APIRouter(prefix="/r/{rid}")
    router.add_api_websocket_route("/a/{n}", read, dependencies=[framework.Depends(token)])
    outer = framework.APIRouter(prefix="/two")
    outer.include_router(router)
    app = framework.FastAPI()
    app.include_router(outer, prefix="/top")
    (route,) = discover_routes(app)
    assert route.path == "/top/two/r/{rid}/a/{n}"
    assert declared(route) == {
        "rid": (uuid.UUID, True, "path"),
        "n": (int, True, "path"),
        "tok": (str, True, "query"),
        "page": (int, False, "query"),
        "x-key": (str, False, "header"),
        "sid": (str | None, False, "cookie"),
    }
    assert route.params["n"].limits == {"ge": 5, "le": 9}
    assert route.params["tok"].limits == {"min_length": 20}


class Filters(BaseModel):
    limit: int
    word: str = "x"


def test_a_model_of_query_parameters_is_taken_apart():
    async def read(websocket: fastapi.WebSocket, filters: Annotated[Filters, fastapi.Query()]):
        pass

    app = fastapi.FastAPI()
    app.add_api_websocket_route("/ws", read)
    assert declared(discover_routes(app)[0]) == {"limit": (int, True, "query"), "word": (str, False, "query")}


def test_included_starlette_routes_and_mounts_are_found():
    app, router, sub = fastapi.FastAPI(), fastapi.APIRouter(), fastapi.FastAPI()
    router.routes.append(WebSocketRoute("/plain", endpoint))
    sub.add_api_websocket_route("/s", endpoint)
    app.include_router(router, prefix="/api")
    app.mount("/m", sub)
    assert paths(app) == ["/api/plain", "/m/s"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # apps are still written in the older style
def test_litestar_declares_path_and_query_parameters():
    @litestar.websocket("/l/{n:int}/{u:uuid}")
    async def read(
        socket: litestar.WebSocket,
        n: int,
        u: uuid.UUID,
        q: int,
        token: Annotated[str, QueryParameter(name="tok", min_length=30)],
        key: Annotated[str, HeaderParameter(name="X-Key")],
        opt: str | None = None,
    ) -> None:
        pass

    (route,) = discover_routes(litestar.Litestar([litestar.Router("/api", route_handlers=[read])]))
    assert route.path == "/api/l/{n}/{u}"
    assert declared(route) == {
        "n": (int, True, "path"),
        "u": (uuid.UUID, True, "path"),
        "q": (int, True, "query"),
        "tok": (str, True, "query"),
        "X-Key": (str, True, "header"),
        "opt": (str | None, False, "query"),
    }
    assert route.params["tok"].limits["min_length"] == 30


def test_quart_lists_websocket_rules_only():
    app, blueprint = quart.Quart("shop"), quart.Blueprint("b", "b", url_prefix="/b")

    async def handler(**_):
        pass

    app.add_url_rule("/http", "http", handler)
    app.websocket("/q/<int(min=4):n>/<path:p>")(handler)
    blueprint.websocket("/x/<uuid:k>")(handler)
    app.register_blueprint(blueprint)
    first, second = discover_routes(app)
    assert (first.path, second.path) == ("/q/{n}/{p}", "/b/x/{k}")
    assert declared(first) == {"n": (int, True, "path"), "p": (str, True, "path")}
    assert first.params["n"].limits == {"ge": 4}
    assert declared(second) == {"k": (uuid.UUID, True, "path")}


class Resource:
    async def on_websocket(self, req, ws, **_):
        pass


class OnlyHTTP:
    async def on_get(self, req, resp):
        pass


def test_falcon_lists_resources_that_answer_websockets():
    app = falcon.asgi.App()
    app.add_route("/f/{n:int(min=3)}/x", Resource())
    app.add_route("/", Resource())
    app.add_route("/h", OnlyHTTP())
    assert sorted(paths(app)) == ["/", "/f/{n}/x"]
    route = next(route for route in discover_routes(app) if route.params)
    assert (route.params["n"].type, route.params["n"].limits) == (int, {"ge": 3})


@pytest.fixture
def django_settings():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from django.conf import settings

        if not settings.configured:
            settings.configure(SECRET_KEY="x", ALLOWED_HOSTS=["*"])


def test_channels_looks_through_protocols_middleware_and_nested_routers(django_settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from channels.generic.websocket import AsyncWebsocketConsumer
        from channels.routing import ProtocolTypeRouter, URLRouter
        from channels.security.websocket import OriginValidator
        from channels.sessions import CookieMiddleware
        from django.urls import path, re_path

    consumer = AsyncWebsocketConsumer.as_asgi()
    nested = URLRouter([path("x/<uuid:u>", consumer)])
    patterns = [path("ws/<int:n>/", consumer), re_path(r"^chat/(?P<room>[\w-]+)/$", consumer), path("sub/", nested)]
    app = ProtocolTypeRouter(
        {"http": endpoint, "websocket": OriginValidator(CookieMiddleware(URLRouter(patterns)), ["*"])}
    )
    assert paths(app) == ["/ws/{n}/", "/chat/{room}/", "/sub/x/{u}"]
    assert [param.type for route in discover_routes(app) for param in route.params.values()] == [int, str, uuid.UUID]


def test_a_path_leads_to_its_route():
    routes = [Route("/ws"), Route("/rooms/{room}"), Route("/files/{name:path}/raw"), Route("/{rest:path}")]
    assert route_of(routes, "/ws?a=b") == "/ws"
    assert route_of(routes, "/rooms/lobby") == "/rooms/{room}"
    assert route_of(routes, "/files/a/b/raw") == "/files/{name:path}/raw"
    assert route_of(routes, "/other") == "/{rest:path}"
    assert route_of(routes[:1], "/other") == "/other"

"""wsharness/app/applications.py: the application as a whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, WebSocketRoute

from tests.app.driver import connect, request, run_lifespan, text
from wsharness.app import Depends, FastAPI, HTTPConnection, WebSocket, WebSocketDisconnect
from wsharness.app.exceptions import DeclarationError, FastAPIDeprecationWarning


def echo_app(**options: Any) -> FastAPI:
    app = FastAPI(**options)

    @app.websocket("/ws/{room}")
    async def echo(websocket: WebSocket, room: str, name: str = "nobody") -> None:
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(f"{room} {name} {await websocket.receive_text()}")
        except WebSocketDisconnect:
            pass

    return app


def test_it_serves_and_is_a_starlette_application() -> None:
    app = echo_app(title="Echo", version="2", docs_url=None, description="what it says")
    assert isinstance(app, Starlette)
    assert (app.title, app.version) == ("Echo", "2")
    assert connect(app, "/ws/a", text("hi"), query="name=bob").texts == ["a bob hi"]
    assert connect(app, "/nowhere").closed == (1000, "")


def test_middleware_sees_websockets() -> None:
    seen = []

    class Noting:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope["type"])
            await self.app(scope, receive, send)

    app = echo_app(middleware=[Middleware(Noting)])
    connect(app, "/ws/a")
    assert seen == ["websocket"]


def test_http_middleware_sees_requests_alone() -> None:
    app = echo_app()
    app.get("/")(lambda: "x")

    @app.middleware("http")
    async def add_header(request: Any, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-seen"] = "yes"
        return response

    assert request(app).headers["x-seen"] == "yes"
    assert connect(app, "/ws/a").accepted
    with pytest.raises(DeclarationError, match=r"call add_middleware\(\)"):
        app.middleware("websocket")


def test_an_application_is_mounted_in_another() -> None:
    inner = echo_app()
    outer = FastAPI()
    outer.mount("/in/{tenant}", inner)
    assert connect(outer, "/in/t/ws/a", text("hi")).texts == ["a nobody hi"]
    starlette = Starlette(routes=[Mount("/in", app=inner)])
    assert connect(starlette, "/in/ws/a").accepted


def test_a_starlette_application_is_mounted_in_it() -> None:
    async def plain(websocket: Any) -> None:
        await websocket.accept()

    app = FastAPI(routes=[WebSocketRoute("/direct", plain)])
    app.mount("/sub", Starlette(routes=[WebSocketRoute("/ws", plain)]))
    app.host("api.example.org", Starlette(routes=[WebSocketRoute("/hosted", plain)]))
    assert connect(app, "/direct").accepted
    assert connect(app, "/sub/ws").accepted
    assert connect(app, "/hosted", headers=[("host", "api.example.org")]).accepted


def test_url_for_finds_websocket_routes() -> None:
    app = echo_app()
    seen = []

    @app.websocket("/links")
    async def links(websocket: WebSocket) -> None:
        seen.append(str(websocket.url_for("echo", room="x")))

    connect(app, "/links", headers=[("host", "example.org")])
    assert seen == ["ws://example.org/ws/x"]


def test_lifespan_state_reaches_the_websocket() -> None:
    async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        app.state.started = True
        yield {"pool": "a pool"}

    app = FastAPI(lifespan=lifespan)

    @app.websocket("/")
    async def endpoint(websocket: WebSocket, connection: HTTPConnection) -> None:
        await websocket.accept()
        await websocket.send_json([connection.state.pool, websocket.app.state.started])

    state: dict[str, Any] = {"early": 1}
    asyncio.run(run_lifespan(app, state))
    assert connect(app, state=state).texts == ['["a pool",true]']


def test_a_lifespan_that_fails_says_so() -> None:
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        raise KeyError("no database")
        yield

    with pytest.raises(KeyError, match="no database"):
        asyncio.run(run_lifespan(FastAPI(lifespan=lifespan)))


def test_dependencies_of_the_application_come_first() -> None:
    log: list[str] = []
    app = FastAPI(dependencies=[Depends(lambda: log.append("app"))])

    @app.websocket("/", dependencies=[Depends(lambda: log.append("route"))])
    async def endpoint(websocket: WebSocket, own: Any = Depends(lambda: log.append("own"))) -> None: ...

    connect(app)
    assert log == ["app", "route", "own"]


def test_exception_handlers_may_be_given_at_once() -> None:
    async def handler(websocket: WebSocket, error: Exception) -> None:
        await websocket.close(4000, "handled")

    app = FastAPI(exception_handlers={KeyError: handler})

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        raise KeyError

    assert connect(app).closed == (4000, "handled")


def test_root_path_is_deprecated_and_works() -> None:
    with pytest.warns(FastAPIDeprecationWarning, match="configure the server's"):
        app = FastAPI(root_path="/api")
    seen = []

    @app.websocket("/ws")
    async def endpoint(websocket: WebSocket) -> None:
        seen.append(websocket.scope["root_path"])

    connect(app, "/ws")
    assert seen == ["/api"]


def test_slashes_are_redirected_on_http_alone() -> None:
    app = FastAPI()
    app.get("/a/")(lambda: "x")
    assert request(app, path="/a").status == 307
    assert request(FastAPI(redirect_slashes=False), path="/a").status == 404

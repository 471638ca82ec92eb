from typing import Annotated

from fastapi import Cookie, FastAPI, WebSocket, WebSocketException

from wsharness.conversations import Options
from wsharness.entering import let_in, unreached
from wsharness.targets import discover_routes


def route_and_options(app):
    [route] = discover_routes(app)
    return route, Options(target="x:app")


def test_what_a_route_takes_is_brought_along_where_nobody_gets_in_without():
    app = FastAPI()

    @app.websocket("/ws")
    async def talk(websocket: WebSocket, token: str | None = None, session: Annotated[str | None, Cookie()] = None):
        if token is None or session is None:
            raise WebSocketException(code=1008)
        await websocket.accept()
        await websocket.receive_json()

    assert let_in(app, *route_and_options(app)).params == (("token", "alice"), ("session", "alice"))


def test_what_a_route_takes_is_said_where_nobody_gets_in():
    app = FastAPI()

    @app.websocket("/ws")
    async def talk(websocket: WebSocket, token: str | None = None):
        raise WebSocketException(code=1008)

    route, options = route_and_options(app)
    failure = unreached(route, let_in(app, route, options), [("alice sees HTTP 403", "bob sees HTTP 403")])
    assert failure.message.startswith("no connection was ever accepted: a client sees HTTP 403; ")
    assert failure.code == "WSH304" and "--query (it takes token)" in failure.message


def test_what_is_not_needed_or_given_is_left_alone():
    app = FastAPI()

    @app.websocket("/ws")
    async def talk(websocket: WebSocket, token: str | None = None):
        await websocket.accept()

    route, options = route_and_options(app)
    assert let_in(app, route, options) is options

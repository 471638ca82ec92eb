"""wsharness/app/routing.py: routes, what they match and what they serve."""

import functools
from typing import Annotated, Any

import pytest
from pydantic import BaseModel
from starlette.endpoints import WebSocketEndpoint
from starlette.responses import PlainTextResponse
from starlette.routing import Match, NoMatchFound

from tests.app.driver import connect, http_scope, request, text, websocket_scope
from wsharness.app import APIRoute, APIRouter, APIWebSocketRoute, Body, Depends, FastAPI, WebSocket
from wsharness.app.exceptions import EndpointError, WebSocketRequestValidationError
from wsharness.app.routing import WebSocketRoute, endpoint_place


async def endpoint(websocket: WebSocket, room: int) -> None:
    await websocket.accept()
    await websocket.send_json(room)


def test_a_route_matches_its_path_on_websockets_alone() -> None:
    route = APIWebSocketRoute("/chat/{room:int}", endpoint)
    match, child = route.matches(websocket_scope("/chat/7"))
    assert match is Match.FULL
    assert child == {"endpoint": endpoint, "path_params": {"room": 7}, "route": route}
    assert route.matches(websocket_scope("/chat/x"))[0] is Match.NONE
    assert route.matches(http_scope(path="/chat/7"))[0] is Match.NONE


def test_a_route_has_a_name_and_makes_its_path() -> None:
    route = APIWebSocketRoute("/chat/{room}", endpoint)
    assert route.name == "endpoint"
    assert route.url_path_for("endpoint", room=7) == "/chat/7"
    assert route.url_path_for("endpoint", room=7).protocol == "websocket"
    named = APIWebSocketRoute("/chat/{room}", endpoint, name="chat", dependencies=[Depends(len)][:0])
    assert named.name == "chat"
    for name, parameters in [("other", {"room": 1}), ("chat", {}), ("chat", {"room": 1, "x": 2})]:
        with pytest.raises(NoMatchFound):
            named.url_path_for(name, **parameters)


def test_a_route_serves_by_itself() -> None:
    assert connect(APIWebSocketRoute("/chat/{room}", endpoint), "/chat/7").texts == ["7"]
    assert connect(APIWebSocketRoute("/chat/{room}", endpoint), "/other").closed == (1000, "")


def test_without_handlers_the_validation_error_is_raised() -> None:
    raised = connect(APIWebSocketRoute("/chat/{room}", endpoint), "/chat/x", root_path="/mounted/").raised
    assert isinstance(raised, WebSocketRequestValidationError)
    assert raised.endpoint_path == "WS /mounted/chat/{room}"
    assert (raised.endpoint_function, raised.endpoint_file) == ("endpoint", __file__)


def test_an_endpoint_without_source_has_a_place_all_the_same() -> None:
    route = APIWebSocketRoute("/", functools.partial(endpoint, room=1))
    assert endpoint_place(route.dependant, {}, "WS") == {"path": "WS /"}


def sync(websocket: WebSocket) -> None: ...


def test_an_endpoint_that_is_not_async_is_named_and_told_what_to_do() -> None:
    raised = connect(APIWebSocketRoute("/", sync)).raised
    assert isinstance(raised, EndpointError)
    assert isinstance(raised, TypeError)  # what FastAPI ends in
    assert "write 'async def'" in str(raised)


def test_whatever_returns_an_awaitable_is_an_endpoint() -> None:
    class Endpoint:
        async def __call__(self, websocket: WebSocket) -> None:
            await websocket.accept()

    for call in (Endpoint(), functools.partial(endpoint, room=3), lambda websocket: websocket.accept()):
        if not isinstance(call, functools.partial | Endpoint):
            call.__annotations__["websocket"] = WebSocket
        assert connect(APIWebSocketRoute("/", call)).accepted


def test_starlettes_kind_of_route_gets_our_websocket() -> None:
    seen = []

    async def plain(websocket: Any) -> None:
        seen.append(type(websocket))
        await websocket.accept()

    assert connect(WebSocketRoute("/", plain)).accepted
    assert seen == [WebSocket]


def test_starlettes_endpoint_classes_stay_theirs() -> None:
    class Echo(WebSocketEndpoint):
        encoding = "text"

        async def on_receive(self, websocket: Any, data: Any) -> None:
            await websocket.send_text(f"echo {data}")

    assert connect(WebSocketRoute("/", Echo), "/", text("hi")).texts == ["echo hi"]


def test_the_route_is_in_the_scope() -> None:
    app = FastAPI()
    seen = []

    @app.websocket("/a/{x}")
    async def endpoint(websocket: WebSocket) -> None:
        seen.append((websocket.scope["route"].path, websocket.scope["endpoint"] is endpoint))

    connect(app, "/a/1")
    assert seen == [("/a/{x}", True)]


# HTTP, next to the WebSockets


class Item(BaseModel):
    name: str
    size: int = 1


def http_app() -> FastAPI:
    app = FastAPI()

    @app.get("/plain/{a}")
    async def plain(a: int, q: str | None = None) -> Any:
        return {"a": a, "q": q}

    @app.post("/items", status_code=201)
    def create(item: Item) -> Any:
        return item

    @app.post("/two")
    def two(item: Item, other: Annotated[int, Body()]) -> Any:
        return [item, other]

    @app.put("/response")
    def response() -> Any:
        return PlainTextResponse("as it is")

    @app.delete("/none", status_code=204)
    def none() -> None: ...

    return app


JSON = [("content-type", "application/json")]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("GET", "/plain/3", b"", 200, b'{"a":3,"q":null}'),
        ("POST", "/items", b'{"name": "x"}', 201, b'{"name":"x","size":1}'),
        ("POST", "/two", b'{"item": {"name": "x"}, "other": 2}', 200, b'[{"name":"x","size":1},2]'),
        ("PUT", "/response", b"", 200, b"as it is"),
        ("DELETE", "/none", b"", 204, b""),
        ("PATCH", "/items", b"", 405, b'{"detail":"Method Not Allowed"}'),
        ("GET", "/nowhere", b"", 404, b'{"detail":"Not Found"}'),
    ],
)
def test_http_is_answered(method: str, path: str, body: bytes, status: int, answer: bytes) -> None:
    transcript = request(http_app(), method, path, body=body, headers=JSON)
    assert transcript.raised is None
    assert (transcript.status, transcript.body) == (status, answer)


@pytest.mark.parametrize(
    ("body", "headers", "fault"),
    [
        (b"", JSON, b'"missing","loc":["body"]'),
        (b"{", JSON, b'"json_invalid","loc":["body",1]'),
        (b"[]", JSON, b'"model_attributes_type","loc":["body"]'),
        (b'{"name": "x"}', [], b'"model_attributes_type","loc":["body"]'),
        (b'{"name": 3}', JSON, b'"string_type","loc":["body","name"]'),
    ],
)
def test_a_bad_body_is_422(body: bytes, headers: Any, fault: bytes) -> None:
    transcript = request(http_app(), "POST", "/items", body=body, headers=headers)
    assert transcript.status == 422
    assert fault in transcript.body


def test_a_body_that_is_no_text_is_400() -> None:
    transcript = request(http_app(), "POST", "/items", body=b'"\xff"', headers=JSON)
    assert (transcript.status, transcript.body) == (400, b'{"detail":"There was an error parsing the body"}')


def test_a_body_of_parts_needs_an_object() -> None:
    transcript = request(http_app(), "POST", "/two", body=b"[]", headers=JSON)
    assert b'"loc":["body","item"]' in transcript.body
    assert b'"loc":["body","other"]' in transcript.body


def test_a_generator_that_swallows_the_exception_is_named() -> None:
    def swallowing() -> Any:
        try:
            yield
        except ValueError:
            pass

    router = APIRouter()

    @router.get("/", dependencies=[Depends(swallowing)])
    def endpoint() -> None:
        raise ValueError

    raised = request(router).raised
    assert "a dependency with yield swallowed the exception" in str(raised)


def test_an_http_route_knows_its_methods() -> None:
    route = APIRoute("/a", lambda: None, methods=["get", "post"], name="a")
    assert route.methods == {"GET", "POST"}
    assert route.matches(http_scope("DELETE", "/a"))[0] is Match.PARTIAL
    assert route.matches(http_scope("GET", "/b"))[0] is Match.NONE

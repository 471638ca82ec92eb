"""wsharness/app/exception_handlers.py: which handler an exception finds, and what it answers."""

from typing import Any

import pytest
from starlette.responses import PlainTextResponse

from tests.app.driver import connect, request
from wsharness.app import FastAPI, HTTPException, WebSocket, WebSocketException
from wsharness.app.exception_handlers import allows_body


def raising(error: Exception, *, accept: bool = False) -> FastAPI:
    app = FastAPI()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket) -> None:
        if accept:
            await websocket.accept()
        raise error

    return app


def test_an_exception_without_a_handler_passes_through() -> None:
    error = KeyError("mine")
    assert connect(raising(error)).raised is error


@pytest.mark.parametrize("accept", [False, True])
def test_a_websocket_exception_closes_with_its_code(accept: bool) -> None:
    transcript = connect(raising(WebSocketException(4001, "why"), accept=accept))
    assert transcript.raised is None
    assert transcript.closed == (4001, "why")
    assert transcript.accepted is accept


def test_an_http_exception_without_a_body_sends_none() -> None:
    transcript = connect(raising(HTTPException(204, headers={"x": "y"})))
    assert (transcript.status, transcript.headers["x"], transcript.body) == (204, "y", b"")


def test_the_nearest_class_is_found_first_and_a_status_before_it() -> None:
    app = raising(FileNotFoundError())
    app.add_exception_handler(OSError, closing(4001))
    app.add_exception_handler(FileNotFoundError, closing(4002))
    assert connect(app).closed == (4002, "")
    teapot = raising(HTTPException(418))
    teapot.add_exception_handler(418, closing(4003))
    assert connect(teapot).closed == (4003, "")


def closing(code: int) -> Any:
    async def handler(websocket: WebSocket, error: Exception) -> None:
        assert isinstance(websocket, WebSocket)
        await websocket.close(code)

    return handler


def test_a_handler_may_be_sync_and_answer_with_a_response() -> None:
    app = raising(KeyError())

    @app.exception_handler(KeyError)
    def handler(websocket: WebSocket, error: Exception) -> PlainTextResponse:
        return PlainTextResponse("denied", status_code=403)

    transcript = connect(app)
    assert (transcript.status, transcript.body) == (403, b"denied")


def test_a_handled_exception_forgets_its_traceback() -> None:
    error = KeyError()
    app = raising(error)
    app.add_exception_handler(KeyError, closing(4000))
    connect(app)
    assert error.__traceback__ is None


def test_an_exception_after_the_response_began_is_an_error_of_its_own() -> None:
    app = FastAPI()

    class Broken(PlainTextResponse):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)
            raise KeyError("late")

    @app.get("/")
    def endpoint() -> Broken:
        return Broken("x")

    app.add_exception_handler(KeyError, closing(4000))
    raised = request(app).raised
    assert isinstance(raised, RuntimeError)
    assert "after the response had started" in str(raised)


def test_what_validates_not_is_422_on_http() -> None:
    app = FastAPI()

    @app.get("/{a}")
    def endpoint(a: int) -> None: ...

    transcript = request(app, path="/x")
    assert transcript.status == 422
    assert b'"loc":["path","a"]' in transcript.body


def test_which_statuses_have_a_body() -> None:
    assert [status for status in (None, 100, 200, 204, 205, 304, 404) if allows_body(status)] == [
        None,
        200,
        404,
    ]

"""What becomes of an exception: the default handlers, and the wrapper that finds and calls them."""

from collections.abc import Callable
from typing import Any, cast

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from wsharness.app.calls import Kind, kind_of
from wsharness.app.encoders import jsonable_encoder
from wsharness.app.exceptions import RequestValidationError, WebSocketRequestValidationError
from wsharness.app.websocket import WebSocket

Connection = Request | WebSocket
Handler = Callable[[Any, Any], Any]

# Close code "policy violation" (RFC 6455, section 7.4.1).
POLICY_VIOLATION = 1008
_LAST_INFORMATIONAL = 199


async def http_exception_handler(request: Connection, exc: HTTPException) -> Response:  # noqa: ARG001
    """The status, headers and `{"detail": ...}`; for a WebSocket that is a denial response."""
    headers = exc.headers
    if not allows_body(exc.status_code):
        return Response(status_code=exc.status_code, headers=headers)
    return JSONResponse({"detail": exc.detail}, status_code=exc.status_code, headers=headers)


async def request_validation_exception_handler(
    request: Request,  # noqa: ARG001 (a handler gets both)
    exc: RequestValidationError,
) -> JSONResponse:
    """422, with what did not validate."""
    return JSONResponse({"detail": jsonable_encoder(exc.errors())}, status_code=422)


async def websocket_request_validation_exception_handler(
    websocket: WebSocket, exc: WebSocketRequestValidationError
) -> None:
    """Close with 1008 before accept; the reason is the list of errors, which only middleware sees."""
    await websocket.close(code=POLICY_VIOLATION, reason=jsonable_encoder(exc.errors()))


def allows_body(status_code: int | None) -> bool:
    """Whether HTTP lets a response of this status have a body."""
    return status_code is None or not (status_code <= _LAST_INFORMATIONAL or status_code in {204, 205, 304})


async def answering_exceptions(
    app: ASGIApp, connection: Connection, scope: Scope, receive: Receive, send: Send
) -> None:
    """Run `app`; an exception it raises goes to the handler the application has for it."""
    response_started = False

    async def watched(message: Message) -> None:
        nonlocal response_started
        response_started |= message["type"] == "http.response.start"
        await send(message)

    try:
        await app(scope, receive, watched)
    except Exception as error:
        handler = _handler_for(error, scope)
        if handler is None:
            raise
        if response_started:
            raise RuntimeError(
                "an exception that has a handler was raised after the response had started;"
                " raise it earlier, or handle it where the response is made"
            ) from error
        response = await _handled(handler, connection, error)
        if response is not None:
            await response(scope, receive, watched)
        # An exception object that is raised again and again would gather every traceback.
        error.__traceback__ = None


def _handler_for(error: Exception, scope: Scope) -> Handler | None:
    by_class, by_status = scope.get("starlette.exception_handlers", ({}, {}))
    if isinstance(error, HTTPException) and error.status_code in by_status:
        return by_status[error.status_code]  # type: ignore[no-any-return]
    return next((by_class[known] for known in type(error).__mro__ if known in by_class), None)


async def _handled(handler: Handler, connection: Connection, error: Exception) -> Response | None:
    if kind_of(handler) is Kind.COROUTINE:
        response = await handler(connection, error)
    else:
        response = await run_in_threadpool(handler, connection, error)
    return cast(Response | None, response)

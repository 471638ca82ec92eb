"""Routes: a path, an endpoint and what it depends on, ready to serve connections."""

import inspect
import json
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack
from email.message import Message as HeaderMessage
from functools import lru_cache, partial
from typing import Any, Protocol

from starlette import routing
from starlette.concurrency import run_in_threadpool
from starlette.convertors import Convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, compile_path, get_name
from starlette.types import ASGIApp, Receive, Scope, Send

from wsharness.app.calls import Kind, kind_of
from wsharness.app.dependencies import Dependant, embeds_bodies, endpoint_dependant
from wsharness.app.encoders import jsonable_encoder
from wsharness.app.exception_handlers import allows_body, answering_exceptions
from wsharness.app.exceptions import (
    Endpoint,
    EndpointError,
    FastAPIError,
    RequestValidationError,
    WebSocketRequestValidationError,
)
from wsharness.app.fields import MISSING
from wsharness.app.params import Dependency
from wsharness.app.solving import Overrides, Solver
from wsharness.app.websocket import WebSocket


class OverridesProvider(Protocol):
    """What holds the replacements of dependencies: the application."""

    @property
    def dependency_overrides(self) -> Overrides:
        """The function to call in the place of another."""


class WebSocketRoute(routing.WebSocketRoute):
    """Starlette's own kind of route: `async def endpoint(websocket)`, or an ASGI application."""

    app: ASGIApp

    def __init__(self, path: str, endpoint: Callable[..., Any], *, name: str | None = None) -> None:
        super().__init__(path, endpoint, name=name)
        if self.app is not endpoint:  # it is a function, and gets the WebSocket of this package
            self.app = websocket_session(endpoint)


class APIWebSocketRoute(routing.WebSocketRoute):
    """A path whose connections are handed to `endpoint`, with everything it depends on."""

    app: ASGIApp
    path_regex: re.Pattern[str]
    path_format: str
    param_convertors: dict[str, Convertor[Any]]

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        name: str | None = None,
        dependencies: Sequence[Dependency] | None = None,
        dependency_overrides_provider: OverridesProvider | None = None,
    ) -> None:
        self.path = path
        self.endpoint = endpoint
        self.name: str = get_name(endpoint) if name is None else name
        self.dependencies: list[Dependency] = list(dependencies or [])
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.dependant: Dependant = endpoint_dependant(endpoint, path=self.path_format, dependencies=self.dependencies)
        self.app = websocket_session(
            partial(_serve_websocket, self.dependant, dependency_overrides_provider, embeds_bodies(self.dependant))
        )

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route takes the connection, and what it adds to its scope."""
        match, child_scope = super().matches(scope)
        if match is not Match.NONE:
            child_scope["route"] = self
        return match, child_scope


def websocket_session(serve: Callable[..., Awaitable[None]]) -> ASGIApp:
    """An ASGI application that calls `serve` with a WebSocket, and lets exceptions be handled."""

    async def session(scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)

        async def serving(*_asgi: Any) -> None:
            await serve(websocket)

        await answering_exceptions(serving, websocket, scope, receive, send)

    return session


async def _serve_websocket(
    dependant: Dependant, provider: OverridesProvider | None, embed: bool, websocket: WebSocket
) -> None:
    async with AsyncExitStack() as request, AsyncExitStack() as function:
        solver = Solver(websocket, _overrides(provider), request, function, embed=embed)
        values = await solver.solve(dependant)
        if solver.errors:
            place = endpoint_place(dependant, websocket.scope, "WS")
            raise WebSocketRequestValidationError(solver.errors, endpoint_ctx=place)
        running = dependant.call(**values)
        if not inspect.isawaitable(running):
            raise EndpointError(
                f"expected the WebSocket endpoint {dependant.call!r} to be async; it returned {running!r}:"
                " write 'async def'"
            )
        await running


def _overrides(provider: OverridesProvider | None) -> Overrides:
    return {} if provider is None else provider.dependency_overrides


def endpoint_place(dependant: Dependant, scope: Scope, method: str) -> Endpoint:
    """Where the endpoint is defined, and its path, the path it is mounted under included."""
    mounted = scope.get("root_path", "").rstrip("/")
    return {**_source_of(dependant.call), "path": f"{method} {mounted}{dependant.path}"}


@lru_cache(maxsize=1024)
def _source_of(call: Callable[..., Any]) -> Endpoint:
    place = Endpoint()
    try:
        file = inspect.getsourcefile(call)
        line = inspect.getsourcelines(call)[1]
    except (OSError, TypeError):  # no source: made by exec(), or not a function
        return place
    if file is not None:
        place["file"] = file
    place["line"] = line
    if (name := getattr(call, "__name__", None)) is not None:
        place["function"] = name
    return place


class APIRoute(routing.Route):
    """An HTTP path next to the WebSockets: the same dependencies, a response or JSON."""

    app: ASGIApp
    path_regex: re.Pattern[str]
    path_format: str
    param_convertors: dict[str, Convertor[Any]]

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        *,
        methods: Collection[str] | None = None,
        name: str | None = None,
        dependencies: Sequence[Dependency] | None = None,
        status_code: int | None = None,
        response_class: type[Response] = JSONResponse,
        include_in_schema: bool = True,
        dependency_overrides_provider: OverridesProvider | None = None,
    ) -> None:
        self.path = path
        self.endpoint = endpoint
        self.name: str = get_name(endpoint) if name is None else name
        self.methods: set[str] = {method.upper() for method in methods or ["GET"]}
        self.dependencies: list[Dependency] = list(dependencies or [])
        self.status_code = status_code
        self.response_class = response_class
        self.include_in_schema = include_in_schema
        self.path_regex, self.path_format, self.param_convertors = compile_path(path)
        self.dependant: Dependant = endpoint_dependant(endpoint, path=self.path_format, dependencies=self.dependencies)
        self.is_async: bool = kind_of(endpoint) is Kind.COROUTINE
        self.app = self._session(dependency_overrides_provider, embeds_bodies(self.dependant))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether this route takes the request, and what it adds to its scope."""
        match, child_scope = super().matches(scope)
        if match is not Match.NONE:
            child_scope["route"] = self
        return match, child_scope

    def _session(self, provider: OverridesProvider | None, embed: bool) -> ASGIApp:
        async def session(scope: Scope, receive: Receive, send: Send) -> None:
            request = Request(scope, receive, send)

            async def serving(_scope: Scope, _receive: Receive, send: Send) -> None:
                await self._serve(request, _overrides(provider), embed, send)

            await answering_exceptions(serving, request, scope, receive, send)

        return session

    async def _serve(self, request: Request, overrides: Overrides, embed: bool, send: Send) -> None:
        answered = False
        async with AsyncExitStack() as stack:
            async with AsyncExitStack() as function:
                body = await self._body(request)
                solver = Solver(request, overrides, stack, function, body=body, embed=embed)
                values = await solver.solve(self.dependant)
                if solver.errors:
                    raise RequestValidationError(
                        solver.errors,
                        body=None if body is MISSING else body,
                        endpoint_ctx=endpoint_place(self.dependant, request.scope, request.method),
                    )
                response = self._response(await self._result(values), solver)
            await response(request.scope, request.receive, send)
            answered = True
        if not answered:
            raise FastAPIError(
                "no response was sent: a dependency with yield swallowed the exception;"
                " raise it again in its except block"
            )

    async def _result(self, values: dict[str, Any]) -> Any:
        if self.is_async:
            return await self.endpoint(**values)
        return await run_in_threadpool(self.endpoint, **values)

    def _response(self, result: Any, solver: Solver) -> Response:
        if isinstance(result, Response):
            if result.background is None:
                result.background = solver.tasks
            return result
        provisional = solver.response
        status = (provisional and provisional.status_code) or self.status_code
        options: dict[str, Any] = {"background": solver.tasks}
        if status is not None:
            options["status_code"] = status
        response = self.response_class(jsonable_encoder(result), **options)
        if not allows_body(response.status_code):
            response.body = b""
        if provisional is not None:
            response.headers.raw.extend(provisional.headers.raw)
        return response

    async def _body(self, request: Request) -> Any:
        """The decoded JSON body, its bytes where it says it is no JSON, or MISSING."""
        if not _wants_body(self.dependant):
            return MISSING
        raw = await request.body()
        if not raw:
            return MISSING
        if not _says_json(request):
            return raw
        try:
            return json.loads(raw)
        except json.JSONDecodeError as error:
            fault = {
                "type": "json_invalid",
                "loc": ("body", error.pos),
                "msg": "JSON decode error",
                "input": {},
                "ctx": {"error": error.msg},
            }
            place = endpoint_place(self.dependant, request.scope, request.method)
            raise RequestValidationError([fault], body=error.doc, endpoint_ctx=place) from error
        except ValueError as error:  # not UTF-8
            raise HTTPException(400, "There was an error parsing the body") from error


def _wants_body(dependant: Dependant) -> bool:
    return bool(dependant.bodies) or any(map(_wants_body, dependant.dependencies))


def _says_json(request: Request) -> bool:
    message = HeaderMessage()
    message["content-type"] = request.headers.get("content-type", "text/plain")
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (subtype == "json" or subtype.endswith("+json"))

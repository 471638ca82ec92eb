"""The application: routes, dependencies, exception handlers and middleware together."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import BaseRoute
from starlette.types import Receive, Scope, Send

from wsharness.app.decorators import Decorated, Decorator, RouteDecorators
from wsharness.app.exception_handlers import (
    Handler,
    http_exception_handler,
    request_validation_exception_handler,
    websocket_request_validation_exception_handler,
)
from wsharness.app.exceptions import (
    DeclarationError,
    FastAPIDeprecationWarning,
    RequestValidationError,
    WebSocketRequestValidationError,
)
from wsharness.app.lifespan import EventHandler
from wsharness.app.params import Dependency
from wsharness.app.routers import APIRouter

_DEFAULT_HANDLERS: dict[Any, Any] = {
    HTTPException: http_exception_handler,
    RequestValidationError: request_validation_exception_handler,
    WebSocketRequestValidationError: websocket_request_validation_exception_handler,
}


class FastAPI(RouteDecorators, Starlette):
    """A Starlette application with FastAPI's WebSocket routes and dependencies."""

    def __init__(
        self,
        *,
        debug: bool = False,
        routes: Sequence[BaseRoute] | None = None,
        title: str = "FastAPI",
        version: str = "0.1.0",
        dependencies: Sequence[Dependency] | None = None,
        redirect_slashes: bool = True,
        middleware: Sequence[Middleware] | None = None,
        exception_handlers: Mapping[int | type[Exception], Handler] | None = None,
        on_startup: Sequence[EventHandler] | None = None,
        on_shutdown: Sequence[EventHandler] | None = None,
        lifespan: Callable[[Any], Any] | None = None,
        root_path: str = "",
        **documentation: Any,
    ) -> None:
        super().__init__(
            debug=debug,
            middleware=middleware,
            exception_handlers=_DEFAULT_HANDLERS | dict(exception_handlers or {}),
        )
        self.title = title
        self.version = version
        self.documentation = documentation
        self.root_path = root_path
        self.dependency_overrides: dict[Callable[..., Any], Callable[..., Any]] = {}
        self.router: APIRouter = APIRouter(
            routes=routes,
            redirect_slashes=redirect_slashes,
            dependencies=dependencies,
            dependency_overrides_provider=self,
            on_startup=on_startup,
            on_shutdown=on_shutdown,
            lifespan=lifespan,
        )
        if root_path:
            warnings.warn("root_path is deprecated; configure the server's", FastAPIDeprecationWarning, stacklevel=2)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        if self.root_path:
            scope["root_path"] = self.root_path
        await super().__call__(scope, receive, send)

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        name: str | None = None,
        *,
        dependencies: Sequence[Dependency] | None = None,
    ) -> None:
        """Serve the WebSocket connections of `path` with `endpoint`."""
        self.router.add_api_websocket_route(path, endpoint, name, dependencies=dependencies)

    def add_websocket_route(self, path: str, endpoint: Callable[..., Any], name: str | None = None) -> None:
        """Starlette's way: `async def endpoint(websocket)` without dependencies, or an ASGI application."""
        self.router.add_websocket_route(path, endpoint, name)

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Answer HTTP requests of `path` with `endpoint`."""
        self.router.add_api_route(path, endpoint, **options)

    def add_event_handler(self, event_type: str, func: EventHandler) -> None:
        """Call `func` at "startup" or "shutdown"."""
        self.router.add_event_handler(event_type, func)

    def include_router(
        self,
        router: APIRouter,
        *,
        prefix: str = "",
        dependencies: Sequence[Dependency] | None = None,
        **documentation: Any,
    ) -> None:
        """Serve everything `router` has, and whatever is added to it later, under `prefix`."""
        self.router.include_router(router, prefix=prefix, dependencies=dependencies, **documentation)

    def middleware(self, middleware_type: str) -> Decorator[Decorated]:
        """Let the decorated function see every HTTP request; WebSockets take add_middleware()."""
        if middleware_type != "http":
            raise DeclarationError(
                f"expected the middleware type 'http'; got {middleware_type!r}:"
                " for WebSockets write an ASGI middleware and call add_middleware()"
            )

        def decorator(func: Decorated) -> Decorated:
            self.add_middleware(BaseHTTPMiddleware, dispatch=func)
            return func

        return decorator

    def exception_handler(self, exc_class_or_status_code: int | type[Exception]) -> Decorator[Decorated]:
        """Let the decorated function handle an exception class or an HTTP status."""

        def decorator(func: Decorated) -> Decorated:
            self.add_exception_handler(exc_class_or_status_code, func)
            return func

        return decorator

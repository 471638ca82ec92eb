"""The decorators that applications and routers share: websocket(), get(), post() and so on."""

import warnings
from collections.abc import Callable, Collection, Sequence
from typing import Any, TypedDict, TypeVar, Unpack

from starlette.responses import Response

from wsharness.app.exceptions import DeclarationError, FastAPIDeprecationWarning
from wsharness.app.params import Dependency

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
Decorator = Callable[[Decorated], Decorated]

# They describe a route in a schema, and there is none here.
_SCHEMA_ONLY = {
    "tags",
    "summary",
    "description",
    "response_description",
    "responses",
    "deprecated",
    "operation_id",
    "callbacks",
    "openapi_extra",
    "generate_unique_id_function",
}


class RouteOptions(TypedDict, total=False):
    """What an HTTP route takes beside its path and endpoint."""

    name: str | None
    methods: Collection[str] | None
    dependencies: Sequence[Dependency] | None
    status_code: int | None
    response_class: type[Response]
    include_in_schema: bool
    response_model: None
    tags: Any
    summary: str | None
    description: str | None
    response_description: str
    responses: Any
    deprecated: bool | None
    operation_id: str | None
    callbacks: Any
    openapi_extra: Any
    generate_unique_id_function: Any


def kept_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options that make a difference here; those that cannot be honoured are refused."""
    for name, value in options.items():
        if name not in RouteOptions.__annotations__ or (name == "response_model" and value is not None):
            raise DeclarationError(
                f"wsharness.app has no {name!r} for HTTP routes; leave it out, and return what the client shall see"
            )
    dropped = _SCHEMA_ONLY | {"response_model"}
    return {name: value for name, value in options.items() if name not in dropped}


class RouteDecorators:
    """Decorators over the methods that add a route."""

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        name: str | None = None,
        *,
        dependencies: Sequence[Dependency] | None = None,
    ) -> None:
        """Serve the WebSocket connections of `path` with `endpoint`."""
        raise NotImplementedError

    def add_websocket_route(self, path: str, endpoint: Callable[..., Any], name: str | None = None) -> None:
        """Serve the WebSocket connections of `path` without dependencies."""
        raise NotImplementedError

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Answer HTTP requests of `path` with `endpoint`."""
        raise NotImplementedError

    def add_event_handler(self, event_type: str, func: Callable[[], Any]) -> None:
        """Call `func` at "startup" or "shutdown"."""
        raise NotImplementedError

    def websocket(
        self,
        path: str,
        name: str | None = None,
        *,
        dependencies: Sequence[Dependency] | None = None,
    ) -> Decorator[Decorated]:
        """Serve the WebSocket connections of `path` with the decorated function."""

        def decorator(endpoint: Decorated) -> Decorated:
            self.add_api_websocket_route(path, endpoint, name, dependencies=dependencies)
            return endpoint

        return decorator

    def websocket_route(self, path: str, name: str | None = None) -> Decorator[Decorated]:
        """Starlette's way: the function gets the WebSocket and nothing else."""

        def decorator(endpoint: Decorated) -> Decorated:
            self.add_websocket_route(path, endpoint, name)
            return endpoint

        return decorator

    def api_route(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer HTTP requests of `path` with the decorated function."""

        def decorator(endpoint: Decorated) -> Decorated:
            self.add_api_route(path, endpoint, **options)
            return endpoint

        return decorator

    def _answering(self, method: str, path: str, options: RouteOptions) -> Decorator[Decorated]:
        options["methods"] = [method]
        return self.api_route(path, **options)

    def get(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer GET requests."""
        return self._answering("GET", path, options)

    def post(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer POST requests."""
        return self._answering("POST", path, options)

    def put(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer PUT requests."""
        return self._answering("PUT", path, options)

    def patch(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer PATCH requests."""
        return self._answering("PATCH", path, options)

    def delete(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer DELETE requests."""
        return self._answering("DELETE", path, options)

    def head(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer HEAD requests."""
        return self._answering("HEAD", path, options)

    def options(self, path: str, **options: Unpack[RouteOptions]) -> Decorator[Decorated]:
        """Answer OPTIONS requests."""
        return self._answering("OPTIONS", path, options)

    def on_event(self, event_type: str) -> Decorator[Decorated]:
        """Call the decorated function at "startup" or "shutdown"; a lifespan is the better way."""
        warnings.warn("on_event() is deprecated; pass a lifespan", FastAPIDeprecationWarning, stacklevel=2)

        def decorator(func: Decorated) -> Decorated:
            self.add_event_handler(event_type, func)
            return func

        return decorator

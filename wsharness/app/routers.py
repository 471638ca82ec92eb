"""Routers: routes declared together, and included in others under a prefix."""

from collections.abc import Callable, Sequence
from typing import Any

from starlette import routing
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from wsharness.app.decorators import RouteDecorators, kept_options
from wsharness.app.exceptions import DeclarationError, FastAPIError
from wsharness.app.inclusion import IncludedRouter, Inclusion, contains, leaves
from wsharness.app.lifespan import EventHandler, Lifespan, as_lifespan, handlers_lifespan, merged
from wsharness.app.params import Dependency
from wsharness.app.routing import APIRoute, APIWebSocketRoute, OverridesProvider, WebSocketRoute


class APIRouter(RouteDecorators, routing.Router):
    """Routes under one prefix and with common dependencies, to be included in an application."""

    def __init__(
        self,
        *,
        prefix: str = "",
        dependencies: Sequence[Dependency] | None = None,
        routes: Sequence[BaseRoute] | None = None,
        redirect_slashes: bool = True,
        default: ASGIApp | None = None,
        dependency_overrides_provider: OverridesProvider | None = None,
        on_startup: Sequence[EventHandler] | None = None,
        on_shutdown: Sequence[EventHandler] | None = None,
        lifespan: Callable[[Any], Any] | None = None,
        **documentation: Any,
    ) -> None:
        check_prefix(prefix)
        self.on_startup: list[EventHandler] = list(on_startup or [])
        self.on_shutdown: list[EventHandler] = list(on_shutdown or [])
        super().__init__(
            routes=routes,
            redirect_slashes=redirect_slashes,
            default=default,
            lifespan=(
                handlers_lifespan(self.on_startup, self.on_shutdown) if lifespan is None else as_lifespan(lifespan)
            ),
        )
        self.prefix = prefix
        self.dependencies: list[Dependency] = list(dependencies or [])
        self.dependency_overrides_provider = dependency_overrides_provider
        self.documentation = documentation

    def add_api_websocket_route(
        self,
        path: str,
        endpoint: Callable[..., Any],
        name: str | None = None,
        *,
        dependencies: Sequence[Dependency] | None = None,
    ) -> None:
        """Serve the WebSocket connections of `path` with `endpoint`."""
        route = APIWebSocketRoute(
            self.prefix + path,
            endpoint,
            name=name,
            dependencies=[*self.dependencies, *(dependencies or [])],
            dependency_overrides_provider=self.dependency_overrides_provider,
        )
        self.routes.append(route)

    def add_websocket_route(self, path: str, endpoint: Callable[..., Any], name: str | None = None) -> None:
        """Starlette's way: `async def endpoint(websocket)` without dependencies, or an ASGI application."""
        self.routes.append(WebSocketRoute(path, endpoint, name=name))

    def add_api_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Answer HTTP requests of `path` with `endpoint`."""
        kept = kept_options(options)
        dependencies = [*self.dependencies, *(kept.pop("dependencies", None) or [])]
        route = APIRoute(
            self.prefix + path,
            endpoint,
            dependencies=dependencies,
            dependency_overrides_provider=self.dependency_overrides_provider,
            **kept,
        )
        self.routes.append(route)

    def include_router(
        self,
        router: "APIRouter",
        *,
        prefix: str = "",
        dependencies: Sequence[Dependency] | None = None,
        **documentation: Any,  # noqa: ARG002 (tags and the like: there is no schema)
    ) -> None:
        """Serve everything `router` has, and whatever is added to it later, under `prefix`."""
        if not isinstance(router, APIRouter):
            raise DeclarationError(f"expected an APIRouter; got {router!r}: mount() takes any application")
        if router is self or contains(router, self):
            raise DeclarationError(
                "a router cannot include one that already includes this router, itself among them; include another one"
            )
        check_prefix(prefix)
        inclusion = Inclusion(
            self.prefix + prefix,
            (*self.dependencies, *(dependencies or [])),
            self.dependency_overrides_provider,
        )
        included = IncludedRouter(router, inclusion)
        if not prefix:
            _check_paths(router)
        self.routes.append(included)
        self.on_startup += router.on_startup
        self.on_shutdown += router.on_shutdown
        self.lifespan_context: Lifespan = merged(self.lifespan_context, router.lifespan_context)

    def add_event_handler(self, event_type: str, func: EventHandler) -> None:
        """Call `func` at "startup" or "shutdown"."""
        handlers = {"startup": self.on_startup, "shutdown": self.on_shutdown}
        if event_type not in handlers:
            raise DeclarationError(f"expected 'startup' or 'shutdown'; got {event_type!r}")
        handlers[event_type].append(func)


def check_prefix(prefix: str) -> None:
    """A prefix is empty, or begins with a slash and does not end with one."""
    if prefix and not prefix.startswith("/"):
        raise DeclarationError(f"a path prefix must start with '/'; got {prefix!r}: write {'/' + prefix.strip('/')!r}")
    if prefix.endswith("/"):
        raise DeclarationError(
            f"a path prefix must not end with '/', the routes begin with it; got {prefix!r}:"
            f" write {prefix.rstrip('/')!r}"
        )


def _check_paths(router: APIRouter) -> None:
    for route in leaves(router.routes):
        if getattr(route, "path", None) == "":
            name = getattr(route, "name", "unknown")
            raise FastAPIError(f"prefix and path cannot be both empty (route {name!r}); give include_router() a prefix")

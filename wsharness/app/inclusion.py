"""Included routers: the routes of one router as another one serves them."""

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from starlette import routing
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound, compile_path
from starlette.types import Receive, Scope, Send

from wsharness.app.params import Dependency
from wsharness.app.routing import APIRoute, APIWebSocketRoute, OverridesProvider


@dataclass(frozen=True)
class Inclusion:
    """What the including router adds to each route."""

    prefix: str
    dependencies: tuple[Dependency, ...]
    provider: OverridesProvider | None

    def around(self, inner: "Inclusion") -> "Inclusion":
        """An inclusion within this one."""
        return Inclusion(self.prefix + inner.prefix, (*self.dependencies, *inner.dependencies), self.provider)

    def applied(self, route: BaseRoute) -> BaseRoute:
        """The route as it is served here."""
        if isinstance(route, IncludedRouter):
            return IncludedRouter(route.router, self.around(route.inclusion))
        if isinstance(route, APIWebSocketRoute):
            return self._websocket_route(route)
        if isinstance(route, APIRoute):
            return self._route(route)
        return self._starlette_route(route)

    def _starlette_route(self, route: BaseRoute) -> BaseRoute:
        if isinstance(route, (routing.Route, routing.WebSocketRoute)):
            return _relocated(route, self.prefix + route.path)
        if isinstance(route, routing.Mount):
            return _relocated(route, (self.prefix + route.path).rstrip("/"), "/{path:path}")
        if isinstance(route, routing.Host) and self.prefix:
            mounted = routing.Router(routes=[routing.Mount(self.prefix, app=route.app)])
            return routing.Host(route.host, app=mounted, name=route.name)
        return route

    def _websocket_route(self, route: APIWebSocketRoute) -> APIWebSocketRoute:
        return APIWebSocketRoute(
            self.prefix + route.path,
            route.endpoint,
            name=route.name,
            dependencies=[*self.dependencies, *route.dependencies],
            dependency_overrides_provider=self.provider,
        )

    def _route(self, route: APIRoute) -> APIRoute:
        return APIRoute(
            self.prefix + route.path,
            route.endpoint,
            methods=route.methods,
            name=route.name,
            dependencies=[*self.dependencies, *route.dependencies],
            status_code=route.status_code,
            response_class=route.response_class,
            include_in_schema=route.include_in_schema,
            dependency_overrides_provider=self.provider,
        )


class IncludedRouter(BaseRoute):
    """All routes of a router, with what the including one adds; routes added later are served too."""

    def __init__(self, router: routing.Router, inclusion: Inclusion) -> None:
        self.router = router
        self.inclusion = inclusion
        # By the identity of the route, which is kept beside its counterpart so that none is reused.
        self._applied: dict[int, tuple[BaseRoute, BaseRoute]] = {}
        # Built now, so that what is declared wrongly fails where it is included.
        assert self.routes is not None

    @property
    def routes(self) -> list[BaseRoute]:
        """The routes as they are served here, with their whole paths."""
        return [self._counterpart(route) for route in self.router.routes]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """The first route that takes the connection, or else the first whose method is wrong."""
        partial: tuple[Match, Scope] = Match.NONE, {}
        for route in self.routes:
            match, child_scope = route.matches(scope)
            if match is Match.NONE:
                continue
            found = match, {"route": route, **child_scope}
            if match is Match.FULL:
                return found
            if partial[0] is Match.NONE:
                partial = found
        return partial

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the route serve that `matches` found."""
        await scope["route"].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """The path of a route of this router, prefix included."""
        for route in self.routes:
            try:
                return route.url_path_for(name, **path_params)
            except NoMatchFound:
                continue
        raise NoMatchFound(name, path_params)

    def effective_route_contexts(self) -> Iterator[BaseRoute]:
        """FastAPI's name for the routes as they are served here, without those in between."""
        return leaves(self.routes)

    def __repr__(self) -> str:
        return f"IncludedRouter(prefix={self.inclusion.prefix!r}, routes={self.routes!r})"

    def _counterpart(self, route: BaseRoute) -> BaseRoute:
        known = self._applied.get(id(route))
        if known is None:
            known = self._applied[id(route)] = (route, self.inclusion.applied(route))
        return known[1]


def contains(router: routing.Router, wanted: routing.Router) -> bool:
    """Whether `router` includes `wanted`, directly or not."""
    return any(
        route.router is wanted or contains(route.router, wanted)
        for route in router.routes
        if isinstance(route, IncludedRouter)
    )


def leaves(routes: Sequence[BaseRoute]) -> Iterator[BaseRoute]:
    """The routes themselves, those of included routers with their whole paths."""
    for route in routes:
        if isinstance(route, IncludedRouter):
            yield from leaves(route.routes)
        else:
            yield route


def _relocated(route: BaseRoute, path: str, rest: str = "") -> BaseRoute:
    moved: Any = copy.copy(route)
    moved.path = path
    moved.path_regex, moved.path_format, moved.param_convertors = compile_path(path + rest)
    return cast(BaseRoute, moved)

"""Dependency graphs: what an endpoint needs, analysed once, where it is declared."""

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from starlette import websockets
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from wsharness.app.annotations import is_subclass, signature_of
from wsharness.app.calls import Kind, kind_of, unwrapped
from wsharness.app.concurrency import Limit, Threaded
from wsharness.app.declarations import Declaration, declaration_of
from wsharness.app.exceptions import (
    DeclarationError,
    DependencyCycleError,
    DependencyError,
    DependencyScopeError,
)
from wsharness.app.fields import BodyReader, Reader
from wsharness.app.params import Dependency, Location
from wsharness.app.security.base import SecurityBase
from wsharness.app.security.oauth2 import SecurityScopes

Lifetime = Literal["function", "request"]
Opener = Callable[..., AbstractAsyncContextManager[Any]]


class Injection(Enum):
    """What a parameter gets because of its type alone."""

    REQUEST = "Request"
    WEBSOCKET = "WebSocket"
    CONNECTION = "HTTPConnection"
    RESPONSE = "Response"
    TASKS = "BackgroundTasks"
    SCOPES = "SecurityScopes"


# In this order: Request and WebSocket are HTTPConnections too.
_INJECTED: list[tuple[type, Injection]] = [
    (Request, Injection.REQUEST),
    (websockets.WebSocket, Injection.WEBSOCKET),
    (HTTPConnection, Injection.CONNECTION),
    (Response, Injection.RESPONSE),
    (BackgroundTasks, Injection.TASKS),
    (SecurityScopes, Injection.SCOPES),
]

# The attributes of a connection where parameters are read.
_ATTRIBUTES = {
    Location.PATH: "path_params",
    Location.QUERY: "query_params",
    Location.HEADER: "headers",
    Location.COOKIE: "cookies",
}


@dataclass(eq=False, slots=True, kw_only=True)
class Dependant:
    """A function and everything it needs before it can be called."""

    call: Callable[..., Any]
    name: str | None
    path: str
    kind: Kind
    lifetime: Lifetime | None
    use_cache: bool
    limit: Limit | None
    inherited_scopes: list[str]
    own_scopes: list[str]
    ancestors: tuple[Callable[..., Any], ...]
    open: Opener | None = None
    path_params: list[Reader] = field(default_factory=list)
    query_params: list[Reader] = field(default_factory=list)
    header_params: list[Reader] = field(default_factory=list)
    cookie_params: list[Reader] = field(default_factory=list)
    # The attributes of a connection that are read, and what is read there.
    sources: list[tuple[str, list[Reader]]] = field(default_factory=list)
    bodies: list[BodyReader] = field(default_factory=list)
    injections: list[tuple[str, Injection, bool]] = field(default_factory=list)
    dependencies: list["Dependant"] = field(default_factory=list)
    scopes: list[str] = field(default_factory=list)
    uses_scopes: bool = False
    cache_key: Hashable = None
    replacements: dict[Callable[..., Any], "Dependant"] = field(default_factory=dict)

    def replaced_by(self, call: Callable[..., Any]) -> "Dependant":
        """This dependency with another function in its place, analysed once for each."""
        if call not in self.replacements:
            self.replacements[call] = analyse(
                call,
                path=self.path,
                name=self.name,
                lifetime=self.lifetime,
                limit=self.limit,
                inherited_scopes=self.scopes,
                ancestors=(*self.ancestors, self.call),
            )
        return self.replacements[call]


def endpoint_dependant(call: Callable[..., Any], *, path: str, dependencies: Sequence[Dependency]) -> Dependant:
    """What an endpoint needs, the dependencies of its routers and its decorator first."""
    endpoint = analyse(call, path=path, lifetime="function")
    endpoint.dependencies[:0] = [_unnamed(dependency, path) for dependency in dependencies]
    return endpoint


def embeds_bodies(dependant: Dependant) -> bool:
    """Whether each body parameter stands under its own name in the body."""
    bodies = list(_bodies(dependant))
    return len({body.field.name for body in bodies}) > 1 or any(body.embed for body in bodies[:1])


def _bodies(dependant: Dependant) -> Iterable[BodyReader]:
    yield from dependant.bodies
    for dependency in dependant.dependencies:
        yield from _bodies(dependency)


def _unnamed(declared: Any, path: str) -> Dependant:
    if not isinstance(declared, Dependency) or declared.dependency is None:
        raise DeclarationError(
            f"expected dependencies to hold Depends(function); got {declared!r}: write [Depends(function)]"
        )
    return analyse(
        declared.dependency,
        path=path,
        lifetime=declared.scope,
        limit=declared.limit,
        own_scopes=declared.scopes,
    )


def analyse(
    call: Callable[..., Any],
    *,
    path: str,
    name: str | None = None,
    use_cache: bool = True,
    lifetime: Lifetime | None = None,
    limit: Limit | None = None,
    inherited_scopes: Sequence[str] = (),
    own_scopes: Sequence[str] = (),
    ancestors: tuple[Callable[..., Any], ...] = (),
) -> Dependant:
    """What `call` needs, down to the parameters of the connection."""
    if not callable(call):
        raise DependencyError(f"expected Depends() of something that can be called; got {call!r}")
    if call in ancestors:
        raise DependencyCycleError(_cycle([*ancestors, call]))
    kind = kind_of(call)
    opener = _opener(call, kind)
    dependant = Dependant(
        call=call,
        name=name,
        path=path,
        kind=kind,
        open=opener,
        # A generator is left with the whole request unless it says otherwise.
        lifetime="request" if opener and lifetime is None else lifetime,
        use_cache=use_cache,
        limit=limit,
        inherited_scopes=list(inherited_scopes),
        own_scopes=list(own_scopes),
        ancestors=ancestors,
    )
    path_names = set(re.findall("{(.*?)}", path))
    for parameter in signature_of(call):
        _add(dependant, declaration_of(parameter, path_names))
    _settle_sources(dependant)
    _settle_scopes(dependant)
    return dependant


def _add(dependant: Dependant, declaration: Declaration) -> None:
    if declaration.dependency is not None:
        dependant.dependencies.append(_sub_dependant(dependant, declaration))
        return
    injection = injection_of(declaration.type)
    if injection is not None:
        if declaration.param is not None:
            raise DeclarationError(
                f"parameter {declaration.name!r} gets its {injection.value} from its type alone;"
                f" leave {declaration.param!r} out"
            )
        dependant.injections.append((declaration.name, injection, declaration.has_default))
        return
    reader = declaration.reader()
    if isinstance(reader, BodyReader):
        dependant.bodies.append(reader)
    else:
        _parameters(dependant)[reader.location].append(reader)


def injection_of(annotation: Any) -> Injection | None:
    """What a parameter of this type gets without being asked for."""
    for known, injection in _INJECTED:
        if is_subclass(annotation, known):
            return injection
    return None


def _sub_dependant(dependant: Dependant, declaration: Declaration) -> Dependant:
    declared = declaration.dependency
    assert declared is not None
    if dependant.open and dependant.lifetime == "request" and declared.scope == "function":
        raise DependencyScopeError(
            f'The dependency "{_called(dependant.call)}" has a scope of "request", it cannot depend on'
            f' dependencies with scope "function": give it Depends(..., scope="function") too'
        )
    call = declaration.type if declared.dependency is None else declared.dependency
    return analyse(
        call,
        path=dependant.path,
        name=declaration.name,
        use_cache=declared.use_cache,
        lifetime=declared.scope,
        limit=declared.limit,
        inherited_scopes=[*dependant.inherited_scopes, *dependant.own_scopes],
        own_scopes=declared.scopes,
        ancestors=(*dependant.ancestors, dependant.call),
    )


def _opener(call: Callable[..., Any], kind: Kind) -> Opener | None:
    if kind is Kind.ASYNC_GENERATOR:
        return asynccontextmanager(call)
    if kind is Kind.GENERATOR:
        manager = contextmanager(call)
        return lambda **values: Threaded(manager(**values))
    return None


def _parameters(dependant: Dependant) -> dict[Location, list[Reader]]:
    """The parameters by their place, in the order their errors are reported."""
    return {
        Location.PATH: dependant.path_params,
        Location.QUERY: dependant.query_params,
        Location.HEADER: dependant.header_params,
        Location.COOKIE: dependant.cookie_params,
    }


def _settle_sources(dependant: Dependant) -> None:
    dependant.sources = [
        (_ATTRIBUTES[location], readers) for location, readers in _parameters(dependant).items() if readers
    ]


def _settle_scopes(dependant: Dependant) -> None:
    inherited = dependant.inherited_scopes
    dependant.scopes = [*inherited, *(scope for scope in dependant.own_scopes if scope not in inherited)]
    dependant.uses_scopes = (
        bool(dependant.own_scopes)
        or any(injection is Injection.SCOPES for _, injection, _ in dependant.injections)
        or isinstance(unwrapped(dependant.call), SecurityBase)
        or any(dependency.uses_scopes for dependency in dependant.dependencies)
    )
    scopes = tuple(sorted(set(dependant.scopes))) if dependant.uses_scopes else ()
    dependant.cache_key = (identity(dependant.call), scopes, dependant.lifetime)


def identity(call: Callable[..., Any]) -> Hashable:
    """What tells this callable from others; one that cannot be hashed is only equal to itself."""
    try:
        hash(call)
    except TypeError:
        return id(call)
    return call


def _cycle(calls: Sequence[Callable[..., Any]]) -> str:
    first = calls.index(calls[-1])
    names = " -> ".join(_called(call) for call in calls[first:])
    return f"dependencies go round in a circle: {names}; take one of these Depends() out"


def _called(call: Callable[..., Any]) -> str:
    return getattr(call, "__name__", "<unnamed_callable>")

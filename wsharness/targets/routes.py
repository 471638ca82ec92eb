"""Which WebSocket routes an app has and what they declare, by its framework's own tables."""

import datetime as dt
import inspect
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 20  # of mounts within mounts; one may hold itself


@dataclass(frozen=True, slots=True)
class Param:
    """One declared parameter of a route."""

    name: str
    type: Any = str
    required: bool = True
    place: str = "path"
    """path, query, header or cookie."""
    limits: Mapping[str, Any] = field(default_factory=dict)
    """ge, gt, le, lt, multiple_of, min_length, max_length, pattern, choices."""


@dataclass(frozen=True, slots=True)
class Route:
    """One WebSocket route and the parameters it declares; `{name}` stands in the path for each of its own."""

    path: str
    name: str = ""
    params: Mapping[str, Param] = field(default_factory=dict)


def discover_routes(app: Any) -> list[Route]:
    """The app's WebSocket routes in the order in which they are declared; none for a bare callable."""
    seen: dict[str, Route] = {}
    for route in _routes(app, "", 0):
        seen.setdefault(route.path, route)
    return list(seen.values())


def route_of(routes: Sequence[Route], path: str) -> str:
    """The path, with its parameters named, of the route that a request's path leads to; itself if there is none."""
    path = path.partition("?")[0]
    for route in routes:
        parts = re.split(r"\{\w+(?::[^{}]*)?\}", route.path)
        if re.fullmatch(".+?".join(map(re.escape, parts)), path):
            return route.path
    return path


def _routes(app: Any, prefix: str, depth: int) -> Iterator[Route]:
    """By framework; through middleware to the app inside, where there is no table."""
    if depth > MAX_DEPTH or app is None:
        return
    family = next((name for name in _FAMILIES if _descends_from(app, name)), None)
    if family is not None:
        yield from _FAMILIES[family](app, prefix, depth)
    elif isinstance(routes := getattr(app, "routes", None), (list, tuple)):
        for route in routes:
            yield from _starlette_route(route, prefix, depth)
    else:
        for inner in _wrapped(app):
            yield from _routes(inner, prefix, depth + 1)


def _descends_from(app: Any, package: str) -> bool:
    return any(kind.__module__.split(".")[0] == package for kind in type(app).__mro__)


def _wrapped(app: Any) -> Iterator[Any]:
    """What a middleware holds, by the names in use."""
    for name in ("app", "inner", "application", "asgi_app", "_app", "wrapped"):
        inner = inspect.getattr_static(app, name, None)
        inner = getattr(app, name, None) if inner is not None else None
        if callable(inner) and inner is not app and not inspect.isroutine(inner):
            yield inner


# Starlette, FastAPI and wsharness.app


def _starlette_route(route: Any, prefix: str, depth: int) -> Iterator[Route]:
    if depth > MAX_DEPTH:
        return
    route = getattr(route, "starlette_route", None) or route  # FastAPI keeps an included route so
    names = {kind.__name__ for kind in type(route).__mro__}
    if "WebSocketRoute" in names:
        yield _declared(route, prefix)
    elif names & {"Mount", "Host"}:
        path = prefix + (str(route.path) if "Mount" in names else "")
        yield from _mounted(route, path, depth)
    else:
        yield from _included(route, prefix, depth)


def _declared(route: Any, prefix: str) -> Route:
    params = {}
    for name, convertor in getattr(route, "param_convertors", {}).items():
        params[name] = Param(name, _CONVERTORS.get(type(convertor).__name__, str))
    for param in _dependant_params(getattr(route, "dependant", None)):
        params[param.name] = param
    path = getattr(route, "path_format", None) or route.path
    return Route(prefix + str(path), str(getattr(route, "name", "")), params)


_CONVERTORS = {"IntegerConvertor": int, "FloatConvertor": float, "UUIDConvertor": uuid.UUID}


def _mounted(route: Any, path: str, depth: int) -> Iterator[Route]:
    inner = getattr(route, "_base_app", None) or route.app
    yield from _routes(inner, path, depth + 1)


def _included(route: Any, prefix: str, depth: int) -> Iterator[Route]:
    """A router that is included whole lists its routes itself, with their full paths."""
    listed = next((found for name in _LISTINGS if callable(found := getattr(route, name, None))), None)
    for inner in listed() if listed is not None else ():
        yield from _starlette_route(inner, prefix, depth + 1)


_LISTINGS = ("effective_candidates", "effective_route_contexts")


def _dependant_params(dependant: Any) -> Iterator[Param]:
    """What FastAPI and wsharness.app found in the signatures of an endpoint and its dependencies."""
    if dependant is None:
        return
    for inner in getattr(dependant, "dependencies", ()):
        yield from _dependant_params(inner)
    for place in ("path", "query", "header", "cookie"):
        declared = getattr(dependant, f"{place}_params", ())
        for one in declared:
            yield from _field_params(one, place, alone=len(declared) == 1)


def _field_params(declared: Any, place: str, *, alone: bool) -> Iterator[Param]:
    info = getattr(declared, "field_info", declared)
    annotation = getattr(info, "annotation", str)
    inner = getattr(annotation, "model_fields", None)
    if alone and inner:  # a model of parameters: each of its fields is one
        for name, one in inner.items():
            alias = one.alias or (name.replace("_", "-") if place == "header" else name)
            yield Param(alias, one.annotation, one.is_required(), place, _limits(one))
        return
    name = getattr(declared, "alias", None) or getattr(info, "alias", None) or declared.name
    yield Param(str(name), annotation, bool(info.is_required()), place, _limits(info))


_LIMITS = ("ge", "gt", "le", "lt", "multiple_of", "min_length", "max_length", "pattern")


def _limits(info: Any) -> dict[str, Any]:
    """Constraints of a pydantic field, of a converter, or of Litestar's parameter."""
    holders = [*getattr(info, "metadata", ()), info]
    return {name: value for holder in holders for name in _LIMITS if (value := getattr(holder, name, None)) is not None}


# Litestar


def _litestar(app: Any, prefix: str, depth: int) -> Iterator[Route]:
    for route in getattr(app, "routes", ()):
        if type(route).__name__ == "WebSocketRoute":
            params = {param.name: Param(param.name, param.type) for param in route.path_parameters.values()}
            signature = getattr(route.route_handler, "parsed_fn_signature", None)
            for name, declared in getattr(signature, "parameters", {}).items():
                if name not in params and name not in _LITESTAR_OWN:
                    param = _litestar_param(name, declared)
                    params[param.name] = param
            yield Route(prefix + route.path_format, str(route.route_handler.name or ""), params)
        elif (mounted := getattr(route, "route_handler", None)) is not None and getattr(mounted, "is_mount", False):
            yield from _routes(getattr(mounted, "fn", None), prefix + route.path, depth + 1)


_LITESTAR_OWN = frozenset(
    ["socket", "data", "state", "headers", "query", "cookies", "scope", "connection_lifespan_dependencies"]
)


def _litestar_param(name: str, declared: Any) -> Param:
    """QueryParameter(name="q") says it by its class, the older Parameter(query="q") by its attribute."""
    keyword = declared.kwarg_definition
    place = next((one for one in _PLACES if getattr(keyword, one, None)), None)
    known_as = getattr(keyword, place) if place else getattr(keyword, "name", None)
    place = place or next((one for one in _PLACES if type(keyword).__name__.lower().startswith(one)), "query")
    return Param(known_as or name, declared.annotation, not declared.has_default, place, _limits(keyword))


_PLACES = ("query", "header", "cookie")


# Quart, Falcon, Channels


def _quart(app: Any, prefix: str, _: int) -> Iterator[Route]:
    for rule in app.url_map.iter_rules():
        if getattr(rule, "websocket", False):
            params = {name: _werkzeug_param(name, one) for name, one in rule._converters.items()}  # noqa: SLF001 (named nowhere else)
            path = re.sub(r"<(?:[^<>]*:)?(\w+)>", r"{\1}", rule.rule)
            yield Route(prefix + path, str(rule.endpoint), params)


_WERKZEUG = {"IntegerConverter": int, "FloatConverter": float, "UUIDConverter": uuid.UUID}


def _werkzeug_param(name: str, converter: Any) -> Param:
    limits = {
        limit: value
        for limit, attribute in (("ge", "min"), ("le", "max"), ("choices", "items"))
        if (value := getattr(converter, attribute, None)) is not None
    }
    return Param(name, _WERKZEUG.get(type(converter).__name__, str), limits=limits)


def _falcon(app: Any, prefix: str, _: int) -> Iterator[Route]:
    nodes = [(node, prefix) for node in getattr(app._router, "_roots", ())]  # noqa: SLF001 (falcon lists its routes nowhere else)
    while nodes:
        node, before = nodes.pop(0)
        path = f"{before}/{node.raw_segment}"
        if node.resource is not None and hasattr(node.resource, "on_websocket"):
            params = {name: _falcon_param(*rest, name=name) for name, *rest in _FALCON_FIELD.findall(path)}
            yield Route(_FALCON_FIELD.sub(r"{\1}", path), type(node.resource).__name__, params)
        nodes += [(child, path) for child in node.children]


_FALCON_FIELD = re.compile(r"\{(\w+)(?::(\w+)(?:\(([^)]*)\))?)?\}")
_FALCON_TYPES = {"int": int, "float": float, "uuid": uuid.UUID, "dt": dt.datetime}


def _falcon_param(kind: str, arguments: str, *, name: str) -> Param:
    found = dict(re.findall(r"(min|max)\s*=\s*(-?\d+)", arguments))
    limits = {limit: int(found[key]) for limit, key in (("ge", "min"), ("le", "max")) if key in found}
    return Param(name, _FALCON_TYPES.get(kind, str), limits=limits)


def _channels(app: Any, prefix: str, depth: int) -> Iterator[Route]:
    """ProtocolTypeRouter, then any middleware, then URLRouter, which may be nested."""
    mapping = getattr(app, "application_mapping", None)
    if mapping is not None:
        yield from _routes(mapping.get("websocket"), prefix, depth + 1)
    elif isinstance(getattr(app, "routes", None), (list, tuple)):
        for route in app.routes:
            yield from _channels_route(route, prefix, depth)
    else:
        for inner in _wrapped(app):
            yield from _routes(inner, prefix, depth + 1)


def _channels_route(route: Any, prefix: str, depth: int) -> Iterator[Route]:
    pattern = route.pattern
    part = _from_regex(str(pattern)) if type(pattern).__name__ == "RegexPattern" else str(pattern)
    full = f"{prefix.rstrip('/')}/{part.lstrip('/')}" if prefix else f"/{part.lstrip('/')}"
    if inspect.isfunction(route.callback):
        kinds = {name: _DJANGO.get(type(one).__name__, str) for name, one in pattern.converters.items()}
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", full)
        params = {name: Param(name, kinds.get(name, str)) for name in re.findall(r"\{(\w+)\}", path)}
        yield Route(path, str(route.name or getattr(route.callback, "__name__", "")), params)
    else:
        yield from _routes(route.callback, full, depth + 1)


_DJANGO = {"IntConverter": int, "UUIDConverter": uuid.UUID}


def _from_regex(source: str) -> str:
    """A path from a regex of named groups, the rest of it read as text."""
    path = re.sub(r"\(\?P<(\w+)>(?:[^()\[\]]|\[[^\]]*\])*\)", r"<\1>", source)
    return re.sub(r"\\(.)", r"\1", path.replace(r"\Z", "").strip("^$").replace("/?", "/"))


_FAMILIES: dict[str, Callable[[Any, str, int], Iterator[Route]]] = {
    "litestar": _litestar,
    "quart": _quart,
    "falcon": _falcon,
    "channels": _channels,
}

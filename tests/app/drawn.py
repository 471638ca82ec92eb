"""Applications as data: drawn by Hypothesis, built on FastAPI or on wsharness.app."""

import functools
import inspect
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal
from urllib.parse import quote

import fastapi
import fastapi.exceptions
import fastapi.security
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, ConfigDict, Json
from pydantic import Field as PydanticField
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection
from starlette.responses import Response

import wsharness.app as ours


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Filters(BaseModel):
    model_config = ConfigDict(extra="ignore")
    a: int = 3
    tags: list[str] = []
    user_agent: str = PydanticField("none", max_length=5)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int
    b: str = PydanticField("x", alias="bb")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)
    x_token: str = PydanticField("t", alias="tok")
    tags: set[int] = set()


class Teapot(Exception):
    """Has a handler of its own."""


class Unhandled(Exception):
    """Has none."""


TYPES: list[Any] = [
    str, int, float, bool, date, uuid.UUID, Colour, Literal["a", "b"], int | None, str | None,
    list[int], list[str], list[str] | None, set[int], tuple[int, str], Annotated[int, PydanticField(ge=2)],
    Json[list[int]], dict[str, int], object, Any, bytes,
]  # fmt: skip
MODELS: list[Any] = [Filters, Strict, Open, Filters | None]
OPTIONS: list[dict[str, Any]] = [
    {}, {}, {}, {"gt": 2}, {"le": 5, "ge": 1}, {"max_length": 2}, {"min_length": 1, "pattern": "^a"},
    {"alias": "b"}, {"alias": "x-y"}, {"validation_alias": "c"}, {"validation_alias": AliasChoices("a", "z")},
    {"default_factory": lambda: 7}, {"default_factory": list, "validate_default": True}, {"strict": True},
    {"multiple_of": 2}, {"title": "T", "description": "D", "deprecated": True},
]  # fmt: skip
NO_DEFAULT = inspect.Parameter.empty
DEFAULTS: list[Any] = [NO_DEFAULT, NO_DEFAULT, None, 4, "a", [], ["a"], ...]
NAMES = ["a", "b", "x_y", "tags", "item", "other"]
PLACES = ["Query", "Query", "Header", "Cookie", "Path", "Body", None, None]


@dataclass(frozen=True)
class ParamSpec:
    name: str
    place: str | None
    type: int
    options: int = 0
    default: int = 0
    annotated: bool = True
    model: bool = False
    underscores: bool = True

    def parameter(self, framework: Any) -> inspect.Parameter:
        kind = MODELS[self.type % len(MODELS)] if self.model else TYPES[self.type % len(TYPES)]
        default = DEFAULTS[self.default % len(DEFAULTS)]
        if self.place is None:
            return _parameter(self.name, kind, NO_DEFAULT if default is ... else default)
        marker = getattr(framework, self.place)
        options = dict(OPTIONS[self.options % len(OPTIONS)])
        if self.place == "Header" and not self.underscores:
            options["convert_underscores"] = False
        if self.annotated:
            return _parameter(self.name, Annotated[kind, marker(**options)], NO_DEFAULT if default is ... else default)
        if default is not NO_DEFAULT:
            options.pop("default_factory", None)
            return _parameter(self.name, kind, marker(default, **options))
        return _parameter(self.name, kind, marker(**options))


def _parameter(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


@dataclass(frozen=True)
class DependencySpec:
    kind: str
    params: tuple[ParamSpec, ...] = ()
    uses: tuple[int, ...] = ()  # only dependencies that were drawn before it
    injected: tuple[str, ...] = ()
    raises: str = "nothing"
    when: str = "before"
    swallows: bool = False
    use_cache: bool = True
    scope: str | None = None
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True)
class AppSpec:
    dependencies: tuple[DependencySpec, ...]
    params: tuple[ParamSpec, ...]
    uses: tuple[int, ...]
    on_app: tuple[int, ...]
    on_router: tuple[int, ...]
    on_include: tuple[int, ...]
    on_route: tuple[int, ...]
    override: tuple[int, int] | None
    path: str
    prefix: str
    nested: bool
    mounted: bool
    accepts: bool
    reads: int
    raises: str
    when: str
    ends: str


class Built:
    """One app, and the log that its functions keep."""

    def __init__(self, spec: AppSpec, framework: Any) -> None:
        self.spec = spec
        self.framework = framework
        self.log: list[Any] = []
        self.calls: list[Callable[..., Any]] = []
        for index, dependency in enumerate(spec.dependencies):
            self.calls.append(self._dependency(index, dependency))
        self.app = self._app()

    def _depends(self, index: int) -> Any:
        dependency = self.spec.dependencies[index]
        if dependency.scopes:
            return self.framework.Security(
                self.calls[index], scopes=list(dependency.scopes), use_cache=dependency.use_cache
            )
        return self.framework.Depends(self.calls[index], use_cache=dependency.use_cache, scope=dependency.scope)

    def _signature(
        self, params: tuple[ParamSpec, ...], uses: tuple[int, ...], injected: tuple[str, ...]
    ) -> inspect.Signature:
        parameters = {param.name: param.parameter(self.framework) for param in params}
        for index in uses:
            name = f"d{index}"
            parameters[name] = _parameter(name, Any, self._depends(index))
        for name in injected:
            annotation = {
                "websocket": self.framework.WebSocket,
                "connection": HTTPConnection,
                "tasks": BackgroundTasks,
                "response": Response,
                "security": self._security_scopes(),
            }[name]
            parameters[name] = _parameter(name, annotation, NO_DEFAULT)
        return inspect.Signature(list(parameters.values()))

    def _security_scopes(self) -> Any:
        return self.framework is fastapi and fastapi.security.SecurityScopes or ours.SecurityScopes

    def _dependency(self, index: int, spec: DependencySpec) -> Callable[..., Any]:
        def enter(values: dict[str, Any]) -> Any:
            self.log.append((f"enter {index}", shown(values)))
            if spec.when == "before":
                self._raise(spec.raises, index)
            return [index, shown(values)]

        def leave(error: BaseException | None) -> None:
            self.log.append((f"leave {index}", known_name(error)))
            if spec.when == "after":
                self._raise(spec.raises, index)

        call = FORMS[spec.kind](enter, leave, swallows=spec.swallows)
        signature = self._signature(spec.params, spec.uses, spec.injected)
        if spec.kind == "object":
            type(call).__call__.__signature__ = inspect.Signature([_SELF, *signature.parameters.values()])
        elif spec.kind == "class":
            call.__init__.__signature__ = inspect.Signature([_SELF, *signature.parameters.values()])
        elif spec.kind == "partial":
            call.func.__signature__ = inspect.Signature([_EXTRA, *signature.parameters.values()])
        else:
            call.__signature__ = signature
        return call

    def _raise(self, what: str, index: int) -> None:
        framework = self.framework
        if what == "http":
            raise framework.HTTPException(418, detail={"by": index}, headers={"x-by": str(index)})
        if what == "empty":
            raise framework.HTTPException(204)
        if what == "websocket":
            raise framework.WebSocketException(4000 + index, "by exception")
        if what == "teapot":
            raise Teapot(index)
        if what == "unhandled":
            raise Unhandled(index)

    def _app(self) -> Any:
        spec, framework = self.spec, self.framework
        app = framework.FastAPI(dependencies=[self._depends(index) for index in spec.on_app])
        app.add_exception_handler(Teapot, self._teapot)
        router = framework.APIRouter(dependencies=[self._depends(index) for index in spec.on_router])
        router.websocket(spec.path, name="drawn", dependencies=[self._depends(index) for index in spec.on_route])(
            self._endpoint()
        )
        outer = app
        if spec.nested:
            outer = framework.APIRouter(prefix="/outer")
        outer.include_router(
            router, prefix=spec.prefix, dependencies=[self._depends(index) for index in spec.on_include]
        )
        if spec.nested:
            app.include_router(outer)
        if spec.override is not None:
            replaced, by = spec.override
            app.dependency_overrides[self.calls[replaced]] = self.calls[by]
        if spec.mounted:
            whole = framework.FastAPI()
            whole.mount("/mounted", app)
            return whole
        return app

    async def _teapot(self, websocket: Any, error: Exception) -> None:
        self.log.append(("handler", known_name(error), websocket.application_state.name))
        if websocket.application_state.name != "DISCONNECTED":
            await websocket.close(4100, "teapot")

    def _endpoint(self) -> Callable[..., Any]:
        spec = self.spec

        async def endpoint(websocket: Any, **values: Any) -> None:
            if spec.accepts:
                await websocket.accept()
                await websocket.send_json(shown({"path": websocket.path_params, **values}))
            if spec.when == "before":
                self._raise(spec.raises, 99)
            for _ in range(spec.reads):
                data = await websocket.receive_text()
                await websocket.send_text(f"heard {data}")
            if spec.when == "after":
                self._raise(spec.raises, 99)
            if spec.ends == "close":
                await websocket.close(4200, "done")
            elif spec.ends == "misuse":
                await websocket.accept()

        signature = self._signature(spec.params, spec.uses, ("websocket",))
        endpoint.__signature__ = signature
        return endpoint


_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
_EXTRA = inspect.Parameter("extra", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def known_name(error: BaseException | None) -> str:
    """The exception as both know it: its first class that is of neither framework."""
    classes = type(error).__mro__
    return next(known.__name__ for known in classes if known.__module__.split(".")[0] not in FRAMEWORKS)


FRAMEWORKS = {"fastapi", "wsharness"}


def shown(values: Any) -> Any:
    """Values as JSON can carry them and as both frameworks agree to call them."""
    if isinstance(values, dict):
        return {str(key): shown(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [shown(value) for value in values]
    if isinstance(values, BaseModel):
        return repr(values.model_dump())
    if isinstance(values, set):
        return sorted(map(repr, values))
    if hasattr(values, "scope_str"):
        return ["scopes", values.scopes, values.scope_str]
    if isinstance(values, HTTPConnection | BackgroundTasks | Response):
        return type(values).__name__
    if hasattr(values, "result"):
        return ["object", values.result]
    return repr(values)


def _function(enter: Any, leave: Any, *, swallows: bool) -> Any:
    def function(**values: Any) -> Any:
        return enter(values)

    return function


def _coroutine(enter: Any, leave: Any, *, swallows: bool) -> Any:
    async def coroutine(**values: Any) -> Any:
        return enter(values)

    return coroutine


def _generator(enter: Any, leave: Any, *, swallows: bool) -> Any:
    def generator(**values: Any) -> Any:
        result = enter(values)
        try:
            yield result
        except Exception as error:
            leave(error)
            if not swallows:
                raise
        else:
            leave(None)

    return generator


def _async_generator(enter: Any, leave: Any, *, swallows: bool) -> Any:
    async def generator(**values: Any) -> Any:
        result = enter(values)
        try:
            yield result
        except Exception as error:
            leave(error)
            if not swallows:
                raise
        else:
            leave(None)

    return generator


def _object(enter: Any, leave: Any, *, swallows: bool) -> Any:
    class Callable_:
        async def __call__(self, **values: Any) -> Any:
            return enter(values)

    return Callable_()


def _class(enter: Any, leave: Any, *, swallows: bool) -> Any:
    class Result:
        def __init__(self, **values: Any) -> None:
            self.result = enter(values)

    return Result


def _partial(enter: Any, leave: Any, *, swallows: bool) -> Any:
    async def function(extra: Any, **values: Any) -> Any:
        return enter(values)

    return functools.partial(function, 1)


FORMS: dict[str, Callable[..., Any]] = {
    "function": _function,
    "coroutine": _coroutine,
    "generator": _generator,
    "async generator": _async_generator,
    "object": _object,
    "class": _class,
    "partial": _partial,
}

# Strategies

RAISES = st.sampled_from(["nothing"] * 15 + ["http", "empty", "websocket", "teapot", "unhandled"])


# Types that every place takes, options that suit every type, and the names no path has: most apps are made
# of these, since what is refused where it is declared never serves a connection.
TAME_TYPES = [TYPES.index(kind) for kind in (str, int, float, bool, date, Colour, int | None, str | None)]
TAME_LISTS = [TYPES.index(kind) for kind in (list[int], list[str], set[int])]
TAME_OPTIONS = [0, 1, 2, 7, 8, 9, 10, 15]
PATH_NAMES = {"a", "b", "item", "other", "tags"}


@st.composite
def params(draw: st.DrawFn, wild: bool) -> tuple[ParamSpec, ...]:
    names = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    return tuple(draw(wild_param(name) if wild else tame_param(name)) for name in names)


@st.composite
def wild_param(draw: st.DrawFn, name: str) -> ParamSpec:
    return ParamSpec(
        name=name,
        place=draw(st.sampled_from(PLACES)),
        type=draw(st.integers(0, len(TYPES) - 1)),
        options=draw(st.integers(0, len(OPTIONS) - 1)),
        default=draw(st.integers(0, len(DEFAULTS) - 1)),
        annotated=draw(st.booleans()),
        model=draw(st.integers(0, 4)) == 0,
        underscores=draw(st.booleans()),
    )


@st.composite
def tame_param(draw: st.DrawFn, name: str) -> ParamSpec:
    if name in PATH_NAMES:
        return ParamSpec(name, None, draw(st.sampled_from(TAME_TYPES)), default=draw(st.sampled_from([0, *[2, 3] * 6])))
    place = draw(st.sampled_from(["Query", "Header", "Cookie", None]))
    options = draw(st.sampled_from(TAME_OPTIONS))
    return ParamSpec(
        name=name,
        place=place,
        type=draw(st.sampled_from([*TAME_TYPES, *TAME_LISTS] if place else TAME_TYPES)),
        options=options,
        default=0 if options == 10 else draw(st.sampled_from([0, *[2, 3, 4] * 5])),
        annotated=draw(st.booleans()),
        model=place is not None and draw(st.integers(0, 4)) == 0,
        underscores=draw(st.booleans()),
    )


def needed(dependencies: list[DependencySpec], index: int) -> set[int]:
    """Everything this dependency uses, and what those use."""
    uses = dependencies[index].uses
    return set(uses).union(*(needed(dependencies, use) for use in uses))


def earlier(draw: st.DrawFn, count: int, most: int = 2) -> tuple[int, ...]:
    if count == 0:
        return ()
    return tuple(draw(st.lists(st.integers(0, count - 1), max_size=most, unique=True)))


@st.composite
def apps(draw: st.DrawFn) -> AppSpec:
    wild = draw(st.integers(0, 5)) == 0
    dependencies: list[DependencySpec] = []
    for index in range(draw(st.integers(0, 4))):
        dependencies.append(
            DependencySpec(
                kind=draw(st.sampled_from(list(FORMS))),
                params=draw(params(wild)),
                uses=earlier(draw, index),
                injected=tuple(
                    draw(
                        st.lists(
                            st.sampled_from(["websocket", "connection", "tasks", "response", "security"]),
                            max_size=1,
                        )
                    )
                ),
                raises=draw(RAISES),
                when=draw(st.sampled_from(["before", "after"])),
                swallows=draw(st.booleans()),
                use_cache=draw(st.sampled_from([True, True, False])),
                scope=draw(st.sampled_from([None, None, "function", "request"])),
                scopes=draw(st.sampled_from([(), (), ("read",), ("write", "read")])),
            )
        )
    count = len(dependencies)
    # One that needs what it replaces goes round for ever; FastAPI then ends in a RecursionError, or hangs.
    replacements = [
        (replaced, by) for replaced in range(count) for by in range(count) if replaced not in needed(dependencies, by)
    ]
    path = draw(st.sampled_from(["/ws", "/ws/{a}", "/ws/{item:int}/{b}", "/ws/{other:path}"]))
    return AppSpec(
        dependencies=tuple(dependencies),
        params=draw(params(wild)),
        uses=earlier(draw, count, 3),
        on_app=earlier(draw, count, 1),
        on_router=earlier(draw, count, 1),
        on_include=earlier(draw, count, 1),
        on_route=earlier(draw, count, 1),
        override=draw(st.none() | st.sampled_from(replacements)) if replacements else None,
        path=path,
        prefix=draw(st.sampled_from(["", "/p", "/{tags}"])),
        nested=draw(st.booleans()),
        mounted=draw(st.booleans()),
        accepts=draw(st.sampled_from([True, True, True, False])),
        reads=draw(st.integers(0, 2)),
        raises=draw(RAISES),
        when=draw(st.sampled_from(["before", "after"])),
        ends=draw(st.sampled_from(["return", "close", "misuse"])),
    )


ODD = ["", "a", "b", "red", "true", "2024-01-01", "1.5", "[1]", "x" * 300, "\u20ac", "\udcff", "1e999"]
VALUES = st.sampled_from(["1", "3"] * 8 + ODD)


@st.composite
def conversations(draw: st.DrawFn, spec: AppSpec) -> dict[str, Any]:
    path = ("/mounted" if spec.mounted else "") + ("/outer" if spec.nested else "")
    path += spec.prefix + spec.path
    for name in ("{tags}", "{a}", "{b}", "{other:path}", "{item:int}"):
        value = draw(VALUES.filter(bool)) if name != "{item:int}" else draw(st.sampled_from(["1", "7", "x"]))
        path = path.replace(name, value.encode("utf-8", "surrogateescape").decode("latin-1"))
    names = st.sampled_from([*NAMES, "bb", "c", "x-y", "z", "tok", "x_token", "x-token", "user_agent"])
    pairs = st.lists(st.tuples(names, VALUES), max_size=5)
    query = "&".join(f"{name}={quote(value.encode('utf-8', 'surrogateescape'))}" for name, value in draw(pairs))
    headers = [(name.encode(), _raw(value)) for name, value in draw(pairs)]
    cookies = "; ".join(f"{name}={value}" for name, value in draw(pairs))
    if cookies:
        headers.append((b"cookie", _raw(cookies)))
    messages = draw(st.lists(st.sampled_from(["hi", "", b"\x00", 1000, 1006]), max_size=3))
    return {
        "path": path,
        "query": query.encode() + draw(st.sampled_from([b"", b"", b"&a=\xff", b"&&=", b"&a", b"&a=%ff%"])),
        "headers": headers,
        "messages": messages,
        "extensions": draw(st.sampled_from([{}, {"websocket.http.response": {}}])),
    }


def _raw(value: str) -> bytes:
    return value.encode("utf-8", "surrogateescape")

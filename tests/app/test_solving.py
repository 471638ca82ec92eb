"""wsharness/app/solving.py: what is called, in which order, what is kept and when it is left."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from starlette.background import BackgroundTasks

from tests.app.driver import CONNECT, connect, request, serve, text, websocket_scope
from wsharness.app import (
    Depends,
    FastAPI,
    HTTPConnection,
    HTTPException,
    Query,
    Request,
    Security,
    SecurityScopes,
    WebSocket,
)
from wsharness.app.exceptions import DependencyCycleError, EndpointError


def serving(*dependencies: Any, log: list[Any] | None = None, **options: Any) -> FastAPI:
    app = FastAPI()

    @app.websocket("/", dependencies=list(dependencies), **options)
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        if log is not None:
            log.append("endpoint")

    return app


def logging(log: list[Any], name: str, form: str, error: Exception | None = None) -> Callable[..., Any]:
    def before() -> None:
        log.append(f"{name} in")

    def after() -> None:
        log.append(f"{name} out")
        if error is not None:
            raise error

    def generator() -> Any:
        before()
        yield name
        after()

    async def async_generator() -> Any:
        before()
        yield name
        after()

    return {"sync": generator, "async": async_generator}[form]


@pytest.mark.parametrize("form", ["sync", "async"])
def test_generators_are_left_after_the_endpoint_in_reverse_order(form: str) -> None:
    log: list[Any] = []
    connect(serving(Depends(logging(log, "a", form)), Depends(logging(log, "b", form)), log=log))
    assert log == ["a in", "b in", "endpoint", "b out", "a out"]


def test_function_scope_is_left_before_request_scope() -> None:
    log: list[Any] = []
    first = Depends(logging(log, "function", "async"), scope="function")
    connect(serving(first, Depends(logging(log, "request", "async"), scope="request"), log=log))
    assert log == ["function in", "request in", "endpoint", "function out", "request out"]


@pytest.mark.parametrize("form", ["sync", "async"])
def test_a_generator_that_raises_on_its_way_out_is_answered_like_any_exception(form: str) -> None:
    log: list[Any] = []
    app = serving(Depends(logging(log, "a", form, KeyError("late"))), log=log)
    handled = []

    @app.exception_handler(KeyError)
    async def handler(websocket: WebSocket, error: KeyError) -> None:
        handled.append(error.args)
        await websocket.close(4000)

    transcript = connect(app)
    assert transcript.raised is None
    assert handled == [("late",)]
    assert transcript.closed == (4000, "")


@pytest.mark.parametrize("form", ["sync", "async"])
def test_what_the_endpoint_raises_reaches_the_generators(form: str) -> None:
    caught = []

    def generator() -> Any:
        try:
            yield
        except ValueError as error:
            caught.append(error)
            raise

    async def async_generator() -> Any:
        try:
            yield
        except ValueError as error:
            caught.append(error)
            raise

    app = FastAPI()

    @app.websocket("/", dependencies=[Depends(generator if form == "sync" else async_generator)])
    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        raise ValueError("from the endpoint")

    transcript = connect(app)
    assert str(transcript.raised) == "from the endpoint"
    assert caught == [transcript.raised]


def test_a_dependency_is_called_once_unless_told_otherwise() -> None:
    calls = []

    def one() -> int:
        calls.append(1)
        return len(calls)

    seen: list[Any] = []

    async def endpoint(
        websocket: WebSocket,
        a: int = Depends(one),
        b: int = Depends(one),
        c: int = Depends(one, use_cache=False),
    ) -> None:
        seen.extend([a, b, c])

    app = FastAPI()
    app.add_api_websocket_route("/", endpoint)
    connect(app)
    assert seen == [1, 1, 2]


def test_a_dependency_whose_parameters_are_wrong_is_not_called_but_the_others_are() -> None:
    called = []

    def wrong(number: int) -> None:
        called.append("wrong")

    def right() -> None:
        called.append("right")

    transcript = connect(serving(Depends(wrong), Depends(right)), query="number=x")
    assert called == ["right"]
    assert transcript.closed is not None
    assert transcript.closed[0] == 1008
    assert not transcript.accepted


def test_overrides_replace_a_dependency_wherever_it_is_used() -> None:
    async def original() -> str:
        return "original"

    async def user(value: Annotated[str, Depends(original)]) -> str:
        return value

    app = FastAPI()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket, value: Annotated[str, Depends(user)]) -> None:
        await websocket.accept()
        await websocket.send_text(value)

    def replacement(name: str = Query("nobody")) -> str:
        return f"replaced by {name}"

    assert connect(app).texts == ["original"]
    app.dependency_overrides[original] = replacement
    assert connect(app, query="name=x").texts == ["replaced by x"]
    app.dependency_overrides.clear()
    assert connect(app).texts == ["original"]


def test_an_override_that_needs_what_it_replaces_is_named() -> None:
    def original() -> None: ...

    def replacement(value: Any = Depends(original)) -> None: ...

    app = serving(Depends(original))
    app.dependency_overrides[original] = replacement
    raised = connect(app).raised
    assert isinstance(raised, DependencyCycleError)
    assert isinstance(raised, RecursionError)  # what FastAPI ends in
    assert "original -> replacement -> original" in str(raised)


def test_an_override_is_analysed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from wsharness.app import dependencies

    app = serving(Depends(one := lambda: 1))
    app.dependency_overrides[one] = lambda: 2
    connect(app)
    monkeypatch.setattr(dependencies, "analyse", None)
    assert connect(app).raised is None


def test_callables_that_cannot_be_hashed_work() -> None:
    class Dependency(list[int]):
        def __call__(self) -> str:
            return "called"

    app = serving(Depends(Dependency()))
    app.dependency_overrides[print] = len
    assert connect(app).raised is None


def test_connections_are_injected_by_type() -> None:
    seen: list[Any] = []

    def dependency(socket: WebSocket, connection: HTTPConnection, tasks: BackgroundTasks) -> None:
        seen.append((socket is connection, type(tasks)))

    connect(serving(Depends(dependency)))
    assert seen == [(True, BackgroundTasks)]


def test_a_request_is_not_to_be_had_on_a_websocket() -> None:
    def dependency(request: Request) -> None: ...

    def optional(request: Request = None) -> None: ...  # type: ignore[assignment]

    raised = connect(serving(Depends(dependency))).raised
    assert isinstance(raised, EndpointError)
    assert isinstance(raised, TypeError)  # what FastAPI raises
    assert "dependency() wants a Request as 'request', but this connection is a WebSocket" in str(raised)
    assert connect(serving(Depends(optional))).raised is None


def test_scopes_are_collected_on_the_way_down() -> None:
    seen: list[Any] = []

    def inner(scopes: SecurityScopes) -> None:
        seen.append(scopes.scope_str)

    def outer(value: Any = Security(inner, scopes=["items", "me"])) -> None: ...

    app = FastAPI()

    @app.websocket("/")
    async def endpoint(
        websocket: WebSocket,
        a: Any = Security(outer, scopes=["admin"]),
        b: Any = Depends(inner),
        c: Any = Depends(inner),
    ) -> None: ...

    connect(app)
    assert seen == ["admin items me", ""]  # other scopes, another call; the same, none


def test_sync_dependencies_run_in_threads_and_async_ones_do_not() -> None:
    import threading

    threads: dict[str, bool] = {}

    def sync() -> None:
        threads["sync"] = threading.current_thread() is threading.main_thread()

    async def coroutine() -> None:
        threads["async"] = threading.current_thread() is threading.main_thread()

    connect(serving(Depends(sync), Depends(coroutine)))
    assert threads == {"sync": False, "async": True}


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}], ids=["without", "with"])
def test_an_http_exception_before_accept_is_a_denial_response(extensions: dict[str, Any]) -> None:
    def dependency() -> None:
        raise HTTPException(403, detail={"why": "closed"}, headers={"Retry-After": "5"})

    transcript = connect(serving(Depends(dependency)), extensions=extensions)
    assert transcript.raised is None
    assert transcript.status == 403
    assert transcript.headers["retry-after"] == "5"
    assert transcript.body == b'{"detail":{"why":"closed"}}'


def test_a_response_that_is_injected_lends_its_headers_on_http() -> None:
    from wsharness.app import Response

    app = FastAPI()

    def dependency(response: Response) -> None:
        response.headers["x-by"] = "dependency"
        response.status_code = 201

    @app.get("/", dependencies=[Depends(dependency)])
    def endpoint() -> dict[str, int]:
        return {"a": 1}

    transcript = request(app)
    assert (transcript.status, transcript.headers["x-by"], transcript.body) == (201, "dependency", b'{"a":1}')


def test_a_dependency_may_accept_and_raise_afterwards() -> None:
    async def dependency(websocket: WebSocket) -> str:
        await websocket.accept()
        raise ValueError(await websocket.receive_text())

    transcript = connect(serving(Depends(dependency)), "/", text("after accept"))
    assert transcript.accepted
    assert str(transcript.raised) == "after accept"


@pytest.mark.parametrize("form", ["coroutine", "function", "generator"])
def test_a_limit_is_given_back_after_each_connection(form: str) -> None:
    async def coroutine() -> str:
        return form

    def generator() -> Any:
        yield form

    call = {"coroutine": coroutine, "function": lambda: form, "generator": generator}[form]
    app = FastAPI()

    @app.websocket("/")
    async def endpoint(websocket: WebSocket, value: str = Depends(call, max_concurrency=1)) -> None:
        await websocket.accept()
        await websocket.send_text(value)

    async def two() -> list[Any]:
        return [(await serve(app, websocket_scope(), [CONNECT])).texts for _ in range(2)]

    assert asyncio.run(two()) == [[form], [form]]


def test_overrides_leave_alone_what_cannot_be_a_key() -> None:
    class Dependency(dict[str, Any]):
        def __call__(self) -> str:
            return "own"

    seen: list[str] = []

    async def endpoint(websocket: WebSocket, value: str = Depends(Dependency())) -> None:
        seen.append(value)

    app = FastAPI()
    app.add_api_websocket_route("/", endpoint)
    app.dependency_overrides[len] = print
    connect(app)
    assert seen == ["own"]

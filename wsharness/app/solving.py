"""Solving dependencies for one connection: call what the graph says, in its order, and keep the results."""

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any

from anyio import CancelScope
from starlette.background import BackgroundTasks
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from wsharness.app.calls import Kind
from wsharness.app.concurrency import Undisturbed, limited, run_in_threadpool
from wsharness.app.dependencies import Dependant, Injection
from wsharness.app.exceptions import EndpointError
from wsharness.app.fields import MISSING, Errors, Values
from wsharness.app.security.oauth2 import SecurityScopes

Overrides = Mapping[Callable[..., Any], Callable[..., Any]]


class Solver:
    """One connection's dependencies: what was read and returned, what does not validate, what to leave.

    Generators are entered on one of two stacks: `function` is left when the endpoint returns,
    `request` after the response, too.
    """

    def __init__(
        self,
        connection: HTTPConnection,
        overrides: Overrides,
        request: AsyncExitStack,
        function: AsyncExitStack,
        *,
        body: Any = MISSING,
        embed: bool = False,
    ) -> None:
        self.connection = connection
        self.overrides = overrides
        self.request = request
        self.function = function
        self.body = body
        self.embed = embed
        self.errors: Errors = []
        self.results: dict[Hashable, Any] = {}
        self.tasks: BackgroundTasks | None = None
        self.response: Response | None = None
        self.shelter: CancelScope | None = None

    async def solve(self, dependant: Dependant) -> Values:
        """The arguments of `dependant`; whatever does not validate is added to `errors`."""
        values: Values = {}
        for dependency in dependant.dependencies:
            await self._solve_dependency(dependency, values)
        for attribute, readers in dependant.sources:
            source = getattr(self.connection, attribute)
            for reader in readers:
                reader.read(source, values, self.errors)
        if dependant.bodies:
            self._read_bodies(dependant, values)
        for name, injection, has_default in dependant.injections:
            self._inject(dependant, values, name, injection, has_default=has_default)
        return values

    async def _solve_dependency(self, declared: Dependant, values: Values) -> None:
        used = self._overridden(declared) if self.overrides else declared
        known_errors = len(self.errors)
        arguments = await self.solve(used)
        if len(self.errors) > known_errors:
            return
        if declared.use_cache and declared.cache_key in self.results:
            result = self.results[declared.cache_key]
        else:
            result = await self._call(used, arguments, declared)
            self.results.setdefault(declared.cache_key, result)
        if declared.name is not None:
            values[declared.name] = result

    def _overridden(self, declared: Dependant) -> Dependant:
        try:
            call = self.overrides.get(declared.call, declared.call)
        except TypeError:  # it cannot be hashed, so it cannot be a key either
            return declared
        return declared if call is declared.call else declared.replaced_by(call)

    async def _call(self, used: Dependant, arguments: Values, declared: Dependant) -> Any:
        if used.open is not None:
            stack = self.function if declared.lifetime == "function" else self.request
            return await stack.enter_async_context(self._resource(used, arguments))
        if used.limit is None:
            return await _result(used, arguments)
        async with used.limit.semaphore():
            return await _result(used, arguments)

    def _resource(self, used: Dependant, arguments: Values) -> AbstractAsyncContextManager[Any]:
        assert used.open is not None
        resource = used.open(**arguments)
        if used.kind is Kind.ASYNC_GENERATOR:
            resource = Undisturbed(resource, self._shelter())
        return resource if used.limit is None else limited(resource, used.limit)

    def _shelter(self) -> CancelScope:
        # Entered before the first async generator, so that scopes are left in the order of a stack.
        if self.shelter is None:
            self.shelter = self.request.enter_context(CancelScope())
        return self.shelter

    def _read_bodies(self, dependant: Dependant, values: Values) -> None:
        whole = len(dependant.bodies) == 1 and not self.embed
        for reader in dependant.bodies:
            reader.read_body(self.body, values, self.errors, whole=whole)

    def _inject(
        self, dependant: Dependant, values: Values, name: str, injection: Injection, *, has_default: bool
    ) -> None:
        is_request = isinstance(self.connection, Request)
        match injection:
            case Injection.CONNECTION:
                values[name] = self.connection
            case Injection.REQUEST | Injection.WEBSOCKET:
                if is_request is (injection is Injection.REQUEST):
                    values[name] = self.connection
                elif not has_default:
                    raise EndpointError(_wrong_connection(dependant, name, injection))
            case Injection.RESPONSE:
                values[name] = self._provisional_response()
            case Injection.TASKS:
                self.tasks = self.tasks or BackgroundTasks()
                values[name] = self.tasks
            case Injection.SCOPES:
                values[name] = SecurityScopes(scopes=dependant.scopes)

    def _provisional_response(self) -> Response:
        """A response whose headers and status code are copied to the real one."""
        if self.response is None:
            self.response = Response()
            del self.response.headers["content-length"]
            self.response.status_code = None  # type: ignore[assignment]
        return self.response


async def _result(used: Dependant, arguments: Values) -> Any:
    if used.kind is Kind.COROUTINE:
        return await used.call(**arguments)
    return await run_in_threadpool(used.call, **arguments)


def _wrong_connection(dependant: Dependant, name: str, injection: Injection) -> str:
    here = "a WebSocket" if injection is Injection.REQUEST else "an HTTP request"
    called = getattr(dependant.call, "__name__", repr(dependant.call))
    return (
        f"{called}() wants a {injection.value} as {name!r}, but this connection is {here};"
        " annotate HTTPConnection, which is both"
    )

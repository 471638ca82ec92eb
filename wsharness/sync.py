"""SyncHarness: the harness's verbs without await; one event loop that runs inside the verbs."""

import asyncio
import functools
import inspect
import threading
from collections.abc import Coroutine, Iterable, Iterator
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from wsharness import arguments
from wsharness.client import ANY, Client
from wsharness.errors import UsageError
from wsharness.harness import Harness
from wsharness.transcript import Transcript

T = TypeVar("T")


class Runner(Protocol):
    """What runs the verbs: an asyncio.Runner, or one of virtual time."""

    def run(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Run a coroutine and return its value."""

    def close(self) -> None:
        """End it."""


class SyncProxy:
    """Something whose async methods need no await."""

    def __init__(self, target: Any, harness: "SyncHarness") -> None:
        self._target = target
        self._harness = harness

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not inspect.iscoroutinefunction(value):
            return value

        @functools.wraps(value)
        def call(*args: Any, **kwargs: Any) -> Any:
            result = self._harness.run(value(*args, **kwargs))
            return self if result is self._target else result

        return call

    def __repr__(self) -> str:
        return repr(self._target)


class SyncClient(SyncProxy):
    """A client whose verbs need no await."""

    @property
    def plain(self) -> Client:
        """The client whose verbs are awaited."""
        client: Client = self._target
        return client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._harness.run(self._target.close())

    def __iter__(self) -> Iterator[Any]:
        """Yield decoded messages until the server ends the connection or none comes in time."""
        messages, end = aiter(self.plain), object()

        async def following() -> Any:
            return await anext(messages, end)

        while (message := self._harness.run(following())) is not end:
            yield message


def _plain(client: Any) -> Any:
    return client.plain if isinstance(client, SyncClient) else client


class SyncHarness:
    """`with SyncHarness(Harness(app)) as ws: client = ws.connect("/ws")`, in the caller's thread."""

    def __init__(self, harness: Harness, runner: Runner | None = None) -> None:
        self._harness = harness
        self._runner: Runner = asyncio.Runner() if runner is None else runner
        self._thread = threading.get_ident()

    @property
    def transcript(self) -> Transcript:
        """What happened so far."""
        return self._harness.transcript

    @property
    def http(self) -> SyncProxy:
        """An HTTP client of the same app, sharing its state: `ws.http.get("/")`; needs the extra `http`."""
        return SyncProxy(self._harness.http, self)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the harness's loop; UsageError inside a running one."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass
        else:
            coroutine.close()
            raise UsageError("ws_sync cannot be used inside a running event loop; ask for ws and await its verbs")
        if threading.get_ident() != self._thread:
            coroutine.close()
            raise UsageError(
                "ws_sync lives in the test's own thread; ask for ws, and let clients wait in asyncio.gather"
            )
        return self._runner.run(coroutine)

    def connect(self, path: str = "/", **options: Any) -> SyncClient:
        """Open a connection; keyword arguments as for `Harness.connect`."""

        async def connect() -> Client:
            client: Client = await self._harness.connect(path, **options)
            return client

        return SyncClient(self.run(connect()), self)

    def connect_many(self, count: int, path: str = "/", **options: Any) -> list[SyncClient]:
        """Open `count` connections at once."""
        clients = self.run(self._harness.connect_many(count, path, **options))
        return [SyncClient(client, self) for client in clients]

    def sleep(self, seconds: float) -> None:
        """Let the app run for so long."""
        self.run(asyncio.sleep(arguments.seconds(seconds, "sleep")))

    def expect_all(self, clients: Iterable[SyncClient], pattern: Any = ANY, **options: Any) -> list[Any]:
        """Take the next message of each client, which must match; `where` and `within` as for `expect`."""
        plain: Any = [_plain(one) for one in clients] if isinstance(clients, Iterable) else _plain(clients)
        return self.run(self._harness.expect_all(plain, pattern, **options))

    def settle(self, within: float | None = None) -> None:
        """Wait until nothing can run before time passes or a client acts."""
        self.run(self._harness.settle(within))

    def check(self) -> None:
        """Run all checks over what happened so far."""

        async def check() -> None:
            self._harness.check()

        self.run(check())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.run(self._harness.aclose(error))
        finally:
            self._runner.close()

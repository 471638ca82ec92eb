"""Connecting: what `connect()` returns, to be awaited or entered."""

import warnings
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

from wsharness.client import Client
from wsharness.errors import UsageError

HOW_TO_CONNECT = "write `client = await ws.connect(...)`, or `async with ws.connect(...) as client:`"


class AsyncOnly:
    """What is entered with `async with`, and says so to who forgot `async`."""

    if not TYPE_CHECKING:

        def __enter__(self) -> NoReturn:
            raise UsageError("this is entered with `async with`, in an `async def`; in one that is not, take ws_sync")

        def __exit__(self, *_: object) -> None:
            pass


class Connecting(AsyncOnly):
    """What `connect()` returns: await it, or use it as an async context manager that closes at its end."""

    def __init__(self, start: Callable[[], Awaitable[Client]]) -> None:
        self._start = start
        self._client: Client | None = None
        self._is_used = False

    def __await__(self) -> Any:
        self._is_used = True
        return self._start().__await__()

    async def __aenter__(self) -> Client:
        self._client = await self
        return self._client

    async def __aexit__(self, *_: object) -> None:
        assert self._client is not None
        await self._client.close()

    if not TYPE_CHECKING:  # type checkers say so by themselves, where nothing answers to every name

        def __getattr__(self, name: str) -> NoReturn:
            raise AttributeError(f"connect() was not awaited, and what it returns has no {name!r}; {HOW_TO_CONNECT}")

    def __del__(self) -> None:
        if not self.__dict__.get("_is_used", True):
            warnings.warn(f"connect() was never awaited; {HOW_TO_CONNECT}", RuntimeWarning, stacklevel=2)

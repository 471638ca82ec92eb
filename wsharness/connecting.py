"""Connecting: what `connect()` returns, to be awaited or entered."""

import warnings
from collections.abc import Awaitable, Callable
from typing import Any

from wsharness.client import Client

HOW_TO_CONNECT = "write `client = await ws.connect(...)`, or `async with ws.connect(...) as client:`"


class Connecting:
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

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"connect() was not awaited, and what it returns has no {name!r}; {HOW_TO_CONNECT}")

    def __del__(self) -> None:
        if not self.__dict__.get("_is_used", True):
            warnings.warn(f"connect() was never awaited; {HOW_TO_CONNECT}", RuntimeWarning, stacklevel=2)

"""ASGI's own vocabulary: the types between a server and an application."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Literal, TypeAlias

Scope: TypeAlias = MutableMapping[str, Any]
ASGIEvent: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[ASGIEvent]]
Send: TypeAlias = Callable[[ASGIEvent], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[Any]]
LifespanMode: TypeAlias = Literal["auto", "on", "off"]

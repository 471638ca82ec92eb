"""A server of the plainest kind: it plays one client's ASGI events and writes down everything."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Headers = Iterable[tuple[str, str]]

CONNECT = {"type": "websocket.connect"}
LEFT = {"type": "websocket.disconnect", "code": 1006, "reason": ""}


def text(data: str) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": data}


def binary(data: bytes) -> dict[str, Any]:
    return {"type": "websocket.receive", "bytes": data}


def left(code: int = 1000, reason: str = "") -> dict[str, Any]:
    return {"type": "websocket.disconnect", "code": code, "reason": reason}


@dataclass
class Transcript:
    """What the app received and sent, in order, and what it raised."""

    events: list[dict[str, Any]] = field(default_factory=list)
    raised: BaseException | None = None
    scope: dict[str, Any] = field(default_factory=dict)

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] not in RECEIVED]

    @property
    def texts(self) -> list[Any]:
        return [event.get("text") for event in self.sent if event["type"] == "websocket.send"]

    @property
    def closed(self) -> tuple[int, Any] | None:
        """Close code and close reason."""
        for event in self.sent:
            if event["type"] == "websocket.close":
                return event["code"], event["reason"]
        return None

    @property
    def accepted(self) -> bool:
        return any(event["type"] == "websocket.accept" for event in self.sent)

    @property
    def status(self) -> int | None:
        """Of the denial response, or of the response to an HTTP request."""
        for event in self.sent:
            if event["type"].endswith("http.response.start"):
                return int(event["status"])
        return None

    @property
    def headers(self) -> dict[str, str]:
        start = next(event for event in self.sent if event["type"].endswith("http.response.start"))
        return {name.decode(): value.decode() for name, value in start["headers"]}

    @property
    def body(self) -> bytes:
        bodies = [event for event in self.sent if event["type"].endswith("http.response.body")]
        return b"".join(event.get("body", b"") for event in bodies)


RECEIVED = {"websocket.connect", "websocket.receive", "websocket.disconnect", "http.request"}


def websocket_scope(
    path: str = "/",
    *,
    query: bytes | str = b"",
    headers: Headers | Iterable[tuple[bytes, bytes]] = (),
    **more: Any,
) -> dict[str, Any]:
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode() if isinstance(query, str) else query,
        "headers": [(raw(name).lower(), raw(value)) for name, value in headers],
        "client": ("testclient", 50000),
        "server": ("testserver", 80),
        "subprotocols": [],
        "extensions": {},
        "state": {},
        **more,
    }


def http_scope(method: str = "GET", path: str = "/", **more: Any) -> dict[str, Any]:
    return websocket_scope(path, **{"type": "http", "scheme": "http", "method": method, **more})


def raw(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()


async def serve(
    app: Callable[..., Any],
    scope: dict[str, Any],
    incoming: Iterable[Mapping[str, Any]],
    *,
    broken: bool = False,
) -> Transcript:
    """Serve one connection; `broken` makes every send after accept an OSError."""
    transcript = Transcript(scope=scope)
    waiting = [dict(event) for event in incoming]

    async def receive() -> dict[str, Any]:
        event = waiting.pop(0) if waiting else dict(LEFT)
        transcript.events.append(event)
        return event

    async def send(event: dict[str, Any]) -> None:
        if broken and transcript.accepted:
            raise OSError("the client is gone")
        transcript.events.append(dict(event))

    try:
        await app(scope, receive, send)
    except Exception as error:
        transcript.raised = error
    return transcript


def connect(
    app: Callable[..., Any],
    path: str = "/",
    /,
    *messages: Mapping[str, Any],
    query: bytes | str = b"",
    headers: Any = (),
    broken: bool = False,
    **scope: Any,
) -> Transcript:
    """Open a connection, play the messages, leave."""
    full = websocket_scope(path, query=query, headers=headers, **scope)
    return asyncio.run(serve(app, full, [CONNECT, *messages], broken=broken))


def request(
    app: Callable[..., Any],
    method: str = "GET",
    path: str = "/",
    *,
    query: bytes | str = b"",
    headers: Any = (),
    body: bytes = b"",
    **scope: Any,
) -> Transcript:
    """One HTTP request."""
    full = http_scope(method, path, query=query, headers=headers, **scope)
    return asyncio.run(serve(app, full, [{"type": "http.request", "body": body, "more_body": False}]))


async def run_lifespan(app: Callable[..., Any], state: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Start the app and stop it; what it answered."""
    incoming = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return incoming.pop(0)

    async def send(event: dict[str, Any]) -> None:
        sent.append(event)

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": state or {}}, receive, send)
    return sent

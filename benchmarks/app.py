"""What one connection costs on FastAPI and on wsharness.app: four dependencies, two query parameters."""

import asyncio
import gc
import statistics
import time
from collections.abc import Callable
from typing import Annotated, Any

import fastapi

import wsharness.app as ours

ROUNDS = 15
CONNECTIONS = 300
SCOPE = {
    "type": "websocket",
    "asgi": {"version": "3.0", "spec_version": "2.4"},
    "http_version": "1.1",
    "scheme": "ws",
    "path": "/ws/7",
    "raw_path": b"/ws/7",
    "root_path": "",
    "query_string": b"room=lobby&limit=5",
    "headers": [(b"host", b"testserver"), (b"x-token", b"secret"), (b"cookie", b"session=abc")],
    "client": ("testclient", 50000),
    "server": ("testserver", 80),
    "subprotocols": [],
    "extensions": {},
}


def make_app(framework: Any) -> Any:
    """Four dependencies, one in another and one a generator, as an application has them."""
    app = framework.FastAPI()

    async def token(x_token: Annotated[str, framework.Header()]) -> str:
        return x_token

    async def user(value: Annotated[str, framework.Depends(token)]) -> str:
        return f"user of {value}"

    async def session(session: Annotated[str | None, framework.Cookie()] = None) -> str | None:
        return session

    async def database() -> Any:
        yield object()

    async def endpoint(
        websocket: Any,
        item: int,
        room: str,
        user: Annotated[str, framework.Depends(user)],
        session: Annotated[str | None, framework.Depends(session)],
        database: Annotated[Any, framework.Depends(database)],
        limit: Annotated[int, framework.Query(ge=1)] = 10,
    ) -> None:
        await websocket.accept()
        await websocket.send_text(room)

    endpoint.__annotations__["websocket"] = framework.WebSocket
    app.add_api_websocket_route("/ws/{item}", endpoint)
    return app


async def serve(app: Callable[..., Any], count: int) -> float:
    """Serve `count` connections; the processor time of one, in microseconds."""

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(event: dict[str, Any]) -> None:
        if event["type"] not in {"websocket.accept", "websocket.send"}:
            raise AssertionError(f"the connection was refused: {event}")

    start = time.process_time()
    for _ in range(count):
        await app({**SCOPE, "headers": list(SCOPE["headers"]), "state": {}}, receive, send)
    return (time.process_time() - start) / count * 1e6


def measure() -> list[dict[str, Any]]:
    """Both in turns, so that whatever else the machine does befalls both; the median of each."""
    apps = {"fastapi": make_app(fastapi), "wsharness.app": make_app(ours)}
    spent: dict[str, list[float]] = {name: [] for name in apps}
    for app in apps.values():
        asyncio.run(serve(app, CONNECTIONS))  # warm up
    for _ in range(ROUNDS):
        for name, app in apps.items():
            gc.collect()
            spent[name].append(asyncio.run(serve(app, CONNECTIONS)))
    costs = {name: statistics.median(times) for name, times in spent.items()}
    ratio = costs["wsharness.app"] / costs["fastapi"]
    return [
        {
            "name": "connection with four dependencies and two query parameters, FastAPI",
            "value": round(costs["fastapi"], 1),
            "unit": "µs of CPU",
            "goal": None,
            "met": True,
        },
        {
            "name": "connection with four dependencies and two query parameters, wsharness.app",
            "value": round(costs["wsharness.app"], 1),
            "unit": "µs of CPU",
            "goal": None,
            "met": True,
        },
        {
            "name": "the same, wsharness.app to FastAPI",
            "value": round(ratio, 2),
            "unit": "x",
            "goal": "<= 1",
            "met": ratio <= 1,
        },
    ]


if __name__ == "__main__":
    for row in measure():
        print(f"{row['value']:>8} {row['unit']:<10} {row['name']}")

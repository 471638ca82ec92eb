"""The bare floor: an app driven by two hand-written queues, without checks, transcript or limits on waits.

Nothing that runs an unmodified ASGI app in a task of its own can cost much less: an app task and a client
task hand each other one message at a time through a deque and a future. JSON is coded where the measured
call codes JSON, because that is work the caller asked for and would otherwise do by hand; text is handed
over as it is.
"""

import asyncio
import json
from collections import deque
from typing import Any

from benchmarks.measuring import stopwatch


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """The app under every contestant: no framework, so that only the harness differs."""
    if scope["type"] != "websocket":
        raise RuntimeError("this app speaks WebSocket only")
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": event["text"]})


class Queue:
    """An unbounded queue for one reader."""

    __slots__ = ("_items", "_reader")

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self._reader: asyncio.Future[None] | None = None

    async def put(self, item: Any) -> None:
        """Add an item; never waits."""
        self._items.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> Any:
        """Take the oldest item, waiting for one."""
        while not self._items:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        return self._items.popleft()


class FloorClient:
    """One connection to the app."""

    def __init__(self, app: Any) -> None:
        self._to_app = Queue()
        self._from_app = Queue()
        self._task = asyncio.ensure_future(app({"type": "websocket"}, self._to_app.get, self._from_app.put))

    async def connect(self) -> None:
        await self._to_app.put({"type": "websocket.connect"})
        await self._from_app.get()

    async def send(self, text: str) -> None:
        await self._to_app.put({"type": "websocket.receive", "text": text})

    async def receive(self) -> str:
        event = await self._from_app.get()
        text: str = event["text"]
        return text

    async def send_json(self, value: Any) -> None:
        await self.send(json.dumps(value))

    async def receive_json(self) -> Any:
        return json.loads(await self.receive())

    async def close(self) -> None:
        await self._to_app.put({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        await self._task


def text_round_trip(count: int) -> float:
    """Seconds for one message there and back."""

    async def run() -> float:
        client = FloorClient(echo)
        await client.connect()
        with stopwatch() as watch:
            for _ in range(count):
                await client.send("x")
                assert await client.receive() == "x"
        await client.close()
        return watch.seconds / count

    return asyncio.run(run())


def json_round_trip(count: int, message: Any) -> float:
    """Seconds for one JSON message there and back."""

    async def run() -> float:
        client = FloorClient(echo)
        await client.connect()
        with stopwatch() as watch:
            for _ in range(count):
                await client.send_json(message)
                assert await client.receive_json() == message
        await client.close()
        return watch.seconds / count

    return asyncio.run(run())


def whole_connection(count: int) -> float:
    """Seconds for connect, one echo and close."""

    async def run() -> float:
        with stopwatch() as watch:
            for _ in range(count):
                client = FloorClient(echo)
                await client.connect()
                await client.send("x")
                assert await client.receive() == "x"
                await client.close()
        return watch.seconds / count

    return asyncio.run(run())

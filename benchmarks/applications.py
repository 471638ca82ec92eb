"""The apps that are measured, beside the floor's echo: no framework, so that only the harness costs."""

import asyncio
import contextlib
from typing import Any


async def heartbeat(scope: Any, receive: Any, send: Any) -> None:
    """Sends a message every 30 seconds, and reads until the client leaves."""
    if scope["type"] != "websocket":
        raise RuntimeError("this app speaks WebSocket only")
    await receive()
    await send({"type": "websocket.accept"})
    beating = asyncio.create_task(_beat(send))
    try:
        while (await receive())["type"] != "websocket.disconnect":
            pass
    finally:
        beating.cancel()


async def _beat(send: Any) -> None:
    while True:
        await asyncio.sleep(30)
        await send({"type": "websocket.send", "text": "beat"})


class Chat:
    """Everybody hears what anybody says."""

    def __init__(self) -> None:
        self.members: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "websocket":
            raise RuntimeError("this app speaks WebSocket only")
        await receive()
        await send({"type": "websocket.accept"})
        self.members.append(send)
        try:
            while (event := await receive())["type"] != "websocket.disconnect":
                for member in list(self.members):
                    with contextlib.suppress(OSError):  # it is about to leave the list by itself
                        await member({"type": "websocket.send", "text": event["text"]})
        finally:
            self.members.remove(send)

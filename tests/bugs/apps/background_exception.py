"""A diary that writes to its archive in the background."""

import asyncio

from litestar import Litestar, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from tests.bugs.messages import decode

TITLE = "an entry without a text fails in a task nobody looks at"
EXPECTS = ("WSH110",)
FUNCTION = "archive"
PATH = "/ws"
HELLO = [{"type": "entry", "text": "dear diary"}]
INVARIANT = None


class Diary:
    def __init__(self):
        self.last = ""
        self.tasks = set()

    async def archive(self, message):
        await asyncio.sleep(0.01)
        self.last = message["text"]

    def write(self, message):
        task = asyncio.create_task(self.archive(message))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class CarefulDiary(Diary):
    async def archive(self, message):
        await asyncio.sleep(0.01)
        self.last = message.get("text", "")


def make(book):
    @websocket("/ws")
    async def diary(socket: WebSocket) -> None:
        await socket.accept()
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            book.write(decode(event) or {"text": "illegible"})
            try:
                await socket.send_json({"type": "noted"})
            except (WebSocketDisconnect, OSError):
                return

    return Litestar(route_handlers=[diary])


def broken():
    return make(Diary())


def correct():
    return make(CarefulDiary())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    await ann.send({"type": "entry"})
    assert ann.types() == ["noted", "noted"]
    await drive.settle(1)
    return any(isinstance(error, KeyError) for error in drive.background_errors())

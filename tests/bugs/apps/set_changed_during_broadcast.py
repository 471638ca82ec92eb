"""A news ticker whose readers come and go while a headline is translated for each."""

import asyncio

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import deliver, read, text_of

TITLE = "the set of readers changes while a headline goes round"
EXPECTS = ("WSH101",)
FUNCTION = "publish"
PATH = "/ws"
HELLO = [{"type": "publish", "text": "rain"}]
INVARIANT = None


async def translate(text):
    await asyncio.sleep(0.05)
    return text.upper()


class Desk:
    def __init__(self):
        self.readers = set()

    async def publish(self, text):
        for reader in self.readers:
            await deliver(reader, {"type": "headline", "text": await translate(text)})


class SteadyDesk(Desk):
    async def publish(self, text):
        for reader in list(self.readers):
            await deliver(reader, {"type": "headline", "text": await translate(text)})


def make(desk):
    async def ticker(websocket):
        await websocket.accept()
        desk.readers.add(websocket)
        try:
            while True:
                await desk.publish(text_of(await read(websocket), "text", "nothing"))
        except WebSocketDisconnect:
            pass
        finally:
            desk.readers.discard(websocket)

    return Starlette(routes=[WebSocketRoute("/ws", ticker)])


def broken():
    return make(Desk())


def correct():
    return make(SteadyDesk())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    await ann.send(HELLO[0], seconds=1)
    assert bob.types() == ["headline"]
    await ann.send(HELLO[0])
    await bob.leave()
    await drive.settle(1)
    return any(isinstance(error, RuntimeError) for error in drive.crashes())

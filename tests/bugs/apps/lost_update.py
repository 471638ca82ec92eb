"""A jar of coins that is counted, and written down again after a look into the store."""

import asyncio

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import number_of, read

TITLE = "two deposits at once count as one"
EXPECTS = ("WSH501", "WSH303")
FUNCTION = None
PATH = "/ws"
HELLO = [{"type": "deposit", "coins": 5}]
INVARIANT = "invariant"


class Jar:
    def __init__(self):
        self.stored = 0
        self.receipts = 0
        self.lock = asyncio.Lock()

    async def load(self):
        await asyncio.sleep(0)
        return self.stored

    async def save(self, coins):
        await asyncio.sleep(0)
        self.stored = coins

    async def deposit(self, coins):
        await self.save(await self.load() + coins)
        self.receipts += coins


class LockedJar(Jar):
    async def deposit(self, coins):
        async with self.lock:
            await super().deposit(coins)


def make(jar):
    async def deposits(websocket):
        await websocket.accept()
        try:
            while True:
                await jar.deposit(number_of(await read(websocket), "coins", 0, 100))
                await websocket.send_json({"type": "receipt"})
        except WebSocketDisconnect:
            pass

    app = Starlette(routes=[WebSocketRoute("/ws", deposits)])
    app.state.jar = jar
    return app


def invariant(app):
    """When nobody is depositing, what is in the jar is what receipts were given for."""
    jar = app.state.jar
    assert jar.stored >= jar.receipts, f"{jar.receipts} coins were deposited; {jar.stored} are left"


def broken():
    return make(Jar())


def correct():
    return make(LockedJar())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    ann.put(HELLO[0])
    bob.put(HELLO[0])
    await drive.settle(1)
    assert ann.types() == bob.types() == ["receipt"]
    return drive.app.state.jar.stored != 10

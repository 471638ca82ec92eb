"""A lobby where a name is looked up, checked for rudeness elsewhere, and then taken."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read, text_of

TITLE = "two clients take one name; the second to leave finds it gone: KeyError"
EXPECTS = ("WSH101",)
FUNCTION = "leave"
PATH = "/ws"
HELLO = [{"type": "name", "name": "ann"}]
INVARIANT = None


async def is_polite(name):
    await asyncio.sleep(0.01)
    return "damn" not in name


class Lobby:
    def __init__(self):
        self.names = {}

    async def enter(self, name, websocket):
        if name in self.names or not await is_polite(name):
            return False
        self.names[name] = websocket
        return True

    def leave(self, name):
        del self.names[name]


class CarefulLobby(Lobby):
    async def enter(self, name, websocket):
        if not await is_polite(name) or name in self.names:
            return False
        self.names[name] = websocket
        return True


def make(lobby):
    app = FastAPI()

    @app.websocket("/ws")
    async def enter(websocket: WebSocket):
        await websocket.accept()
        mine = []
        try:
            while True:
                name = text_of(await read(websocket), "name", "nobody")
                welcome = not mine and await lobby.enter(name, websocket)
                if welcome:
                    mine.append(name)
                await websocket.send_json({"type": "welcome" if welcome else "taken", "name": name})
        except WebSocketDisconnect:
            pass
        finally:
            for name in mine:
                lobby.leave(name)

    return app


def broken():
    return make(Lobby())


def correct():
    return make(CarefulLobby())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    ann.put(HELLO[0])
    bob.put(HELLO[0])
    await drive.settle(1)
    assert "welcome" in ann.types() + bob.types()
    await ann.leave()
    await bob.leave()
    return any(isinstance(error, KeyError) for error in drive.crashes())

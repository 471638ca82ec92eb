"""A hall with three places; who comes when all are taken is turned away."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import read, text_of

TITLE = "a place is given back only by who leaves in the usual way: in the end nobody gets in"
EXPECTS = ("WSH114",)
FUNCTION = None
PATH = "/ws"
HELLO = [{"type": "wave"}]
INVARIANT = None


class Hall:
    def __init__(self):
        self.places = 3

    async def host(self, websocket):
        self.places -= 1
        await websocket.accept()
        await self.welcome(websocket)
        self.places += 1

    async def welcome(self, websocket):
        await websocket.send_json({"type": "welcome"})
        while True:
            try:
                message = await read(websocket)
            except WebSocketDisconnect:
                return
            await websocket.send_json({"type": "waves" if text_of(message, "type") == "wave" else "looks"})


class CarefulHall(Hall):
    async def host(self, websocket):
        self.places -= 1
        try:
            await websocket.accept()
            await self.welcome(websocket)
        finally:
            self.places += 1


def make(hall):
    async def door(websocket):
        if hall.places == 0:
            await websocket.close()
            return
        try:
            await hall.host(websocket)
        except (WebSocketDisconnect, RuntimeError):
            pass

    return Starlette(routes=[WebSocketRoute("/ws", door)])


def broken():
    return make(Hall())


def correct():
    return make(CarefulHall())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.types() == ["welcome", "waves"]
    await ann.leave()
    for _ in range(3):
        hasty = await drive.connect(PATH)
        hasty.put(HELLO[0])
        await hasty.leave(1006)
    bob = await drive.connect(PATH)
    return bob.status == 403

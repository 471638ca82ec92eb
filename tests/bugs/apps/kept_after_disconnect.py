"""A harbour whose ships are struck off when they say so, and only then."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, read

TITLE = "who leaves without a goodbye stays in the list"
EXPECTS = ("WSH107", "WSH111")
FUNCTION = None
PATH = "/ws"
HELLO = [{"type": "signal"}, {"type": "depart"}]
INVARIANT = None


class Harbour:
    def __init__(self):
        self.ships = []

    async def signal(self):
        for ship in list(self.ships):
            await deliver(ship, {"type": "signal", "ships": len(self.ships)})

    def depart(self, ship):
        if ship in self.ships:
            self.ships.remove(ship)

    def lost(self, ship):
        """No goodbye, no departure."""


class WatchfulHarbour(Harbour):
    def lost(self, ship):
        self.depart(ship)


def make(harbour):
    app = FastAPI()

    @app.websocket("/ws")
    async def moor(websocket: WebSocket):
        await websocket.accept()
        harbour.ships.append(websocket)
        try:
            while (await read(websocket) or {}).get("type") != "depart":
                await harbour.signal()
            harbour.depart(websocket)
            await websocket.close(1000, "farewell")
        except (WebSocketDisconnect, RuntimeError):
            harbour.lost(websocket)

    app.state.harbour = harbour
    return app


def broken():
    return make(Harbour())


def correct():
    return make(WatchfulHarbour())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    await ann.send(HELLO[1])
    assert ann.closed == 1000 and drive.app.state.harbour.ships == []
    bob = await drive.connect(PATH)
    await bob.leave(1006)
    assert bob.ended
    return len(drive.app.state.harbour.ships) == 1

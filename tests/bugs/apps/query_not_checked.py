"""A lift that is told its floor in the query."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import number_of, read

TITLE = "a query without a number ends the handshake with a 500"
EXPECTS = ("WSH302", "WSH101")
FUNCTION = "floor_of"
PATH = "/ws?floor=2"
HELLO = [{"type": "go", "floor": 5}]
INVARIANT = None


def floor_of(query):
    return int(query["floor"])


def floor_if_any(query):
    floor = query.get("floor", "")
    return int(floor) if floor in {"0", "1", "2", "3", "4", "5"} else None


def make(read_floor):
    async def lift(websocket):
        floor = read_floor(websocket.query_params)
        if floor is None:
            await websocket.close(1008, "floor: 0 to 5")
            return
        await websocket.accept()
        try:
            while True:
                await websocket.send_json({"type": "at", "floor": floor})
                floor = number_of(await read(websocket), "floor", floor, 5)
        except WebSocketDisconnect:
            pass

    return Starlette(routes=[WebSocketRoute("/ws", lift)])


def broken():
    return make(floor_of)


def correct():
    return make(floor_if_any)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.messages == [{"type": "at", "floor": 2}, {"type": "at", "floor": 5}]
    bob = await drive.connect("/ws")
    assert bob.accepted is None
    return bob.status != 403

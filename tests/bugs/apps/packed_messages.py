"""A game whose messages are msgpack."""

import msgpack
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

TITLE = "a move that is packed without one of its steps is a KeyError"
EXPECTS = ("WSH101",)
FUNCTION = "move"
PATH = "/ws"
HELLO = [msgpack.packb({"t": "move", "dx": 1, "dy": 0})]
INVARIANT = None


class World:
    def step(self, message, key):
        return message[key]

    def move(self, place, message):
        dx, dy = self.step(message, "dx"), self.step(message, "dy")
        if dx not in (-1, 0, 1) or dy not in (-1, 0, 1):
            return place
        return [int(place[0] + dx) % 20, int(place[1] + dy) % 20]


class WideWorld(World):
    def step(self, message, key):
        return message.get(key, 0)


def unpacked(data):
    try:
        message = msgpack.unpackb(data)
    except (ValueError, msgpack.UnpackException):
        return {}
    return message if isinstance(message, dict) else {}


def make(world):
    app = FastAPI()

    @app.websocket("/ws")
    async def play(websocket: WebSocket):
        await websocket.accept()
        place = [0, 0]
        try:
            while True:
                event = await websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                message = unpacked(event.get("bytes") or b"")
                if message.get("t") == "move":
                    place = world.move(place, message)
                await websocket.send_bytes(msgpack.packb({"t": "at", "place": place}))
        except (WebSocketDisconnect, RuntimeError):
            pass

    return app


def broken():
    return make(World())


def correct():
    return make(WideWorld())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert msgpack.unpackb(ann.sent[-1]) == {"t": "at", "place": [1, 0]}
    await ann.send(msgpack.packb({"t": "move", "dx": 1}))
    return bool(drive.crashes())

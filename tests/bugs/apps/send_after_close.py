"""A chat that shows a visitor out, and then says goodbye."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import read

TITLE = "a message is sent after the close"
EXPECTS = ("WSH202", "WSH101")
FUNCTION = "part"
PATH = "/ws"
HELLO = [{"type": "hello"}, {"type": "bye"}]
INVARIANT = None


async def part(websocket):
    await websocket.close(1000, "bye")
    await websocket.send_json({"type": "goodbye"})


async def part_politely(websocket):
    await websocket.send_json({"type": "goodbye"})
    await websocket.close(1000, "bye")


def make(leave):
    async def chat(websocket):
        await websocket.accept()
        try:
            while True:
                message = await read(websocket) or {}
                if message.get("type") == "bye":
                    await leave(websocket)
                    return
                await websocket.send_json({"type": "hello"})
        except WebSocketDisconnect:
            pass

    return Starlette(routes=[WebSocketRoute("/ws", chat)])


def broken():
    return make(part)


def correct():
    return make(part_politely)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    for message in HELLO:
        await ann.send(message)
    assert ann.closed == 1000 and ann.ended
    return ann.error is not None

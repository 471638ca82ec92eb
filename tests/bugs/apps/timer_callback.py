"""Who is typing: a timer of the loop takes the name away after three seconds."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read, text_of

TITLE = "the timer of a name that is gone by then raises in the event loop"
EXPECTS = ("WSH110",)
FUNCTION = "stop"
PATH = "/ws"
HELLO = [{"event": "typing", "name": "ann"}]
INVARIANT = None


class Typing:
    def __init__(self):
        self.names = {}

    def start(self, name):
        self.names[name] = True
        asyncio.get_running_loop().call_later(3, self.stop, name)

    def stop(self, name):
        del self.names[name]


class CalmTyping(Typing):
    def stop(self, name):
        self.names.pop(name, None)


def make(typing):
    app = FastAPI()

    @app.websocket("/ws")
    async def compose(websocket: WebSocket):
        await websocket.accept()
        mine = set()
        try:
            while True:
                message = await read(websocket)
                name = text_of(message, "name")
                if text_of(message, "event") == "typing" and name:
                    typing.start(name)
                    mine.add(name)
                await websocket.send_json({"type": "typing", "count": len(typing.names)})
        except WebSocketDisconnect:
            pass
        finally:
            for name in mine:
                typing.names.pop(name, None)

    return app


def broken():
    return make(Typing())


def correct():
    return make(CalmTyping())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0], seconds=5)
    assert not drive.background_errors()
    await ann.send(HELLO[0])
    await ann.leave(seconds=5)
    return bool(drive.background_errors())

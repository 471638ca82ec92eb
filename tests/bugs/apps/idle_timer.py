"""A help desk that closes what is idle; each message begins a new timer."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read

TITLE = "timers of earlier messages and of clients that left go off"
EXPECTS = ("WSH110", "WSH202", "WSH101", "WSH104", "WSH107")
FUNCTION = "hang_up"
PATH = "/ws"
HELLO = [{"type": "ask"}, {"type": "ask"}]
INVARIANT = None
IDLE = 30


async def hang_up(websocket):
    await asyncio.sleep(IDLE)
    await websocket.close(4008, "idle")


class Desk:
    def __init__(self):
        self.timers = set()

    def begin(self, websocket, timer):
        task = asyncio.create_task(hang_up(websocket))
        self.timers.add(task)
        task.add_done_callback(self.timers.discard)
        return task

    def end(self, timer):
        """The timer ends by itself."""


class TidyDesk(Desk):
    def begin(self, websocket, timer):
        if timer:
            timer.cancel()
        return super().begin(websocket, timer)

    def end(self, timer):
        timer.cancel()


def make(desk):
    app = FastAPI()

    @app.websocket("/ws")
    async def help_desk(websocket: WebSocket):
        await websocket.accept()
        timer = desk.begin(websocket, None)
        try:
            while True:
                await read(websocket)
                timer = desk.begin(websocket, timer)
                await websocket.send_json({"type": "answer"})
        except WebSocketDisconnect:
            pass
        finally:
            desk.end(timer)

    return app


def broken():
    return make(Desk())


def correct():
    return make(TidyDesk())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    for _ in range(3):
        await ann.send(HELLO[0], seconds=20)
    early = ann.closed is not None
    await drive.settle(60)
    assert ann.closed == 4008
    return early and bool(drive.background_errors())

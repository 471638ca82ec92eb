"""A clock that ticks, whether or not anybody looks."""

import asyncio

from fastapi import FastAPI, WebSocket

from tests.bugs.messages import deliver

TITLE = "the clock ticks on after its client left"
EXPECTS = ("WSH102",)
FUNCTION = "clock"
PATH = "/ws"
HELLO = []
INVARIANT = None


def ticks(delivered):
    return True


def ticks_if_delivered(delivered):
    return delivered


def make(goes_on):
    app = FastAPI()

    @app.websocket("/ws")
    async def clock(websocket: WebSocket):
        await websocket.accept()
        second = 0
        while goes_on(await deliver(websocket, {"type": "tick", "second": second})):
            second = (second + 1) % 60
            await asyncio.sleep(1)

    return app


def broken():
    return make(ticks)


def correct():
    return make(ticks_if_delivered)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await drive.settle(3)
    assert len(ann.sent) == 4
    await ann.leave(seconds=3600)
    return not ann.ended

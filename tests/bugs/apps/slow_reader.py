"""A camera whose pictures are sent to one viewer after the other."""

import asyncio

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import deliver, number_of, read

TITLE = "one viewer who does not read holds up the others"
EXPECTS = ("WSH301",)
FUNCTION = "show"
PATH = "/ws"
HELLO = [{"type": "shoot", "number": n} for n in range(4)]
INVARIANT = None
PICTURE = "x" * 60_000


class Camera:
    def __init__(self):
        self.viewers = set()

    async def show(self, number):
        for viewer in list(self.viewers):
            await deliver(viewer, {"type": "picture", "number": number, "data": PICTURE})


class HurriedCamera(Camera):
    """Gives up on a viewer who does not take a picture in time; nobody waits for another."""

    async def show(self, number):
        await asyncio.gather(*(self.show_one(viewer, number) for viewer in list(self.viewers)))

    async def show_one(self, viewer, number):
        try:
            async with asyncio.timeout(0.1):
                await deliver(viewer, {"type": "picture", "number": number, "data": PICTURE})
        except TimeoutError:
            self.viewers.discard(viewer)


def make(camera):
    async def watch(websocket):
        await websocket.accept()
        camera.viewers.add(websocket)
        try:
            while True:
                await camera.show(number_of(await read(websocket), "number", 0))
        except WebSocketDisconnect:
            pass
        finally:
            camera.viewers.discard(websocket)

    return Starlette(routes=[WebSocketRoute("/ws", watch)])


def broken():
    return make(Camera())


def correct():
    return make(HurriedCamera())


async def demonstrate(drive):
    slow = await drive.connect(PATH)
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    slow.stall()
    for message in HELLO:
        await ann.send(message, seconds=1)
    assert bob.types()
    return len(bob.sent) < len(HELLO) or len(ann.sent) < len(HELLO)

"""A printer whose worker survives everything, its own cancellation included."""

import asyncio

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import deliver, read, text_of

TITLE = "the worker swallows its cancellation, and the handler waits for it"
EXPECTS = ("WSH102", "WSH105", "WSH104")
FUNCTION = "close"
PATH = "/ws"
HELLO = [{"type": "print", "text": "page 1"}]
INVARIANT = None


class Printer:
    def __init__(self, websocket):
        self.websocket = websocket
        self.jobs = asyncio.Queue(100)
        self.worker = asyncio.create_task(self.work())

    async def work(self):
        while True:
            try:
                await self.print(await self.jobs.get())
            except (Exception, asyncio.CancelledError):
                continue

    async def print(self, text):
        await asyncio.sleep(0.01)
        await deliver(self.websocket, {"type": "printed", "text": text})

    async def close(self):
        self.worker.cancel()
        await asyncio.wait([self.worker])


class MortalPrinter(Printer):
    async def work(self):
        while True:
            try:
                await self.print(await self.jobs.get())
            except Exception:
                continue


def make(printer_class):
    async def spool(websocket):
        await websocket.accept()
        printer = printer_class(websocket)
        try:
            while True:
                await printer.jobs.put(text_of(await read(websocket), "text", "blank page"))
        except WebSocketDisconnect:
            pass
        finally:
            await printer.close()

    return Starlette(routes=[WebSocketRoute("/ws", spool)])


def broken():
    return make(Printer)


def correct():
    return make(MortalPrinter)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0], seconds=1)
    assert ann.types() == ["printed"]
    await ann.leave(seconds=3600)
    return not ann.ended

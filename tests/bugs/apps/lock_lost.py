"""A printer that serves one at a time; Quart cancels the handler of a client that leaves, also while it prints."""

import asyncio

from quart import Quart, websocket

TITLE = "who leaves while printing takes the lock along: nobody prints any more"
EXPECTS = ("WSH105",)
FUNCTION = "print"
PATH = "/ws"
HELLO = ["two pages, please"]
INVARIANT = None


class Printer:
    def __init__(self):
        self.lock = asyncio.Lock()
        self.pages = 0

    async def print(self, letters):
        await self.lock.acquire()
        page = await self.put_on_paper(letters)
        self.lock.release()
        return page

    async def put_on_paper(self, letters):
        await asyncio.sleep(0.2)
        self.pages += 1
        return f"page {self.pages}: {letters} letters"


class CarefulPrinter(Printer):
    async def print(self, letters):
        async with self.lock:
            return await self.put_on_paper(letters)


def make(printer_class):
    app = Quart(__name__)
    printer = printer_class()

    @app.websocket("/ws")
    async def desk():
        while True:
            text = await websocket.receive()
            page = await printer.print(len(text))
            await websocket.send_json({"type": "printed", "page": page})

    return app


def broken():
    return make(Printer)


def correct():
    return make(CarefulPrinter)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0], seconds=1)
    assert ann.types() == ["printed"]
    await ann.send(HELLO[0])
    await ann.leave(1006, seconds=1)
    bob = await drive.connect(PATH)
    await bob.send(HELLO[0], seconds=5)
    return bob.types() == []

"""A stock ticker with a task for each connection that sends what is queued."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, read, text_of

TITLE = "the task that sends is never ended"
EXPECTS = ("WSH104", "WSH107")
FUNCTION = "pump"
PATH = "/ws"
HELLO = [{"type": "watch", "symbol": "ACME"}]
INVARIANT = None


async def pump(queue, websocket):
    while True:
        await deliver(websocket, await queue.get())


class Ticker:
    def __init__(self):
        self.tasks = set()

    def start(self, queue, websocket):
        task = asyncio.create_task(pump(queue, websocket))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    def stop(self, task):
        """Nothing to do: the task has nothing more to send."""


class TidyTicker(Ticker):
    def stop(self, task):
        task.cancel()


def make(ticker):
    app = FastAPI()

    @app.websocket("/ws")
    async def prices(websocket: WebSocket):
        await websocket.accept()
        queue = asyncio.Queue(10)
        task = ticker.start(queue, websocket)
        try:
            while True:
                symbol = text_of(await read(websocket), "symbol", "?")
                await queue.put({"type": "price", "symbol": symbol, "price": len(symbol)})
        except WebSocketDisconnect:
            pass
        finally:
            ticker.stop(task)

    return app


def broken():
    return make(Ticker())


def correct():
    return make(TidyTicker())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.types() == ["price"]
    await ann.leave()
    assert ann.ended
    return len(drive.leaked()) == 1

"""Jobs in the background; what is left of them is cancelled when their client leaves."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, number_of, read, text_of

TITLE = "a job of no steps fails, and the cancellation that follows hides it"
EXPECTS = ("WSH110",)
FUNCTION = "run"
PATH = "/ws"
HELLO = [{"cmd": "enqueue", "steps": 2}]
INVARIANT = None


class Jobs:
    def accepts(self, steps):
        return steps is not None

    async def run(self, websocket, steps):
        pause = 10 / steps
        for done in range(1, steps + 1):
            await asyncio.sleep(pause)
            if not await deliver(websocket, {"type": "progress", "done": done}):
                return


class CarefulJobs(Jobs):
    def accepts(self, steps):
        return bool(steps)


def make(jobs):
    app = FastAPI()

    @app.websocket("/ws")
    async def desk(websocket: WebSocket):
        await websocket.accept()
        mine = []
        try:
            while True:
                message = await read(websocket)
                steps = number_of(message, "steps", largest=20)
                if text_of(message, "cmd") == "enqueue" and jobs.accepts(steps):
                    mine.append(asyncio.create_task(jobs.run(websocket, steps)))
                    await websocket.send_json({"type": "queued"})
                else:
                    await websocket.send_json({"type": "error"})
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            for task in mine:
                task.cancel()

    return app


def broken():
    return make(Jobs())


def correct():
    return make(CarefulJobs())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0], seconds=60)
    assert ann.types() == ["queued", "progress", "progress"]
    await ann.send({"cmd": "enqueue", "steps": 0}, seconds=60)
    return ann.types()[3:] == ["queued"]

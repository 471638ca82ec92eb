"""A study room that closes with the code it saw in a log."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read

TITLE = "1005 must not be in a close frame"
EXPECTS = ("WSH203", "WSH101")
FUNCTION = "hush"
PATH = "/ws"
HELLO = [{"type": "whisper"}]
INVARIANT = None


async def hush(websocket):
    await websocket.close(code=1005, reason="quiet, please")


async def hush_legally(websocket):
    await websocket.close(code=4005, reason="quiet, please")


def make(close):
    app = FastAPI()

    @app.websocket("/ws")
    async def study(websocket: WebSocket):
        await websocket.accept()
        try:
            while (await read(websocket) or {}).get("type") == "whisper":
                await websocket.send_json({"type": "heard"})
            await close(websocket)
        except WebSocketDisconnect:
            pass

    return app


def broken():
    return make(hush)


def correct():
    return make(hush_legally)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.types() == ["heard"]
    await ann.send({"type": "shout"})
    return bool(ann.illegal)

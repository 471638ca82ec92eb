"""A library that tells which book it does not have, in the close reason."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read, text_of

TITLE = "a close reason of more than 123 bytes does not fit into a close frame"
EXPECTS = ("WSH203", "WSH101")
FUNCTION = "refuse"
PATH = "/ws"
HELLO = [{"type": "lend", "title": "Emma"}]
INVARIANT = None
SHELVES = ("Emma", "Ulysses")


async def refuse(websocket, title):
    await websocket.close(4004, f"no such book: {title}")


async def refuse_briefly(websocket, title):
    reason = f"no such book: {title}".encode()[:123].decode(errors="ignore")
    await websocket.close(4004, reason)


def make(close):
    app = FastAPI()

    @app.websocket("/ws")
    async def library(websocket: WebSocket):
        await websocket.accept()
        try:
            while (title := text_of(await read(websocket), "title", "untitled")) in SHELVES:
                await websocket.send_json({"type": "lent", "title": title})
            await close(websocket, title)
        except WebSocketDisconnect:
            pass

    return app


def broken():
    return make(refuse)


def correct():
    return make(refuse_briefly)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.types() == ["lent"]
    await ann.send({"title": "é" * 100})
    return bool(ann.illegal)

"""A task board that trusts receive_json."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read, text_of

TITLE = "a message that is not JSON ends the handler"
EXPECTS = ("WSH101",)
FUNCTION = "read_trusting"
PATH = "/ws"
HELLO = [{"type": "add", "title": "buy milk"}, {"type": "list"}]
INVARIANT = None


async def read_trusting(websocket):
    message = await websocket.receive_json()
    return message if isinstance(message, dict) else None


def make(read_message):
    app = FastAPI()

    @app.websocket("/ws")
    async def board(websocket: WebSocket):
        await websocket.accept()
        titles = set()
        try:
            while True:
                message = await read_message(websocket) or {}
                title = text_of(message, "title")
                if message.get("type") == "add" and title:
                    titles.add(title)
                    await websocket.send_json({"type": "added", "title": title})
                elif message.get("type") == "list":
                    await websocket.send_json({"type": "titles", "titles": sorted(titles)})
                else:
                    await websocket.send_json({"type": "error", "detail": "add or list"})
        except WebSocketDisconnect:
            pass

    return app


def broken():
    return make(read_trusting)


def correct():
    return make(read)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.types() == ["added"]
    await ann.send('{"type": "add", ')
    return ann.ended

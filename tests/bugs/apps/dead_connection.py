"""A chat whose broadcast trusts that everybody is still there."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, read, text_of

TITLE = "a lost client breaks the broadcast of another"
EXPECTS = ("WSH101",)
FUNCTION = "broadcast"
PATH = "/ws"
HELLO = [{"type": "say", "text": "hello"}]
INVARIANT = None


class Room:
    def __init__(self):
        self.members = []

    async def broadcast(self, message):
        for member in list(self.members):
            await member.send_json(message)


class PatientRoom(Room):
    async def broadcast(self, message):
        for member in list(self.members):
            await deliver(member, message)


def make(room):
    app = FastAPI()

    @app.websocket("/ws")
    async def chat(websocket: WebSocket):
        await websocket.accept()
        room.members.append(websocket)
        try:
            while True:
                text = text_of(await read(websocket), "text", "?")
                await room.broadcast({"type": "said", "text": text})
        except WebSocketDisconnect:
            room.members.remove(websocket)
            await room.broadcast({"type": "left"})

    return app


def broken():
    return make(Room())


def correct():
    return make(PatientRoom())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert bob.types() == ["said"]
    bob.left = True
    await ann.send(HELLO[0])
    return ann.ended and not ann.left

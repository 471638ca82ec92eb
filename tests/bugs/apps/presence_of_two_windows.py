"""Presence by user name, of users who open a second window."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, read

TITLE = "a user who connects twice is deleted twice: KeyError"
EXPECTS = ("WSH101",)
FUNCTION = "leave"
PATH = "/ws?user=ann"
HELLO = [{"type": "who"}]
INVARIANT = None


class Presence:
    def __init__(self):
        self.online = {}

    def enter(self, user, websocket):
        self.online[user] = websocket

    def leave(self, user, websocket):
        del self.online[user]


class CountingPresence(Presence):
    def enter(self, user, websocket):
        self.online.setdefault(user, []).append(websocket)

    def leave(self, user, websocket):
        self.online[user].remove(websocket)
        if not self.online[user]:
            super().leave(user, websocket)


def make(presence):
    app = FastAPI()

    @app.websocket("/ws")
    async def who(websocket: WebSocket, user: str = "nobody"):
        await websocket.accept()
        presence.enter(user, websocket)
        try:
            while True:
                await read(websocket)
                await deliver(websocket, {"type": "online", "users": sorted(presence.online)})
        except WebSocketDisconnect:
            pass
        finally:
            presence.leave(user, websocket)

    return app


def broken():
    return make(Presence())


def correct():
    return make(CountingPresence())


async def demonstrate(drive):
    first = await drive.connect(PATH)
    second = await drive.connect(PATH)
    await second.send(HELLO[0])
    assert second.messages == [{"type": "online", "users": ["ann"]}]
    await first.leave()
    await second.leave()
    return any(isinstance(error, KeyError) for error in drive.crashes())

"""A counter that goes on for whoever comes back with the token it was given."""

import secrets

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, read

TITLE = "a session is resumed while its first client is still there, and forgotten twice: KeyError"
EXPECTS = ("WSH101",)
FUNCTION = "leave"
PATH = "/ws"
HELLO = [{"type": "count"}]
INVARIANT = None


class Session:
    def __init__(self):
        self.token = secrets.token_urlsafe(6)
        self.count = self.here = 0


class Sessions:
    def __init__(self):
        self.known = {}

    def enter(self, token):
        session = self.known.get(token) or Session()
        self.known[session.token] = session
        session.here += 1
        return session

    def leave(self, session):
        del self.known[session.token]


class CountingSessions(Sessions):
    def leave(self, session):
        session.here -= 1
        if not session.here:
            del self.known[session.token]


def make(sessions):
    app = FastAPI()

    @app.websocket("/ws")
    async def counter(websocket: WebSocket, resume: str = ""):
        await websocket.accept()
        session = sessions.enter(resume)
        try:
            await deliver(websocket, {"type": "welcome", "session": {"token": session.token}})
            while True:
                await read(websocket)
                session.count += 1
                await deliver(websocket, {"type": "counted", "count": session.count})
        except WebSocketDisconnect:
            pass
        finally:
            sessions.leave(session)

    return app


def broken():
    return make(Sessions())


def correct():
    return make(CountingSessions())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    token = ann.messages[0]["session"]["token"]
    again = await drive.connect(f"{PATH}?resume={token}")
    await ann.leave()
    await again.leave(1006)
    return any(isinstance(error, KeyError) for error in drive.crashes())

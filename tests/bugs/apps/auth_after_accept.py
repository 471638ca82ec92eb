"""A ward whose board is sent before the visitor's badge is read."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import deliver, read, text_of

TITLE = "the board is shown before the token is checked"
EXPECTS = ("WSH501",)
FUNCTION = None
PATH = "/ws?token=nurse"
HELLO = [{"type": "bed", "bed": "4"}]
INVARIANT = "invariant"
TOKENS = {"nurse", "doctor"}
BEDS = {"4": "Ms Gray", "5": "Mr Blue"}


class Ward:
    def __init__(self):
        self.shown_to = {}

    async def show(self, websocket, token):
        self.shown_to[token] = True
        await deliver(websocket, {"type": "board", "beds": BEDS})

    async def admit(self, websocket, token):
        await websocket.accept()
        await self.show(websocket, token)
        if token in TOKENS:
            return True
        await websocket.close(4401, "who are you?")
        return False


class GuardedWard(Ward):
    async def admit(self, websocket, token):
        await websocket.accept()
        if token in TOKENS:
            await self.show(websocket, token)
            return True
        await websocket.close(4401, "who are you?")
        return False


def make(ward):
    async def board(websocket):
        if not await ward.admit(websocket, websocket.query_params.get("token")):
            return
        try:
            while True:
                bed = text_of(await read(websocket), "bed")
                await websocket.send_json({"type": "patient", "name": BEDS.get(bed)})
        except WebSocketDisconnect:
            pass

    app = Starlette(routes=[WebSocketRoute("/ws", board)])
    app.state.ward = ward
    return app


def invariant(app):
    """Nobody without a token has seen the board."""
    strangers = set(app.state.ward.shown_to) - TOKENS
    assert not strangers, f"the board was shown to {strangers}"


def broken():
    return make(Ward())


def correct():
    return make(GuardedWard())


async def demonstrate(drive):
    nurse = await drive.connect(PATH)
    await nurse.send(HELLO[0])
    assert nurse.types() == ["board", "patient"]
    stranger = await drive.connect("/ws?token=guess")
    assert stranger.closed == 4401
    return "board" in stranger.types()

"""A vault that explains with a close code why it does not accept."""

from litestar import Litestar, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from tests.bugs.messages import decode, text_of

TITLE = "a close code before the accept never reaches the client: it sees 403"
EXPECTS = ("WSH205",)
FUNCTION = "turn_away"
PATH = "/ws?key=brass"
HELLO = [{"type": "open", "box": "12"}]
INVARIANT = None


async def turn_away(socket):
    await socket.close(code=4401, reason="wrong key")


async def turn_away_visibly(socket):
    await socket.accept()
    await socket.close(code=4401, reason="wrong key")


def make(refuse):
    @websocket("/ws")
    async def vault(socket: WebSocket) -> None:
        if socket.query_params.get("key") != "brass":
            await refuse(socket)
            return
        await socket.accept()
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            try:
                await socket.send_json({"type": "opened", "box": text_of(decode(event), "box")})
            except (WebSocketDisconnect, OSError):
                return

    return Litestar(route_handlers=[vault])


def broken():
    return make(turn_away)


def correct():
    return make(turn_away_visibly)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.messages == [{"type": "opened", "box": "12"}]
    eve = await drive.connect("/ws?key=tin")
    assert eve.closed == 4401
    return eve.status == 403

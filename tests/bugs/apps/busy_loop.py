"""A sensor log that carries on whatever goes wrong, also when nobody is there any more."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import decode, deliver, number_of

TITLE = "after the disconnect the handler turns for ever"
EXPECTS = ("WSH103",)
FUNCTION = "log"
PATH = "/ws"
HELLO = [{"type": "reading", "value": 17}]
INVARIANT = None


def make(harmless):
    async def log(websocket):
        await websocket.accept()
        errors = 0
        while True:
            try:
                text = await websocket.receive_text()
            except harmless:
                errors += 1
                continue
            except (WebSocketDisconnect, RuntimeError):
                return
            value = number_of(decode({"text": text}), "value", -1)
            await deliver(websocket, {"type": "logged", "value": value, "errors": errors})

    return Starlette(routes=[WebSocketRoute("/ws", log)])


def broken():
    return make(Exception)


def correct():
    return make(KeyError)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    await ann.send(b"binary")
    await ann.send(HELLO[0])
    assert [message["errors"] for message in ann.messages] == [0, 1]
    await ann.leave()
    return any(type(error).__name__ == "BusyLoop" for error in drive.crashes())

"""A broker that wants a key in the first message; then channels can be subscribed to."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import deliver, read, text_of

TITLE = "behind the login, leaving a channel that nobody was in is a KeyError"
EXPECTS = ("WSH101",)
FUNCTION = "unsubscribe"
PATH = "/ws"
HELLO = [
    {"op": "auth", "key": "k-7f3a"},
    {"op": "subscribe", "channel": "news"},
    {"op": "publish", "channel": "news"},
    {"op": "unsubscribe", "channel": "news"},
]
INVARIANT = None
KEYS = {"k-7f3a": "acme", "k-91bc": "globex"}


class Broker:
    def __init__(self):
        self.channels = {}

    def subscribe(self, websocket, channel):
        self.channels.setdefault(channel, set()).add(websocket)

    def unsubscribe(self, websocket, channel):
        self.channels[channel].discard(websocket)

    async def publish(self, channel):
        for websocket in list(self.channels.get(channel, ())):
            await deliver(websocket, {"type": "news"})

    def leave(self, websocket):
        for channel in list(self.channels):
            self.channels[channel].discard(websocket)
            if not self.channels[channel]:
                del self.channels[channel]


class PoliteBroker(Broker):
    def unsubscribe(self, websocket, channel):
        self.channels.get(channel, set()).discard(websocket)


async def serve(broker, websocket):
    if text_of(await read(websocket), "key") not in KEYS:
        await websocket.close(4401)
        return
    while True:
        message = await read(websocket)
        op, channel = text_of(message, "op"), text_of(message, "channel", "general")
        if op == "subscribe":
            broker.subscribe(websocket, channel)
        elif op == "unsubscribe":
            broker.unsubscribe(websocket, channel)
        elif op == "publish":
            await broker.publish(channel)
        if not await deliver(websocket, {"type": "done"}):
            return


def make(broker):
    async def stream(websocket):
        await websocket.accept()
        try:
            await serve(broker, websocket)
        except WebSocketDisconnect:
            pass
        finally:
            broker.leave(websocket)

    return Starlette(routes=[WebSocketRoute("/ws", stream)])


def broken():
    return make(Broker())


def correct():
    return make(PoliteBroker())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    for message in HELLO:
        await ann.send(message)
    assert ann.types() == ["done", "news", "done", "done"]
    await ann.send({"op": "unsubscribe", "channel": "sport"})
    return bool(drive.crashes())

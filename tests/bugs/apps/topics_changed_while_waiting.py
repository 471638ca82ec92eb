"""A newsroom whose readers subscribe to topics while a headline waits for one who does not read."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, read, text_of

TITLE = "a topic is new while a headline waits for one who does not read"
EXPECTS = ("WSH101",)
FUNCTION = "publish"
PATH = "/ws"
HELLO = [{"type": "subscribe", "topic": "rain"}, {"type": "publish", "topic": "rain", "text": "x" * 60_000}]
INVARIANT = None


class Desk:
    def __init__(self):
        self.topics = {}

    def subscribe(self, topic, reader):
        self.topics.setdefault(topic, []).append(reader)

    def forget(self, reader):
        for topic, readers in list(self.topics.items()):
            self.topics[topic] = [one for one in readers if one is not reader]
            if not self.topics[topic]:
                del self.topics[topic]

    async def publish(self, wanted, text):
        for topic, readers in self.topics.items():
            if wanted.startswith(topic):
                for reader in list(readers):
                    await deliver(reader, {"type": "headline", "topic": topic, "text": text})


class SteadyDesk(Desk):
    async def publish(self, wanted, text):
        for topic, readers in list(self.topics.items()):
            if wanted.startswith(topic):
                for reader in list(readers):
                    await deliver(reader, {"type": "headline", "topic": topic, "text": text})


def make(desk):
    app = FastAPI()

    @app.websocket("/ws")
    async def news(websocket: WebSocket):
        await websocket.accept()
        try:
            while True:
                message = await read(websocket)
                kind, topic = text_of(message, "type"), text_of(message, "topic", "news")
                if kind == "subscribe":
                    desk.subscribe(topic, websocket)
                elif kind == "publish":
                    await desk.publish(topic, text_of(message, "text", "nothing"))
        except WebSocketDisconnect:
            pass
        finally:
            desk.forget(websocket)

    return app


def broken():
    return make(Desk())


def correct():
    return make(SteadyDesk())


async def demonstrate(drive):
    slow = await drive.connect(PATH)
    ann = await drive.connect(PATH)
    await slow.send(HELLO[0])
    slow.stall()
    for _ in range(3):
        await ann.send(HELLO[1])
    bob = await drive.connect(PATH)
    await bob.send({"type": "subscribe", "topic": "snow"})
    await slow.leave(1006)
    return any(isinstance(error, RuntimeError) for error in drive.crashes())

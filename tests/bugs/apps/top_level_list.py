"""A thermostat that takes every JSON value for an object."""

import falcon
import falcon.asgi

from tests.bugs.messages import decode, number_of

TITLE = "JSON that is a list, a number or null has no get()"
EXPECTS = ("WSH101",)
FUNCTION = "wanted"
PATH = "/ws"
HELLO = [{"type": "set", "degrees": 21}]
INVARIANT = None


def loads(text):
    """The decoded text, of whatever type; an empty object where it is no JSON."""
    inner = decode({"text": '{"value": ' + text + "}"})
    return {} if inner is None else inner.get("value")


class Thermostat:
    def wanted(self, text):
        message = loads(text)
        return message.get("degrees", 20)

    async def on_websocket(self, request, websocket):
        await websocket.accept()
        try:
            while True:
                degrees = self.wanted(await self.read(websocket))
                await websocket.send_text(f'{{"degrees": {number_of({"n": degrees}, "n", 20, 30)}}}')
        except falcon.WebSocketDisconnected:
            pass

    async def read(self, websocket):
        try:
            return await websocket.receive_text()
        except falcon.errors.PayloadTypeError:
            return "{}"


class CarefulThermostat(Thermostat):
    def wanted(self, text):
        message = loads(text)
        return message.get("degrees", 20) if isinstance(message, dict) else 20


def make(resource):
    app = falcon.asgi.App()
    app.add_route("/ws", resource)
    return app


def broken():
    return make(Thermostat())


def correct():
    return make(CarefulThermostat())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    await ann.send("nonsense")
    assert ann.messages == [{"degrees": 21}, {"degrees": 20}]
    await ann.send("[1]")
    return any(isinstance(error, AttributeError) for error in drive.crashes())

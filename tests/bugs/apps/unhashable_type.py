"""A lamp whose commands are looked up in a dictionary."""

from litestar import Litestar, WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect

from tests.bugs.messages import decode, number_of

TITLE = "a command that is an object or a list cannot be looked up: TypeError"
EXPECTS = ("WSH101",)
FUNCTION = "find"
PATH = "/ws"
HELLO = [{"command": "on"}, {"command": "dim", "level": 40}, {"command": "off"}]
INVARIANT = None


class Lamp:
    def __init__(self):
        self.level = 0

    def on(self, message):
        self.level = 100

    def off(self, message):
        self.level = 0

    def dim(self, message):
        self.level = number_of(message, "level", self.level, 100)


COMMANDS = {"on": Lamp.on, "off": Lamp.off, "dim": Lamp.dim}


def find(message):
    return COMMANDS.get(message.get("command"))


def find_by_name(message):
    name = message.get("command")
    return COMMANDS.get(name) if isinstance(name, str) else None


def make(find_command):
    @websocket("/ws")
    async def lamp(socket: WebSocket) -> None:
        await socket.accept()
        light = Lamp()
        while True:
            event = await socket.receive()
            if event["type"] == "websocket.disconnect":
                return
            command = find_command(decode(event) or {})
            if command:
                command(light, decode(event))
            try:
                await socket.send_json({"level": light.level, "known": command is not None})
            except (WebSocketDisconnect, OSError):
                return

    return Litestar(route_handlers=[lamp])


def broken():
    return make(find)


def correct():
    return make(find_by_name)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    for message in (HELLO[1], {"command": "sing"}):
        await ann.send(message)
    assert ann.messages == [{"level": 40, "known": True}, {"level": 40, "known": False}]
    await ann.send({"command": {}})
    return ann.ended

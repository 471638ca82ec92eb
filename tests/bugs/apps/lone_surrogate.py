"""A parrot that repeats what it hears, as it decoded it."""

import json

from quart import Quart, websocket

TITLE = "a lone surrogate is decoded, but cannot be sent back: UnicodeEncodeError"
EXPECTS = ("WSH204", "WSH101")
FUNCTION = "parrot"
PATH = "/ws"
HELLO = [{"type": "say", "text": "pieces of eight"}]
INVARIANT = None


def heard(data):
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        return ""
    text = message.get("text") if isinstance(message, dict) else None
    return text if isinstance(text, str) else ""


def heard_well(data):
    return heard(data).encode(errors="replace").decode()


def make(hear):
    app = Quart(__name__)

    @app.websocket("/ws")
    async def parrot():
        while True:
            await websocket.send(hear(await websocket.receive()).upper())

    return app


def broken():
    return make(heard)


def correct():
    return make(heard_well)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    await ann.send(b"\xff")
    assert ann.sent == [b"PIECES OF EIGHT", b""]
    await ann.send('{"text": "\\ud800"}')
    return any(isinstance(error, UnicodeEncodeError) for error in drive.crashes())

"""A radio that accepts the subprotocol it knows, and says nothing to anyone else."""

from tests.bugs.messages import bare, emit, incoming, say

TITLE = "without its subprotocol the handshake is never answered"
EXPECTS = ("WSH109",)
FUNCTION = "radio"
PATH = "/ws"
HELLO = [{"type": "tune"}]
SUBPROTOCOLS = ("radio.v1",)
INVARIANT = None


async def ignore(send):
    """Who speaks something else is not spoken to."""


async def accept_plain(send):
    await emit(send, {"type": "websocket.accept"})


def make(answer_stranger):
    async def radio(scope, receive, send):
        await receive()
        if "radio.v1" in scope["subprotocols"]:
            await emit(send, {"type": "websocket.accept", "subprotocol": "radio.v1"})
        else:
            await answer_stranger(send)
        async for _ in incoming(receive):
            await say(send, {"type": "music"})

    return bare(radio)


def broken():
    return make(ignore)


def correct():
    return make(accept_plain)


async def demonstrate(drive):
    ann = await drive.connect(PATH, subprotocols=SUBPROTOCOLS)
    await ann.send(HELLO[0])
    assert ann.types() == ["music"]
    bob = await drive.connect(PATH, seconds=3600)
    return bob.accepted is None and bob.status is None and not bob.ended

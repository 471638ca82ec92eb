"""A toll booth that goes home without closing."""

from tests.bugs.messages import bare, emit, incoming, number_of, opened, say

TITLE = "the handler returns without a close: each server tells the client something else"
EXPECTS = ("WSH206", "WSH402")
FUNCTION = None
PATH = "/ws"
HELLO = [{"type": "pay", "coins": 2}, {"type": "pay", "coins": 0}]
INVARIANT = None


async def go(send):
    """Nothing is left to do."""


async def close(send):
    await emit(send, {"type": "websocket.close", "code": 1000, "reason": "no coins"})


def make(finish):
    async def toll(scope, receive, send):
        if not await opened(receive, send):
            return
        async for message in incoming(receive):
            if number_of(message, "coins", 0) == 0:
                await finish(send)
                return
            await say(send, {"type": "pass"})

    return bare(toll)


def broken():
    return make(go)


def correct():
    return make(close)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.types() == ["pass"] and not ann.ended
    await ann.send(HELLO[1])
    assert ann.ended and ann.error is None
    return ann.closed is None

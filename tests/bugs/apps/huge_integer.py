"""A bid taker that catches what json.loads usually raises, and only that."""

import json

from tests.bugs.messages import bare, emit, number_of, opened, say

TITLE = "an integer of 5,000 digits is a ValueError, not a JSONDecodeError"
EXPECTS = ("WSH101",)
FUNCTION = "parse"
PATH = "/ws"
HELLO = [{"type": "bid", "amount": 120}]
INVARIANT = None


def parse(text):
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        return None


def parse_careful(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def make(parse_text):
    async def bids(scope, receive, send):
        if not await opened(receive, send):
            return
        best = 0
        while (event := await receive())["type"] == "websocket.receive":
            if event.get("text") is None:
                await emit(send, {"type": "websocket.close", "code": 1003, "reason": "text only"})
                return
            message = parse_text(event["text"])
            amount = number_of(message if isinstance(message, dict) else {}, "amount", 0)
            best = max(best, amount)
            await say(send, {"type": "best", "amount": best})

    return bare(bids)


def broken():
    return make(parse)


def correct():
    return make(parse_careful)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    await ann.send("{")
    assert ann.messages == [{"type": "best", "amount": 120}] * 2
    await ann.send('{"amount": ' + "7" * 5000 + "}")
    return any(isinstance(error, ValueError) for error in drive.crashes())

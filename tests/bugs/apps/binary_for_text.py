"""A telegraph that expects every message to have a text."""

from tests.bugs.messages import bare, decode, opened, say, text_of

TITLE = "a binary message has no text: KeyError"
EXPECTS = ("WSH101", "WSH112")
FUNCTION = "words"
PATH = "/ws"
HELLO = [{"type": "wire", "text": "arriving friday stop"}]
INVARIANT = None


def words(event):
    return text_of(decode({"text": event["text"].strip()}), "text", "").split()


def words_of_any(event):
    return text_of(decode(event), "text", "").split()


def make(count):
    async def telegraph(scope, receive, send):
        if not await opened(receive, send):
            return
        while (event := await receive())["type"] == "websocket.receive":
            await say(send, {"type": "price", "pence": 6 * len(count(event))})

    return bare(telegraph)


def broken():
    return make(words)


def correct():
    return make(words_of_any)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.messages == [{"type": "price", "pence": 18}]
    await ann.send(b"\x00\x01")
    return ann.ended

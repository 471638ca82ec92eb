"""A fortune teller who sometimes has nothing to say, and sends it."""

from tests.bugs.messages import bare, decode, emit, opened, text_of

TITLE = "a websocket.send with neither text nor bytes"
EXPECTS = ("WSH201", "WSH101")
FUNCTION = "tell"
PATH = "/ws"
HELLO = [{"type": "ask", "question": "love"}]
INVARIANT = None
FORTUNES = {"love": "soon", "money": "later"}


async def tell(send, answer):
    await emit(send, {"type": "websocket.send", "text": answer})


async def tell_something(send, answer):
    await emit(send, {"type": "websocket.send", "text": answer or "the cards are silent"})


def make(reply):
    async def teller(scope, receive, send):
        if not await opened(receive, send):
            return
        while (event := await receive())["type"] == "websocket.receive":
            await reply(send, FORTUNES.get(text_of(decode(event), "question")))

    return bare(teller)


def broken():
    return make(tell)


def correct():
    return make(tell_something)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.sent == [b"soon"]
    await ann.send({"question": "health"})
    return bool(ann.illegal)

"""A gatekeeper that closes where it refuses, and once more where it cleans up."""

from tests.bugs.messages import bare, emit, incoming, opened, say, text_of

TITLE = "the connection is closed twice"
EXPECTS = ("WSH202", "WSH101")
FUNCTION = "shut"
PATH = "/ws"
HELLO = [{"type": "enter", "word": "sesame"}]
INVARIANT = None


class Gate:
    def __init__(self, send):
        self.send = send
        self.closed = False

    async def shut(self, code):
        await emit(self.send, {"type": "websocket.close", "code": code})
        self.closed = True


class OneGate(Gate):
    async def shut(self, code):
        if not self.closed:
            await super().shut(code)


def make(gate_class):
    async def guard(scope, receive, send):
        gate = gate_class(send)
        if not await opened(receive, send):
            return
        try:
            async for message in incoming(receive):
                if text_of(message, "word") != "sesame":
                    await gate.shut(1008)
                    return
                await say(send, {"type": "open"})
        finally:
            await gate.shut(1000)

    return bare(guard)


def broken():
    return make(Gate)


def correct():
    return make(OneGate)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.types() == ["open"]
    await ann.send({"word": "please"})
    assert ann.closed == 1008
    return ann.error is not None

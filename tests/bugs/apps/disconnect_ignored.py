"""A counter that waits for messages and looks at nothing else."""

from tests.bugs.messages import bare, decode, number_of, opened, say

TITLE = "the disconnect is taken for just another event"
EXPECTS = ("WSH102", "WSH103")
FUNCTION = "count"
PATH = "/ws"
HELLO = [{"type": "add", "n": 2}, {"type": "add", "n": 3}]
INVARIANT = None


def goes_on(event):
    return True


def goes_on_while_connected(event):
    return event["type"] != "websocket.disconnect"


def make(listens):
    async def count(scope, receive, send):
        if not await opened(receive, send):
            return
        total = 0
        while listens(event := await receive()):
            if event["type"] == "websocket.receive":
                total += number_of(decode(event), "n", 0)
                await say(send, {"type": "total", "n": total})

    return bare(count)


def broken():
    return make(goes_on)


def correct():
    return make(goes_on_while_connected)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    for message in HELLO:
        await ann.send(message)
    assert ann.messages[-1] == {"type": "total", "n": 5}
    await ann.leave(seconds=3600)
    return not ann.ended

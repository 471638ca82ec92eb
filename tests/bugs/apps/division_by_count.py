"""A poll that shows the average after each vote, also after none."""

from quart import Quart, websocket

from tests.bugs.messages import decode, number_of

TITLE = "the average of no votes is a ZeroDivisionError"
EXPECTS = ("WSH101",)
FUNCTION = "average"
PATH = "/ws"
HELLO = [{"type": "vote", "stars": 4}, {"type": "vote", "stars": 5}]
INVARIANT = None


def average(votes):
    return sum(votes) / len(votes)


def average_if_any(votes):
    return average(votes) if votes else 0


def make(mean):
    app = Quart(__name__)

    @app.websocket("/ws")
    async def poll():
        votes = []
        while True:
            data = await websocket.receive()
            stars = number_of(decode({"text": data} if isinstance(data, str) else {}), "stars", 0, 5)
            votes = [*votes, stars][-100:] if stars else votes
            await websocket.send(f'{{"type": "average", "stars": {mean(votes)}}}')

    return app


def broken():
    return make(average)


def correct():
    return make(average_if_any)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    for message in HELLO:
        await ann.send(message)
    assert ann.messages[-1]["stars"] == 4.5
    bob = await drive.connect(PATH)
    await bob.send({"type": "vote"})
    return any(isinstance(error, ZeroDivisionError) for error in drive.crashes())

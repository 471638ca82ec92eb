"""An auction that strikes absent bidders off the list it is calling out."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import deliver, number_of, read

TITLE = "whoever comes after an absent bidder misses the call"
EXPECTS = ("WSH501", "WSH303")
FUNCTION = None
PATH = "/ws"
HELLO = [{"type": "bid", "amount": 10}]
INVARIANT = "invariant"


class Auction:
    def __init__(self):
        self.bidders = []
        self.skipped = 0

    def roll(self):
        return self.bidders

    async def call(self, amount):
        present, called = len(self.bidders), 0
        for bidder in self.roll():
            called += 1
            if not await deliver(bidder, {"type": "called", "amount": amount}):
                self.leave(bidder)
        self.skipped += present - called

    def leave(self, bidder):
        if bidder in self.bidders:
            self.bidders.remove(bidder)


class FairAuction(Auction):
    def roll(self):
        return list(self.bidders)


def make(auction):
    app = FastAPI()
    app.state.auction = auction

    @app.websocket("/ws")
    async def bidding(websocket: WebSocket):
        await websocket.accept()
        auction.bidders.append(websocket)
        try:
            while True:
                await auction.call(number_of(await read(websocket), "amount", 0))
        except WebSocketDisconnect:
            auction.leave(websocket)

    return app


def invariant(app):
    """Every call went to everybody who was present."""
    assert app.state.auction.skipped == 0, "a bidder was not called"


def broken():
    return make(Auction())


def correct():
    return make(FairAuction())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    cyd = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert cyd.types() == ["called"]
    bob.left = True
    await ann.send(HELLO[0])
    return cyd.types() != ["called", "called"]

"""A bank that locks the payer's account, then the payee's."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read, text_of

TITLE = "two transfers in opposite directions wait for each other"
EXPECTS = ("WSH105", "WSH102")
FUNCTION = "transfer"
PATH = "/ws"
HELLO = [{"type": "pay", "from": "ann", "to": "bob"}, {"type": "pay", "from": "bob", "to": "ann"}]
INVARIANT = None


class Bank:
    def __init__(self):
        self.locks = {"ann": asyncio.Lock(), "bob": asyncio.Lock()}

    async def audit(self):
        await asyncio.sleep(0.01)

    async def transfer(self, payer, payee):
        async with self.locks[payer]:
            await self.audit()
            async with self.locks[payee]:
                await self.audit()


class OrderlyBank(Bank):
    async def transfer(self, payer, payee):
        first, second = sorted((payer, payee))
        await super().transfer(first, second)


def make(bank_class):
    app = FastAPI()
    bank = bank_class()

    @app.websocket("/ws")
    async def teller(websocket: WebSocket):
        await websocket.accept()
        try:
            while True:
                message = await read(websocket)
                payer, payee = text_of(message, "from"), text_of(message, "to")
                if {payer, payee} == {"ann", "bob"}:
                    await bank.transfer(payer, payee)
                    await websocket.send_json({"type": "paid"})
                else:
                    await websocket.send_json({"type": "error", "detail": "from ann to bob, or back"})
        except WebSocketDisconnect:
            pass

    return app


def broken():
    return make(Bank)


def correct():
    return make(OrderlyBank)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    await ann.send(HELLO[0], seconds=1)
    assert ann.types() == ["paid"]
    ann.put(HELLO[0])
    bob.put(HELLO[1])
    await drive.settle(3600)
    return "paid" not in bob.types()

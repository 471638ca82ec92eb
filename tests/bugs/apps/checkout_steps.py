"""A shop in steps: what to buy, where to send it, and the payment, each only after the one before."""

from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from tests.bugs.messages import read

TITLE = "an address that is no text is found out only when it is printed, two steps later"
EXPECTS = ("WSH101",)
FUNCTION = "pay"
PATH = "/ws"
HELLO = [
    {"step": "add", "item": "tea"},
    {"step": "checkout"},
    {"step": "address", "street": "Main Street 1"},
    {"step": "pay"},
]
INVARIANT = None
PRICES = {"tea": 4, "cup": 9}


class Checkout:
    def __init__(self):
        self.stage = "cart"
        self.items = []
        self.street = None

    def take(self, message):
        step = message.get("step")
        if self.stage == "cart" and step == "add":
            return self.add(message.get("item"))
        if self.stage == "cart" and step == "checkout" and self.items:
            self.stage = "address"
            return "where to?"
        if self.stage == "address" and step == "address":
            return self.send_to(message.get("street"))
        if self.stage == "payment" and step == "pay":
            return self.pay()
        return "not now"

    def add(self, item):
        if not isinstance(item, str) or item not in PRICES:
            return "no such item"
        self.items = [*self.items[-20:], item]
        return "added"

    def send_to(self, street):
        self.street = street
        self.stage = "payment"
        return "pay, please"

    def pay(self):
        self.stage = "cart"
        label = self.street.upper()[:20]
        return f"{sum(PRICES[item] for item in self.items)} for {len(label)} letters"


class CarefulCheckout(Checkout):
    def send_to(self, street):
        return super().send_to(street) if isinstance(street, str) else "where to?"


def make(checkout_class):
    app = FastAPI()

    @app.websocket("/ws")
    async def shop(websocket: WebSocket):
        await websocket.accept()
        checkout = checkout_class()
        try:
            while True:
                message = await read(websocket)
                await websocket.send_json({"type": "status", "text": checkout.take(message or {})})
        except WebSocketDisconnect:
            pass

    return app


def broken():
    return make(Checkout)


def correct():
    return make(CarefulCheckout)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    for message in HELLO:
        await ann.send(message)
    assert "13 letters" in ann.messages[-1]["text"]
    for message in (*HELLO[:2], {"step": "address", "street": 5}, HELLO[3]):
        await ann.send(message)
    return bool(drive.crashes())

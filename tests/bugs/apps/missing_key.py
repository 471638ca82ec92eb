"""A shared document whose edits are taken apart without a look."""

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import number_of, read, text_of

TITLE = "an edit without a position is a KeyError"
EXPECTS = ("WSH101",)
FUNCTION = "apply"
PATH = "/ws"
HELLO = [{"op": "insert", "at": 0, "text": "hello"}, {"op": "delete", "at": 1}]
INVARIANT = None


class Document:
    def __init__(self):
        self.letters = []

    def apply(self, message):
        operation = message["op"]
        at = min(number_of(message, "at", 0), len(self.letters))
        if operation == "insert":
            self.letters[at:at] = text_of(message, "text", "")
        elif operation == "delete":
            del self.letters[at : at + 1]
        del self.letters[1000:]


class CarefulDocument(Document):
    def apply(self, message):
        if "op" in message:
            super().apply(message)


def make(document_class):
    async def edit(websocket):
        await websocket.accept()
        document = document_class()
        try:
            while True:
                document.apply(await read(websocket) or {"op": "nothing"})
                await websocket.send_json({"type": "text", "text": "".join(document.letters)})
        except WebSocketDisconnect:
            pass

    return Starlette(routes=[WebSocketRoute("/ws", edit)])


def broken():
    return make(Document)


def correct():
    return make(CarefulDocument)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    await ann.send(HELLO[1])
    assert ann.messages[-1]["text"] == "hllo"
    await ann.send({"text": "no operation"})
    return any(isinstance(error, KeyError) for error in drive.crashes())

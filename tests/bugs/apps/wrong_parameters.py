"""JSON-RPC: a method is found by its name, and called with the parameters of the request."""

import inspect
import json

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs.messages import read

TITLE = "a method that is given parameters it does not take is a TypeError"
EXPECTS = ("WSH101",)
FUNCTION = "call"
PATH = "/ws"
HELLO = [{"jsonrpc": "2.0", "method": "add", "params": {"first": 1, "second": 2}, "id": 1}]
INVARIANT = None


class Desk:
    def rpc_add(self, first=0, second=0):
        return sum(one for one in (first, second) if type(one) is int and abs(one) < 2**53)

    def rpc_ping(self):
        return "pong"

    def call(self, method, args, named):
        return method(*args, **named)

    def answer(self, request):
        if request is None or request.get("jsonrpc") != "2.0" or not isinstance(request.get("method"), str):
            return {"type": "error", "text": "invalid request"}
        method = getattr(self, "rpc_" + request["method"], None)
        if method is None:
            return {"type": "error", "text": "method not found"}
        params = request.get("params", [])
        args, named = ([], params) if isinstance(params, dict) else (params, {})
        if not isinstance(args, list):
            return {"type": "error", "text": "invalid params"}
        return {"type": "result", "result": self.call(method, args, named)}


class CarefulDesk(Desk):
    def call(self, method, args, named):
        try:
            inspect.signature(method).bind(*args, **named)
        except TypeError:
            return None
        return super().call(method, args, named)


def make(desk):
    async def rpc(websocket):
        await websocket.accept()
        try:
            while True:
                await websocket.send_text(json.dumps(desk.answer(await read(websocket))))
        except (WebSocketDisconnect, RuntimeError):
            pass

    return Starlette(routes=[WebSocketRoute("/ws", rpc)])


def broken():
    return make(Desk())


def correct():
    return make(CarefulDesk())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.messages == [{"type": "result", "result": 3}]
    await ann.send({**HELLO[0], "params": {"third": 3}})
    return any(isinstance(error, TypeError) for error in drive.crashes())

"""A search whose filter is a tree, walked without a limit."""

import json

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

TITLE = "deeply nested JSON is a RecursionError"
EXPECTS = ("WSH101",)
FUNCTION = "parse"
PATH = "/ws"
HELLO = [{"filter": ["and", ["is", "red"], ["is", "round"]]}]
INVARIANT = None
NAMES = {"ball": {"red", "round"}, "brick": {"red"}}


def parse(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def parse_shallow(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def holds(tree, traits, depth=20):
    """Whether a thing with these traits passes the filter; False for what is no filter."""
    if not isinstance(tree, list) or len(tree) < 2 or depth == 0:
        return False
    if tree[0] == "is":
        return isinstance(tree[1], str) and tree[1] in traits
    return tree[0] == "and" and all(holds(branch, traits, depth - 1) for branch in tree[1:])


def make(parse_text):
    async def search(websocket):
        await websocket.accept()
        try:
            while True:
                event = await websocket.receive()
                if event["type"] == "websocket.disconnect":
                    return
                message = parse_text(event.get("text") or "")
                tree = message.get("filter") if isinstance(message, dict) else None
                found = [name for name, traits in NAMES.items() if holds(tree, traits)]
                await websocket.send_json({"type": "found", "names": found})
        except WebSocketDisconnect:
            pass

    return Starlette(routes=[WebSocketRoute("/ws", search)])


def broken():
    return make(parse)


def correct():
    return make(parse_shallow)


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert ann.messages == [{"type": "found", "names": ["ball"]}]
    await ann.send("[" * 100_000)
    return any(isinstance(error, RecursionError) for error in drive.crashes())

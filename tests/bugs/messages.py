"""What the example apps share: careful reading and sending, so that each has no bug but its own."""

import json

from starlette.websockets import WebSocketDisconnect


def decode(event):
    """The JSON object in a `websocket.receive` event; None if there is none that can be sent on."""
    text = event.get("text")
    if text is None:
        return None
    try:
        message = json.loads(text)
        json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def text_of(message, key, default=None):
    """A string of the message; the default where it is missing, empty, long or something else."""
    value = message.get(key) if message else None
    return value if isinstance(value, str) and 0 < len(value) <= 100_000 else default


def number_of(message, key, default=None, largest=1_000_000):
    """A non-negative integer of the message; the default where it is anything else."""
    value = message.get(key) if message else None
    return value if type(value) is int and 0 <= value <= largest else default


async def read(websocket):
    """The next message of a Starlette WebSocket, None if it is no JSON object."""
    event = await websocket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event["code"], event.get("reason"))
    return decode(event)


async def deliver(websocket, message):
    """Whether a Starlette WebSocket took the message; False if its client has left."""
    try:
        await websocket.send_json(message)
    except (WebSocketDisconnect, RuntimeError, OSError):
        return False
    return True


def bare(handler, state=None):
    """A bare ASGI app of one WebSocket handler."""

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await live(receive, send)
        elif scope["type"] == "websocket":
            await handler(scope, receive, send)

    app.state = state
    return app


async def live(receive, send):
    """A lifespan that has nothing to do."""
    while True:
        event = await receive()
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def opened(receive, send):
    """Accept a bare connection; False if its client has left already."""
    await receive()
    return await emit(send, {"type": "websocket.accept"})


async def incoming(receive):
    """The messages of a bare connection, None for each that is no JSON object, until its client leaves."""
    while (event := await receive())["type"] == "websocket.receive":
        yield decode(event)


async def say(send, message):
    """Whether a bare connection took the message; False if its client has left."""
    return await emit(send, {"type": "websocket.send", "text": json.dumps(message)})


async def emit(send, event):
    """Whether the server took the event; False if the client has left."""
    try:
        await send(event)
    except OSError:
        return False
    return True

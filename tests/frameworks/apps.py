"""The same tiny app on every framework: what it does with a message must not depend on which.

At /ws it accepts and echoes text and bytes; "close" closes with 4001 'bye', "raise" raises a ValueError, and
"state" answers with what the lifespan put into the state ("none" without one). How it saw its client leave is
kept in SEEN. At /deny it closes with 4403 before it accepts.
"""

from asyncio import CancelledError
from contextlib import asynccontextmanager

import django
import falcon
import falcon.asgi
import falcon.media
from channels.generic.websocket import AsyncWebsocketConsumer
from channels.routing import ProtocolTypeRouter, URLRouter
from django.conf import settings
from django.urls import path
from fastapi import FastAPI
from litestar import Litestar
from litestar import WebSocket as LitestarWebSocket
from litestar import websocket as litestar_websocket
from quart import Quart
from quart import websocket as quart_websocket
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

SEEN = []
"""(framework, close code) for each client that left; the code is None where the framework hides it."""
NO_CODE = {"quart"}
NO_STATE = {"channels"}
"""Frameworks whose apps have no lifespan of their own."""
GREETING = "hello from the lifespan"

if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], INSTALLED_APPS=[], SECRET_KEY="for tests only", USE_TZ=True)
    django.setup()


async def answer(data, state, send_text, send_bytes, close):
    """What every app does with a message; whether it goes on."""
    if data == "raise":
        raise ValueError("as asked")
    if data == "close":
        await close(4001, "bye")
        return False
    if isinstance(data, bytes):
        await send_bytes(data)
    else:
        await send_text(state if data == "state" else data)
    return True


def payload(event):
    """The message of a `websocket.receive` event, text or bytes."""
    return event["bytes"] if event.get("text") is None else event["text"]


@asynccontextmanager
async def greeting(app):
    yield {"greeting": GREETING}


def starlette_endpoints(name):
    async def echo(websocket: WebSocket):
        await websocket.accept()
        state = getattr(websocket.state, "greeting", "none")
        send = (websocket.send_text, websocket.send_bytes, websocket.close)
        try:
            while await answer(await receive(websocket), state, *send):
                pass
        except WebSocketDisconnect as left:
            SEEN.append((name, left.code))

    async def receive(websocket):
        event = await websocket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event["code"])
        return payload(event)

    async def deny(websocket: WebSocket):
        await websocket.close(4403, "no")

    return echo, deny


def make_fastapi():
    app = FastAPI(lifespan=greeting)
    echo, deny = starlette_endpoints("fastapi")
    app.websocket("/ws")(echo)
    app.websocket("/deny")(deny)
    return app


def make_starlette():
    echo, deny = starlette_endpoints("starlette")
    return Starlette(routes=[WebSocketRoute("/ws", echo), WebSocketRoute("/deny", deny)], lifespan=greeting)


def make_litestar():
    @asynccontextmanager
    async def lifespan(app):
        app.state.greeting = GREETING
        yield

    @litestar_websocket("/ws")
    async def echo(socket: LitestarWebSocket) -> None:
        await socket.accept()
        state = socket.app.state.get("greeting", "none")
        while (event := await socket.receive())["type"] == "websocket.receive":
            if not await answer(payload(event), state, socket.send_text, socket.send_bytes, socket.close):
                return
        SEEN.append(("litestar", event["code"]))

    @litestar_websocket("/deny")
    async def deny(socket: LitestarWebSocket) -> None:
        await socket.close(4403, "no")

    return Litestar(route_handlers=[echo, deny], lifespan=[lifespan])


def make_quart():
    app = Quart(__name__)
    app.greeting = "none"

    @app.before_serving
    async def begin():
        app.greeting = GREETING

    @app.websocket("/ws")
    async def echo():
        await quart_websocket.accept()
        send, close = quart_websocket.send, quart_websocket.close
        try:
            while await answer(await quart_websocket.receive(), app.greeting, send, send, close):
                pass
        except CancelledError:
            SEEN.append(("quart", None))
            raise

    @app.websocket("/deny")
    async def deny():
        await quart_websocket.close(4403, "no")

    return app


class EchoConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.accept()

    async def receive(self, text_data=None, bytes_data=None):
        data = bytes_data if text_data is None else text_data
        await answer(data, "none", self.send, self.send_bytes, self.close)

    async def send_bytes(self, data):
        await self.send(bytes_data=data)

    async def disconnect(self, code):
        SEEN.append(("channels", code))


class DenyConsumer(AsyncWebsocketConsumer):
    async def connect(self):
        await self.close(4403, "no")


def make_channels():
    routes = [path("ws", EchoConsumer.as_asgi()), path("deny", DenyConsumer.as_asgi())]
    return ProtocolTypeRouter({"websocket": URLRouter(routes)})


class Text(falcon.media.TextBaseHandlerWS):
    """Text messages as they are, not as JSON."""

    def serialize(self, media):
        return media

    def deserialize(self, payload):
        return payload


class Binary(falcon.media.BinaryBaseHandlerWS):
    """Binary messages as they are, not as MessagePack."""

    def serialize(self, media):
        return media

    def deserialize(self, payload):
        return payload


class FalconEcho:
    state = "none"

    async def process_startup(self, scope, event):
        self.state = GREETING

    async def on_websocket(self, request, websocket):
        await websocket.accept()
        send = (websocket.send_text, websocket.send_data, websocket.close)
        try:
            while await answer(await websocket.receive_media(), self.state, *send):
                pass
        except falcon.WebSocketDisconnected as left:
            SEEN.append(("falcon", left.code))


class FalconDeny:
    async def on_websocket(self, request, websocket):
        await websocket.close(4403)


def make_falcon():
    echo = FalconEcho()
    app = falcon.asgi.App(middleware=[echo])
    app.ws_options.media_handlers[falcon.WebSocketPayloadType.TEXT] = Text()
    app.ws_options.media_handlers[falcon.WebSocketPayloadType.BINARY] = Binary()
    app.add_route("/ws", echo)
    app.add_route("/deny", FalconDeny())
    return app


def make_bare():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await bare_lifespan(scope, receive, send)
        elif scope["path"] == "/ws":
            await bare_echo(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 4403, "reason": "no"})

    return app


async def bare_lifespan(scope, receive, send):
    while True:
        event = await receive()
        scope["state"]["greeting"] = GREETING
        await send({"type": event["type"] + ".complete"})
        if event["type"] == "lifespan.shutdown":
            return


async def bare_echo(scope, receive, send):
    async def send_text(data):
        await send({"type": "websocket.send", "text": data})

    async def send_bytes(data):
        await send({"type": "websocket.send", "bytes": data})

    async def close(code, reason):
        await send({"type": "websocket.close", "code": code, "reason": reason})

    await receive()
    await send({"type": "websocket.accept"})
    state = scope.get("state", {}).get("greeting", "none")
    while (event := await receive())["type"] == "websocket.receive":
        if not await answer(payload(event), state, send_text, send_bytes, close):
            return
    SEEN.append(("bare", event["code"]))


APPS = {
    "fastapi": make_fastapi,
    "starlette": make_starlette,
    "litestar": make_litestar,
    "quart": make_quart,
    "channels": make_channels,
    "falcon": make_falcon,
    "bare": make_bare,
}
"""A fresh app of each framework."""

"""What docs/migrating.md says of other clients, row by row: how they behave, and how ours do."""

import asyncio
import contextvars

import httpx
import httpx_ws
import pytest
from channels.testing import WebsocketCommunicator
from httpx_ws import aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport

import wsharness
from wsharness import Harness
from wsharness.errors import HandlerStuck

user = contextvars.ContextVar("user", default="nobody")


async def app(scope, receive, send):
    """Does what its path says."""
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    order = scope["path"][1:]
    await receive()
    if order == "refuse":
        await send({"type": "websocket.close", "code": 4403, "reason": "no"})
        return
    if order == "crash early":
        raise ValueError("boom")
    await send({"type": "websocket.accept"})
    if order == "tell":
        await send({"type": "websocket.send", "text": f"{sorted(scope)} {user.get()}"})
    while (event := await receive())["type"] != "websocket.disconnect":
        if event.get("text") == "crash":
            raise ValueError("boom")
        await send({"type": "websocket.send", "text": f"{order}: {event.get('text')}"})
    if order == "stay":
        await asyncio.sleep(60)


def httpx_client():
    return httpx.AsyncClient(transport=ASGIWebSocketTransport(app), base_url="http://test")


# httpx-ws


async def test_httpx_ws_shows_what_the_app_meant():
    with pytest.raises(ExceptionGroup) as group:
        async with httpx_client() as client, aconnect_ws("/refuse", client):
            pass
    closed = group.value.exceptions[0]
    assert isinstance(closed, httpx_ws.WebSocketDisconnect)
    assert (closed.code, closed.reason) == (4403, "no")
    with pytest.raises(wsharness.ConnectionRejected) as rejected:
        async with Harness(app) as ws:
            await ws.connect("/refuse")
    assert rejected.value.status == 403


async def test_httpx_ws_tells_an_exception_as_a_close():
    async with httpx_client() as client, aconnect_ws("/", client) as session:
        await session.send_text("crash")
        with pytest.raises(httpx_ws.WebSocketDisconnect) as closed:
            await session.receive_text()
    assert (closed.value.code, closed.value.reason) == (1011, "boom")
    with pytest.raises(ValueError, match="boom"):
        async with Harness(app) as ws:
            client = await ws.connect("/")
            await client.send("crash")
            await client.expect()


async def test_httpx_ws_says_nothing_of_a_timeout():
    async with httpx_client() as client, aconnect_ws("/", client) as session:
        with pytest.raises(TimeoutError) as silence:
            await session.receive_text(timeout=0.01)
    assert str(silence.value) == ""
    with pytest.raises(wsharness.ExpectationError, match=r"(?s)expected a message within 0\.01 s.*awaiting receive"):
        async with Harness(app) as ws:
            await (await ws.connect("/")).expect(within=0.01)


async def test_httpx_ws_mixes_up_paths_that_connect_at_once():
    seen = []

    async def talk(client, path):
        async with aconnect_ws(path, client) as session:
            await session.send_text("hi")
            seen.append(await session.receive_text(timeout=1))

    async with httpx_client() as client:
        await asyncio.gather(talk(client, "/p0"), talk(client, "/p1"))
    assert seen == ["p1: hi", "p1: hi"]
    async with Harness(app) as ws:
        clients = await asyncio.gather(*(ws.connect(f"/p{n}") for n in range(2)))
        for number, client in enumerate(clients):
            await client.send("hi")
            await client.expect(f"p{number}: hi")


# Channels


async def test_channels_cancels_the_consumer_when_a_wait_ends():
    communicator = WebsocketCommunicator(app, "/")
    await communicator.connect()
    with pytest.raises(TimeoutError):
        await communicator.receive_from(timeout=0.01)
    with pytest.raises(asyncio.CancelledError):
        await communicator.send_to("hi")
    async with Harness(app) as ws:
        client = await ws.connect("/")
        with pytest.raises(wsharness.ExpectationError):
            await client.expect(within=0.01)
        await client.send("hi")
        await client.expect(": hi")


async def test_channels_waits_on_when_the_consumer_has_raised():
    loop = asyncio.get_running_loop()
    communicator = WebsocketCommunicator(app, "/crash early")
    start = loop.time()
    with pytest.raises(ValueError, match="boom"):
        await communicator.connect(timeout=0.2)
    assert loop.time() - start >= 0.19
    with pytest.raises(ValueError, match="boom"):
        async with Harness(app, timeout=60) as ws:
            await ws.connect("/crash early")


async def test_channels_forbids_empty_messages():
    communicator = WebsocketCommunicator(app, "/")
    await communicator.connect()
    with pytest.raises(AssertionError):
        await communicator.send_to("")
    await communicator.disconnect()
    async with Harness(app) as ws:
        client = await ws.connect("/")
        await client.send("")
        await client.expect(": ")


async def test_channels_calls_a_consumer_that_stays_a_success():
    communicator = WebsocketCommunicator(app, "/stay")
    await communicator.connect()
    await communicator.disconnect(timeout=0.01)
    with pytest.raises(HandlerStuck, match="awaiting sleep"):
        async with Harness(app, grace=0.01) as ws:
            await ws.connect("/stay")


async def test_what_a_consumer_is_told():
    user.set("alice")
    communicator = WebsocketCommunicator(app, "/tell")
    await communicator.connect()
    told = await communicator.receive_from()
    await communicator.disconnect()
    assert told == "['headers', 'path', 'query_string', 'subprotocols', 'type'] nobody"
    async with Harness(app, profile="daphne") as ws:
        told = await (await ws.connect("/tell")).expect()
    assert "'asgi', 'client'" in told
    assert "'server'" in told
    assert told.endswith("alice")

"""What docs/migrating.md says of httpx-ws and Channels, row by row: how they behave, and how ours do."""

import asyncio
import contextvars
import re
from pathlib import Path

import httpx
import httpx_ws
import pytest
from channels.testing import WebsocketCommunicator
from httpx_ws import aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport

import wsharness
from wsharness import Harness
from wsharness.errors import HandlerStuck
from wsharness.runner import run

PAGE = Path("docs/migrating.md").read_text(encoding="utf-8")
ROWS = [re.sub(r" +", " ", line.split(" | ")[0].removeprefix("| ")) for line in PAGE.splitlines() if line[:2] == "| "]
user = contextvars.ContextVar("user", default="nobody")


lifespans = []


def row(begins):
    """Mark what tests the row that begins so, in the table named by the test's name."""
    assert [one for one in ROWS if one.startswith(begins)], f"docs/migrating.md has no row {begins!r}"
    return lambda test: TESTED.append(begins) or test


TESTED = []


async def app(scope, receive, send):
    """Does what its path says."""
    if scope["type"] == "lifespan":
        lifespans.append(await receive())
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    order = scope["path"][1:]
    await receive()
    if order == "refuse":
        await send({"type": "websocket.close", "code": 4403, "reason": "no"})
        return
    if order == "crash early":
        raise ValueError("boom")
    await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
    if order == "close":
        await send({"type": "websocket.close", "code": 4000, "reason": "done"})
        return
    if order == "leave":
        return
    if order == "tell":
        heard = dict(scope["headers"])
        await send({"type": "websocket.send", "text": f"{sorted(scope)} {heard.get(b'x-user')} {user.get()}"})
    while (event := await receive())["type"] != "websocket.disconnect":
        if event.get("text") == "crash":
            raise ValueError("boom")
        await send({"type": "websocket.send", "text": f"{order}: {event.get('text')}"})
    if order == "stay":
        await asyncio.sleep(60)


def httpx_client():
    return httpx.AsyncClient(transport=ASGIWebSocketTransport(app), base_url="http://test")


# httpx-ws


@row("close before accept: `WebSocketDisconnect` with")
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


@row("the app raises: `WebSocketDisconnect` 1011")
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


@row("a timeout is a bare")
async def test_httpx_ws_says_nothing_of_a_timeout():
    async with httpx_client() as client, aconnect_ws("/", client) as session:
        with pytest.raises(TimeoutError) as silence:
            await session.receive_text(timeout=0.01)
    assert str(silence.value) == ""
    with pytest.raises(wsharness.ExpectationError, match=r"(?s)expected a message within 0\.01 s.*awaiting receive"):
        async with Harness(app) as ws:
            await (await ws.connect("/")).expect(within=0.01)


@row("sessions that connect at the same time")
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


@row("`aconnect_ws(url, client,")
async def test_httpx_ws_connects_in_a_block_of_its_own():
    async with httpx_client() as client, aconnect_ws("/a", client, subprotocols=["v1"], headers={"a": "b"}) as session:
        await session.send_text("hi")
        assert (session.subprotocol, await session.receive_text(timeout=1)) == ("v1", "a: hi")
    async with Harness(app) as ws:
        async with ws.connect("/a", subprotocols=["v1"], headers={"a": "b"}) as client:
            await client.send("hi")
            assert (client.subprotocol, await client.expect()) == ("v1", "a: hi")
        assert client.state == "left"
        awaited = await ws.connect("/a")
    assert awaited.state == "left"


@row("a fixture with `yield`")
async def test_httpx_ws_leaves_in_the_task_that_connected():
    async with httpx_client() as client:
        session = aconnect_ws("/", client)
        await asyncio.create_task(session.__aenter__())
        with pytest.raises(RuntimeError, match="different task"):
            await asyncio.create_task(session.__aexit__(None, None, None))
    async with Harness(app) as ws:
        opened = ws.connect("/")
        await asyncio.create_task(opened.__aenter__())
        await asyncio.create_task(opened.__aexit__(None, None, None))


@row("`receive_*()` without `timeout`")
async def test_httpx_ws_waits_for_ever():
    async with httpx_client() as client, aconnect_ws("/", client) as session:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.receive_text(), 0.05)
    with pytest.raises(wsharness.ExpectationError):
        async with Harness(app, timeout=0.01) as ws:
            await (await ws.connect("/")).expect()


@row("`WebSocketDisconnect(code, reason)`")
async def test_httpx_ws_has_one_exception_for_every_end():
    async with httpx_client() as client, aconnect_ws("/close", client) as session:
        with pytest.raises(httpx_ws.WebSocketDisconnect) as left:
            await session.receive_text()
    assert (left.value.code, left.value.reason) == (4000, "done")
    async with Harness(app) as ws:
        with pytest.raises(wsharness.ConnectionClosed) as closed:
            await (await ws.connect("/close")).expect()
        with pytest.raises(wsharness.ConnectionLost):
            await (await ws.connect("/leave")).expect()
    assert (closed.value.code, closed.value.reason) == (4000, "done")


@row("what leaves the `async with`")
async def test_httpx_ws_wraps_what_leaves_its_block():
    with pytest.raises(ExceptionGroup) as group:
        async with httpx_client() as client, aconnect_ws("/", client):
            raise KeyError("mine")
    assert isinstance(group.value.exceptions[0], KeyError | ExceptionGroup)
    with pytest.raises(KeyError, match="mine"):
        async with Harness(app) as ws, ws.connect("/"):
            raise KeyError("mine")


@row("no lifespan")
async def test_httpx_ws_has_no_lifespan():
    lifespans.clear()
    async with httpx_client() as client, aconnect_ws("/tell", client) as session:
        assert "'state'" not in await session.receive_text(timeout=1)
    assert lifespans == []
    async with Harness(app) as ws:
        assert "'state'" in await (await ws.connect("/tell")).expect()
    assert [event["type"] for event in lifespans] == ["lifespan.startup"]


@row("`session.ping()`, fragments")
async def test_pings_are_below_messages():
    assert hasattr(httpx_ws.AsyncWebSocketSession, "ping")
    async with Harness(app) as ws:
        client = await ws.connect("/a")
        assert not hasattr(client, "ping")
        await client.connection.ping(b"x")
        await client.send("hi")
        await client.expect("a: hi")


# Channels


@row("`connect()` returns `(True, subprotocol)`")
async def test_channels_returns_how_the_handshake_went():
    communicator = WebsocketCommunicator(app, "/", subprotocols=["v1"])
    assert await communicator.connect() == (True, "v1")
    await communicator.disconnect()
    assert await WebsocketCommunicator(app, "/refuse").connect() == (False, 4403)
    async with Harness(app) as ws:
        assert (await ws.connect("/", subprotocols=["v1"])).subprotocol == "v1"
        with pytest.raises(wsharness.ConnectionRejected):
            await ws.connect("/refuse")


@row('`communicator.scope["user"] = ...`')
async def test_channels_writes_into_the_scope():
    communicator = WebsocketCommunicator(app, "/tell")
    communicator.scope["user"] = "alice"
    await communicator.connect()
    assert "'user'" in await communicator.receive_from()
    await communicator.disconnect()
    async with Harness(app) as ws:
        client = await ws.connect("/tell", headers={"x-user": "alice"}, cookies={"a": "b"}, auth="token")
        told = await client.expect()
    assert "'user'" not in told
    assert told.endswith("b'alice' nobody")


@row("`receive_from()`, `receive_json_from()`")
async def test_channels_has_a_call_for_each_kind():
    async def says(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        for message in ({"text": "[1]"}, {"bytes": b"2"}, {"text": "3"}):
            await send({"type": "websocket.send", **message})
        await receive()

    communicator = WebsocketCommunicator(says, "/")
    await communicator.connect()
    assert await communicator.receive_json_from() == [1]
    assert [await communicator.receive_from(), await communicator.receive_from()] == [b"2", "3"]
    await communicator.disconnect()
    async with Harness(says, lifespan="off") as ws:
        client = await ws.connect("/")
        assert await client.expect_json([int]) == [1]
        assert await client.expect_bytes() == b"2"
        assert await client.expect_text("3") == "3"


@row("`receive_nothing()` polls")
def test_channels_polls_for_silence():
    async def theirs():
        communicator = WebsocketCommunicator(app, "/")
        await communicator.connect()
        start = asyncio.get_running_loop().time()
        assert await communicator.receive_nothing()
        assert asyncio.get_running_loop().time() - start >= 0.09
        await communicator.disconnect()

    async def ours():
        async with Harness(app) as ws:
            await (await ws.connect("/")).expect_none(3600)
            return ws.runtime.time()

    asyncio.run(theirs())
    assert run(ours) == 3600


@row("`receive_output()` for a close")
async def test_channels_receives_a_close_as_an_event():
    communicator = WebsocketCommunicator(app, "/close")
    await communicator.connect()
    assert await communicator.receive_output() == {"type": "websocket.close", "code": 4000, "reason": "done"}
    async with Harness(app) as ws:
        await (await ws.connect("/close")).expect_close(4000, "done")


@row("`disconnect(code)` is a must")
async def test_channels_leaves_consumers_behind():
    before = asyncio.all_tasks()
    communicator = WebsocketCommunicator(app, "/")
    await communicator.connect()
    left_behind = asyncio.all_tasks() - before
    assert left_behind
    await communicator.disconnect()
    async with Harness(app) as ws:
        await ws.connect("/")
    assert asyncio.all_tasks() == before


@row("a wait that times out cancels")
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


@row("an exception of the consumer")
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


@row("`send_to(text_data=)`")
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


@row("a consumer that does not end")
async def test_channels_calls_a_consumer_that_stays_a_success():
    communicator = WebsocketCommunicator(app, "/stay")
    await communicator.connect()
    await communicator.disconnect(timeout=0.01)
    with pytest.raises(HandlerStuck, match="awaiting sleep"):
        async with Harness(app, grace=0.01) as ws:
            await ws.connect("/stay")


@row("context variables of the test")
@row("the scope has no `asgi`")
async def test_what_a_consumer_is_told():
    user.set("alice")
    communicator = WebsocketCommunicator(app, "/tell")
    await communicator.connect()
    told = await communicator.receive_from()
    await communicator.disconnect()
    assert told == "['headers', 'path', 'query_string', 'subprotocols', 'type'] None nobody"
    async with Harness(app, profile="daphne") as ws:
        told = await (await ws.connect("/tell")).expect()
    assert "'asgi', 'client'" in told
    assert "'server'" in told
    assert told.endswith("alice")

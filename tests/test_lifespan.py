import asyncio

import pytest

import wsharness
from wsharness import Harness, simulate


async def test_the_lifespans_state_reaches_the_scope():
    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await receive()
            scope["state"]["x"] = 1
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
            return
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(scope["state"]["x"])})
        await receive()

    async with Harness(app) as ws:
        client = await ws.connect("/")
        await client.expect("1")


async def test_a_failing_lifespan_is_one_sentence():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    with pytest.raises(wsharness.TargetError, match="no database"):
        async with Harness(app):
            pass


def sleepy(phase):
    async def app(scope, receive, send):
        while True:
            kind = (await receive())["type"]
            if kind == f"lifespan.{phase}":
                await asyncio.sleep(3600)
            await send({"type": f"{kind}.complete"})

    return app


async def nobody_comes(ws):
    pass


def test_a_startup_that_does_not_end_is_one_sentence_in_virtual_time():
    with pytest.raises(wsharness.TargetError, match=r"startup did not finish within 10 s; .*lifespan='off'"):
        simulate(nobody_comes, sleepy("startup"))


def test_so_is_a_shutdown():
    with pytest.raises(wsharness.TargetError, match="shutdown did not finish within 10 s"):
        simulate(nobody_comes, sleepy("shutdown"))


async def test_an_app_without_a_lifespan_is_left_without_one_unless_it_is_to_have_it():
    async def app(scope, receive, send):
        raise RuntimeError("only WebSockets here")

    async with Harness(app):
        pass
    with pytest.raises(wsharness.TargetError, match="startup raised RuntimeError: only WebSockets here"):
        async with Harness(app, lifespan="on"):
            pass


async def test_an_end_without_an_answer_is_told():
    async def app(scope, receive, send):
        await receive()

    with pytest.raises(wsharness.TargetError, match="ended without lifespan.startup.complete"):
        async with Harness(app, lifespan="on"):
            pass


async def test_an_app_that_never_looks_at_its_scope_goes_without_a_lifespan():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": "hi"})

    async with Harness(app) as ws:
        client = await ws.connect("/")
        await client.send("x")
        await client.expect("hi")
    with pytest.raises(wsharness.TargetError, match=r"startup raised .* the lifespan, .*; got 'websocket.accept'"):
        async with Harness(app, lifespan="on"):
            pass

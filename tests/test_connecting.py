import pytest

from wsharness.errors import ConnectionRejected, UsageError
from wsharness.harness import Harness


async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


def harness():
    return Harness(app, lifespan="off")


async def test_it_is_awaited_or_entered_and_closes_where_it_is_left():
    async with harness() as ws:
        first = await ws.connect("/")
        async with ws.connect("/") as second:
            assert (first.state, second.state) == ("connected", "connected")
        assert (first.state, second.state) == ("connected", "left")


async def test_a_connect_without_await_says_so():
    async with harness() as ws:
        connecting = ws.connect("/")
        with pytest.raises(AttributeError, match=r"not awaited, .* no 'send'; write `client = await ws\.connect"):
            connecting.send("x")
        with pytest.warns(RuntimeWarning, match=r"connect\(\) was never awaited; write `client = await"):
            del connecting
        assert not ws.clients


async def test_async_with_is_asked_for():
    async with harness() as ws:
        for entered in (ws, connecting := ws.connect("/")):
            with pytest.raises(UsageError, match="this is entered with `async with`"), entered:
                pass
        await connecting


async def test_a_clients_verb_of_the_harness_says_how_to_have_a_client():
    async with harness() as ws:
        with pytest.raises(
            AttributeError, match=r"the harness has no 'send'; that is a client's: write `client = await"
        ):
            await ws.send("x")
        with pytest.raises(AttributeError, match="the harness has no 'sendd'$"):
            await ws.sendd("x")


async def test_an_app_that_answers_nothing_is_told_so():
    async def silent(scope, receive, send):
        await receive()

    async with Harness(silent, lifespan="off") as ws:
        with pytest.raises(ConnectionRejected) as rejected:
            await ws.connect("/")
        told = ["the app's handler returned before it sent websocket.accept or websocket.close"]
        assert rejected.value.status == 500 and rejected.value.__notes__ == told

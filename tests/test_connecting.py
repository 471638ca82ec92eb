import pytest

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

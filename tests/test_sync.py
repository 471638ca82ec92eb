import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsharness.client import Client
from wsharness.errors import ConnectionRejected, ExpectationError, UsageError
from wsharness.harness import Harness
from wsharness.sync import SyncClient, SyncHarness


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    await receive()
    if scope["path"] == "/deny":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        if event["text"] == "boom":
            raise ValueError("boom")
        await send({"type": "websocket.send", "text": event["text"]})


@pytest.fixture
def ws():
    with SyncHarness(Harness(app)) as harness:
        yield harness


def test_a_message_comes_back_without_await(ws):
    client = ws.connect("/ws", name="alice")
    client.send({"n": 1})
    assert client.expect({"n": 1}) == {"n": 1}
    assert (client.received, client.state) == (['{"n": 1}'], "connected")


def test_verbs_that_return_the_client_return_this_one(ws):
    client = ws.connect("/ws")
    client.drop()
    assert client.reconnect() is client
    assert isinstance(client, SyncClient) and not isinstance(client, Client)


def test_a_client_leaves_at_the_end_of_its_block(ws):
    with ws.connect("/ws") as client:
        client.send("a")
    assert client.state == "left"
    assert repr(client) == "<Client 'client1' left>"


def test_many_clients_connect_at_once(ws):
    clients = ws.connect_many(3, "/ws")
    assert [client.name for client in clients] == ["client1", "client2", "client3"]


def test_what_the_app_answers_wrong_is_raised(ws):
    client = ws.connect("/ws")
    client.send("a")
    with pytest.raises(ExpectationError, match="expected 'b'; got 'a'"):
        client.expect("b")
    with pytest.raises(ConnectionRejected):
        ws.connect("/deny")


def test_an_exception_of_the_app_is_raised_at_the_end():
    with pytest.raises(ValueError, match="boom"), SyncHarness(Harness(app)) as ws:
        ws.connect("/ws").send("boom")
        ws.settle()


def test_all_checks_run_over_what_happened(ws):
    ws.connect("/ws").close()
    ws.settle()
    ws.sleep(0)
    ws.check()
    assert [record.client for record in ws.transcript]


async def test_inside_a_running_loop_it_says_what_to_do():
    harness = SyncHarness(Harness(app))
    with pytest.raises(UsageError, match="ask for ws and await its verbs"):
        harness.connect("/ws")


def test_the_loop_is_closed_at_the_end():
    with SyncHarness(Harness(app)) as ws:
        loop = ws.run(_loop())
    assert loop.is_closed()


async def _loop():
    return asyncio.get_running_loop()


def test_an_attribute_that_a_client_has_not_is_an_attribute_error(ws):
    with pytest.raises(AttributeError):
        ws.connect("/ws").no_such_verb


@pytest.mark.parametrize(
    "verb",
    "send send_text send_bytes send_json expect expect_text expect_bytes expect_json wait_for expect_none "
    "expect_close close drop reconnect stall resume received sent unread state subprotocol".split(),
)
def test_each_verb_exists_without_await(ws, verb):
    assert getattr(ws.connect("/ws"), verb) is not None or verb == "subprotocol"


def test_everyone_hears_it_without_await(ws):
    clients = ws.connect_many(2, "/ws")
    for client in clients:
        client.send("5")
    ws.settle(1)
    assert ws.expect_all(clients, where=lambda n: n == 5) == [5, 5]
    with pytest.raises(UsageError, match="in seconds"):
        clients[0].expect(within="1s")


def test_another_thread_is_refused(ws):
    client = ws.connect("/ws")
    with (
        ThreadPoolExecutor() as pool,
        pytest.raises(UsageError, match="ws_sync lives in the test's own thread; ask for"),
    ):
        pool.submit(client.expect, "x").result(10)


def test_messages_are_iterated_until_none_comes(ws):
    client = ws.connect("/ws")
    for n in range(3):
        client.send(str(n))
    assert [message for _, message in zip(range(3), client, strict=False)] == [0, 1, 2]


def test_what_is_no_time_to_sleep_is_refused(ws):
    with pytest.raises(UsageError, match="expected sleep in seconds, 0 or more; got '1s'"):
        ws.sleep("1s")

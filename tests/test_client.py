import asyncio
import dataclasses
import datetime as dt
import json

import pytest
from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from wsharness.client import decode
from wsharness.errors import (
    ConnectionClosed,
    ConnectionLost,
    ConnectionRejected,
    ExpectationError,
    UsageError,
    WebSocketError,
)
from wsharness.events import Closed, Message
from wsharness.harness import Harness
from wsharness.request import Request


async def puppet(scope, receive, send):
    """Does what it is told: `say`, `hex`, `close`, `many`, `end`."""
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        order = json.loads(event["text"])
        for text in order.get("say", []):
            await send({"type": "websocket.send", "text": text})
        if "hex" in order:
            await send({"type": "websocket.send", "bytes": bytes.fromhex(order["hex"])})
        if "close" in order:
            await send({"type": "websocket.close", "code": order["close"], "reason": order.get("reason", "")})
        if order.get("end"):
            return


def harness(**options):
    return Harness(puppet, lifespan="off", **options)


async def told(ws, **order):
    client = await ws.connect("/", name="alice")
    await client.send(order)
    return client


async def test_text_is_expected_as_it_came():
    async with harness() as ws:
        client = await told(ws, say=['{"a": 1}', "b"])
        assert await client.expect_text() == '{"a": 1}'
        assert await client.expect_text("b") == "b"


async def test_binary_is_expected_as_it_came():
    async with harness() as ws:
        assert await (await told(ws, hex="00ff")).expect_bytes(b"\x00\xff") == b"\x00\xff"


async def test_whatever_comes_next_is_taken():
    async with harness() as ws:
        client = await told(ws, say=["1"], close=4000, reason="bye")
        assert await client.next_event() == Message("1")
        assert await client.next_event() == Closed(4000, "bye")
        with pytest.raises(ConnectionClosed):
            await client.next_event()
        silent = await ws.connect("/", name="bob")
        with pytest.raises(ExpectationError, match="bob: expected a message or a close within 0.01 s; no message came"):
            await silent.next_event(0.01)


async def test_json_is_expected_decoded():
    async with harness() as ws:
        client = await told(ws, say=['{"a": 1}', "[1, 2]"])
        assert await client.expect_json({"a": 1}) == {"a": 1}
        assert await client.expect_json() == [1, 2]


@pytest.mark.parametrize(
    "order, verb, pattern, sentence",
    [
        ({"hex": "00ff"}, "expect_text", "x", "expected a str message; got bytes 00 ff"),
        ({"say": ["x"]}, "expect_bytes", b"x", "expected a bytes message; got 'x'"),
        ({"say": ["x"]}, "expect_text", "y", "expected 'y'; got 'x'"),
        ({"hex": "00"}, "expect_bytes", b"\x01", "got bytes 00"),
        ({"say": ["x"]}, "expect_json", {}, "expected JSON; got 'x'"),
        ({"say": ['{"a": 1}']}, "expect_json", {"a": 2}, "expected {'a': 2}; got"),
        ({"say": ["x"]}, "expect_close", 1000, "expected a close with 1000 (normal closure); got the message 'x'"),
    ],
)
async def test_another_message_is_shown_beside_the_expected(order, verb, pattern, sentence):
    async with harness() as ws:
        client = await told(ws, **order)
        with pytest.raises(ExpectationError) as failed:
            await getattr(client, verb)(pattern)
    assert str(failed.value).startswith("alice: ") and sentence in str(failed.value)


async def test_another_close_code_is_shown_with_its_name():
    async with harness() as ws:
        client = await told(ws, close=1008, reason="no")
        with pytest.raises(ExpectationError, match=r"a close with 4000; got 1008 \(policy violation\) 'no'"):
            await client.expect_close(4000)


async def test_another_reason_is_shown():
    async with harness() as ws:
        client = await told(ws, close=4000, reason="no")
        with pytest.raises(ExpectationError, match="and the reason 'yes'; got 4000 'no'"):
            await client.expect_close(4000, "yes")


async def test_a_lost_connection_is_a_close_with_1006():
    async with harness() as ws:
        event = await (await told(ws, end=True)).expect_close(1006)
        assert event.code == 1006


async def test_no_close_within_the_limit_is_a_failure():
    async with harness() as ws:
        client = await ws.connect("/")
        with pytest.raises(ExpectationError, match=r"expected a close within 0\.01 s"):
            await client.expect_close(within=0.01)


@pytest.mark.parametrize("order, error", [({"close": 4000}, ConnectionClosed), ({"end": True}, ConnectionLost)])
async def test_a_message_expected_after_the_end_raises_the_end_each_time(order, error):
    async with harness() as ws:
        client = await told(ws, **order)
        for _ in range(2):
            with pytest.raises(error) as raised:
                await client.expect("x")
        assert "expected 'x'" in raised.value.__notes__[0]


async def test_iteration_ends_with_the_connection():
    async with harness() as ws:
        client = await told(ws, say=["a", "[1]"], close=1000)
        assert [message async for message in client] == ["a", [1]]


async def test_iteration_over_silence_fails_and_does_not_hang():
    async with harness(timeout=0.02) as ws:
        client = await told(ws, say=["a"])
        seen = []
        with pytest.raises(ExpectationError, match="expected a message within"):
            async for message in client:
                seen.append(message)
    assert seen == ["a"]


async def test_what_is_ignored_is_recorded_and_never_expected():
    async with harness() as ws:
        client = await ws.connect("/")
        client.ignore = ({"type": "ping"}, "noise")
        await client.send({"say": ['{"type": "ping", "n": 1}', "noise", "a"]})
        assert await client.expect() == "a"
        await client.expect_none(0.01)
        assert client.received == ['{"type": "ping", "n": 1}', "noise", "a"]


async def test_what_is_sent_while_a_client_stalls_comes_when_it_reads_on():
    async with harness() as ws:
        client = await ws.connect("/")
        client.stall()
        await client.send({"say": ["a"]})
        await client.expect_none(0.02)
        client.resume()
        await client.expect("a")


async def test_a_client_that_does_not_read_blocks_the_apps_sends():
    async with harness() as ws:
        client = await ws.connect("/")
        client.stall()
        await client.send({"say": ["x" * 2**20] * 10})
        await ws.settle()
        sent = [record for record in ws.transcript if isinstance(record.event, dict) and "text" in record.event]
        assert len(sent) < 10
        client.resume()
        for _ in range(10):
            await client.expect()


async def test_wait_for_names_the_nearest_of_what_it_skipped():
    async with harness() as ws:
        client = await told(ws, say=["a", '{"n": 1, "s": "x"}'])
        with pytest.raises(ExpectationError, match="after 2 others, the nearest .*n"):
            await client.wait_for({"n": 2, "s": "x"}, within=0.02)


@pytest.mark.parametrize("verb, value", [("send_text", b"x"), ("send_bytes", "x")])
async def test_the_wrong_kind_is_refused_before_it_is_sent(verb, value):
    async with harness() as ws:
        client = await ws.connect("/")
        with pytest.raises(UsageError, match="expected (str|bytes); got"):
            await getattr(client, verb)(value)
        assert client.sent == []


async def test_json_is_sent_as_text_or_binary():
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        for _ in range(2):
            event = await receive()
            await send({"type": "websocket.send", "text": repr(event.get("text") or event.get("bytes"))})
        await receive()

    async with Harness(app, lifespan="off") as ws:
        client = await ws.connect("/")
        await client.send_json({"é": 1})
        await client.expect_text("'{\"é\":1}'")
        await client.send_json([1], mode="binary")
        await client.expect_text("b'[1]'")


async def test_a_client_says_its_state_in_one_word():
    async with harness() as ws:
        client = await told(ws, close=4000)
        assert client.state == "connected"
        await client.expect_close()
        assert (client.state, repr(client)) == ("closed", "<Client 'alice' closed>")
        await client.reconnect()
        assert client.state == "connected"
        await client.close()
        await client.close()
        assert client.state == "left"


async def test_waiting_can_be_given_up():
    async with harness() as ws:
        client = await ws.connect("/")
        waiting = asyncio.ensure_future(client.expect(within=60))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await client.send({"say": ["a"]})
        await client.expect("a")


@pytest.mark.parametrize("data, value", [("1", 1), ("x", "x"), (b"binary", b"binary"), ("[" * 100_000, "[" * 100_000)])
def test_a_message_is_decoded_where_it_is_json(data, value):
    assert decode(data) == value


# Typed


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str
    at: dt.date


class Point(TypedDict):
    x: int


@dataclasses.dataclass
class Size:
    width: int


async def test_a_model_returns_its_instance():
    async with harness() as ws:
        client = await told(ws, say=['{"text": "hi", "at": "2024-02-29"}', '{"x": 1}', '{"width": 3}', "[[1]]"])
        assert await client.expect(Said) == Said(text="hi", at=dt.date(2024, 2, 29))
        assert await client.expect(Point) == {"x": 1}
        assert await client.wait_for(Size) == Size(3)
        assert await client.expect_json(list[set[int]]) == [{1}]


async def test_what_is_no_model_says_so_in_our_words():
    async with harness() as ws:
        client = await told(ws, say=['{"text": 1, "at": "2024-02-29", "x": 2}'])
        with pytest.raises(ExpectationError) as failed:
            await client.expect(Said)
    assert "  .text: expected a valid string; got 1\n  .x: expected no such key; got 2\n" in str(failed.value)


async def test_where_sees_what_would_be_returned():
    async with harness() as ws:
        client = await told(ws, say=['{"text": "hi", "at": "2024-02-29"}', "5", "6", "7", "z"])
        await client.expect(Said, where=lambda said: said.at.year == 2024)
        assert await client.expect(where=lambda n: n == 5) == 5
        assert await client.wait_for(int, where=lambda n: n > 6) == 7
        with pytest.raises(ExpectationError, match=r"what the lambda at test_client.py:\d+ accepts; got 'z'"):
            await client.expect(where=lambda n: n > 6)


async def test_a_model_is_sent_as_its_json():
    async with harness() as ws:
        client = await ws.connect("/")
        await client.send(Order(say=["a"]))
        await client.expect("a")
        assert client.sent == ['{"say":["a"]}']


class Order(BaseModel):
    say: list[str]


async def test_a_models_instance_is_the_json_that_it_is_sent_as():
    async with harness() as ws:
        client = await ws.connect("/")
        for _ in range(2):
            await client.send({"say": ['{"say": ["a"], "more": 1}']})
        await client.expect(Order(say=["a"]))
        with pytest.raises(ExpectationError, match=r"\.say\[0\]: expected 'b'; got 'a'"):
            await client.expect(Order(say=["b"]))


# Bad input


async def _never(message):
    return False


async def _said_hi(client, *pattern, **options):
    await client.send({"say": ['{"say": 1}']})
    await client.expect(*pattern, **options)


BAD = {
    "expect a time below zero": (lambda c: c.expect(within=-1), "expected within in seconds, 0 or more; got -1"),
    "expect no number": (lambda c: c.expect(within=float("nan")), "got nan; write within=0.5"),
    "expect text for a time": (lambda c: c.expect(within="1s"), "got '1s'; write within=0.5"),
    "wait without an end": (lambda c: c.wait_for("x", within=float("inf")), "got inf"),
    "silence without a time": (lambda c: c.expect_none("1s"), "got '1s'"),
    "a close within nothing": (lambda c: c.expect_close(within=True), "got True"),
    "an async where": (
        lambda c: _said_hi(c, where=_never),
        "expected a function that answers at once; got the async _never",
    ),
    "an async pattern": (lambda c: _said_hi(c, {"say": _never}), "got the async _never; make it a plain `def`"),
    "a coroutine": (
        lambda c: _said_hi(c, _never(1)),
        "expected a pattern; got a coroutine of _never, which nobody awaited",
    ),
    "where is no function": (lambda c: c.expect(where=3), "got 3; write where=lambda m: ..."),
    "where is no function to wait": (lambda c: c.wait_for(where="x"), "got 'x'; write where=lambda m: ..."),
    "a set is no JSON": (lambda c: c.send({1, 2}), "got one of type set: .*; encode it yourself"),
    "NaN is no JSON": (lambda c: c.send({"a": float("nan")}), "got one of type dict: .*; encode it yourself"),
    "a class is no JSON": (lambda c: c.send(Order), "got one of type ModelMetaclass: "),
    "nor is it sent as JSON": (lambda c: c.send_json(object()), "got one of type object: "),
    "a mode": (lambda c: c.send_json(1, mode="blob"), "expected the mode 'text' or 'binary'; got 'blob'"),
    "no close frame carries 1006": (lambda c: c.close(1006), "got 1006; drop\\(\\) loses the connection"),
    "a code is a number": (lambda c: c.close("1000"), "got '1000'"),
    "a reason is text": (lambda c: c.close(1000, 5), "got 5; shorten it"),
    "a reason has a limit": (lambda c: c.close(1000, "é" * 62), "text of 123 bytes at most"),
    "a reason needs a code": (lambda c: c.close(None, "x"), "after a code"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_one_sentence(name):
    call, sentence = BAD[name]
    async with harness() as ws:
        client = await ws.connect("/")
        with pytest.raises(UsageError, match=sentence) as wrong:
            await call(client)
        assert "\n" not in str(wrong.value)
        await client.send({"say": ["still here"]})
        await client.expect("still here")


@pytest.mark.parametrize("verb", ["send", "expect", "wait_for", "expect_close", "expect_none", "reconnect"])
async def test_nothing_is_done_after_the_harness_ended(verb):
    async with harness() as ws:
        client = await ws.connect("/")
    with pytest.raises(
        UsageError, match=r"the harness has ended; .* inside its block: async with Harness\(app\) as ws"
    ):
        await getattr(client, verb)(*(["x"] if verb == "send" else []))


async def test_another_loop_is_refused():
    async with harness() as ws:
        client = await ws.connect("/")
        for verb in (client.send("x"), client.expect("x"), client.close()):
            with pytest.raises(UsageError, match="another event loop or thread"):
                await asyncio.to_thread(asyncio.run, verb)


async def test_a_rejected_client_says_what_to_do():
    async def deny(scope, receive, send):
        await receive()
        await send({"type": "websocket.close"})

    async with Harness(deny, lifespan="off") as ws:
        with pytest.raises(ConnectionRejected):
            await ws.connect("/", name="eve")
        for call in (lambda: ws.clients[0].expect("x"), lambda: ws.clients[0].send("x"), ws.clients[0].expect_none):
            with pytest.raises(ConnectionRejected) as rejected:
                await call()
            assert "client 'eve' is rejected; reconnect() it before" in rejected.value.__notes__[0]


async def test_a_client_that_never_connected_says_so():
    async with harness() as ws:
        client = ws.new_client("alice", Request("/"))
        for call in (lambda: client.send("x"), lambda: client.expect("x"), client.expect_none):
            with pytest.raises(UsageError, match="has no connection; await its connect"):
                await call()
        with pytest.raises(UsageError, match="has no connection"):
            client.stall()
        client.begin()
        with pytest.raises(UsageError, match="still connects"):
            await client.send("x")
        await client.opened()


async def test_an_end_that_was_expected_is_not_waited_for_again():
    async with harness(timeout=60) as ws:
        client = await told(ws, close=4000)
        await client.expect_close(4000)
        with pytest.raises(ConnectionClosed):
            await client.expect("x")


async def test_what_is_unread_can_be_looked_at():
    async with harness() as ws:
        client = await told(ws, say=["a", "b"])
        await client.expect("a")
        assert client.unread == ("b",)


async def test_binary_views_are_sent_as_bytes():
    async with harness() as ws:
        client = await ws.connect("/")
        with pytest.raises(KeyError):
            await client.send(memoryview(b"x"))
            await client.expect()
        assert client.sent == [b"x"]


async def test_a_subprotocol_that_was_not_offered_ends_the_connection():
    told = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "v9"})
        told.append(await receive())

    async with Harness(app, lifespan="off") as ws:
        for offered, expected in [((), "none"), (["v1", "v2"], "'v1' or 'v2'")]:
            with pytest.raises(
                WebSocketError, match=f"chose the subprotocol 'v9', .*; expected {expected}: choose from"
            ):
                await ws.connect("/", subprotocols=offered)
        client = await ws.connect("/", subprotocols=["v9"])
        assert client.subprotocol == "v9"
    assert [event["type"] for event in told] == ["websocket.disconnect"] * 3


async def test_what_the_client_ended_itself_is_not_called_the_servers_doing():
    async with harness() as ws:
        client = await ws.connect("/", name="alice")
        await client.close()
        with pytest.raises(ConnectionClosed) as closed:
            await client.expect("x")
    assert closed.value.__notes__[0] == "client 'alice' itself has closed; expect before that, or reconnect()"


async def test_who_waits_while_it_does_not_read_is_told_so():
    async with harness() as ws:
        client = await ws.connect("/", name="alice")
        client.stall()
        await client.send({"say": ["hi"]})
        with pytest.raises(
            ExpectationError, match=r"no message came; it has not read since stall\(\): resume\(\) first"
        ):
            await client.expect("hi", within=0.01)
        client.resume()
        await client.expect("hi")
        client.stall()
        await client.reconnect()
        with pytest.raises(ExpectationError, match=r"no message came\n"):
            await client.expect("hi", within=0.01)


async def test_a_close_reason_is_not_taken_for_its_code():
    async with harness() as ws:
        client = await told(ws, close=4000, reason="bye")
        with pytest.raises(
            UsageError, match=r"close code, such as 1000; got 'bye'; write expect_close\(reason='bye'\)"
        ):
            await client.expect_close("bye")
        assert (await client.expect_close(reason="bye")).code == 4000

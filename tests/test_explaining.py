"""Golden failure messages, one for each kind: `WSHARNESS_GOLDEN=write pytest tests/test_explaining.py` writes them."""

import os
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.golden.app import app
from wsharness import Harness
from wsharness.explaining import Words, brief
from wsharness.runner import run
from wsharness.transcript import Transcript

GOLDEN = Path(__file__).parent / "golden"
FAILURES = {}


def failure(test):
    FAILURES[test.__name__] = test
    return test


class Said(BaseModel):
    type: str
    user: str
    n: int


async def told(ws, **order):
    alice = await ws.connect("/chat", name="alice")
    await alice.send(order)
    return alice


@failure
async def another_object(ws):
    alice = await told(ws, say=['{"type": "said", "user": {"name": "bob", "age": 3}, "text": "ho", "at": 1}'])
    await alice.expect({"type": "said", "user": {"name": "bob", "age": 4}, "text": "hi", "room": str})


@failure
async def another_array(ws):
    alice = await told(ws, say=['[1, 2, {"a": 3}]'])
    await alice.expect([1, 5, {"a": 3}, 4])


@failure
async def another_long_text(ws):
    alice = await told(ws, say=["a" * 500 + "X" + "b" * 500])
    await alice.expect("a" * 500 + "Y" + "b" * 500)


@failure
async def another_binary(ws):
    alice = await told(ws, hex="00ff" * 300)
    await alice.expect(b"\x00\xfe")


@failure
async def binary_for_text(ws):
    await (await told(ws, hex="00ff")).expect_text("hi")


@failure
async def no_json(ws):
    await (await told(ws, say=["not json"])).expect_json({"a": 1})


@failure
async def silence(ws):
    bob = await ws.connect("/chat", name="bob")
    alice = await told(ws, sleep=30)
    await bob.send({"all": ['{"type": "presence", "user": "bob"}', "two", "three", "four"]})
    await alice.expect_text("four", within=0.5)
    await alice.expect({"type": "said"}, within=0.5)


@failure
async def others_have_it(ws):
    await ws.connect("/chat", name="carol")
    bob = await ws.connect("/chat", name="bob")
    await bob.send({"say": ["one", "two", "three", '{"type": "said"}'], "close": 1001})
    await ws.settle()
    alice = await ws.connect("/chat", name="alice")
    await alice.expect({"type": "said"})


@failure
async def stuck_app(ws):
    await (await told(ws, hang=1)).expect("done")


@failure
async def skipped(ws):
    alice = await told(ws, say=['{"n": 1, "s": "x"}', '{"n": 2}', "noise"])
    await alice.wait_for({"n": 3, "s": "x"}, within=2)


@failure
async def no_silence(ws):
    await (await told(ws, say=["psst"])).expect_none(0.5)


@failure
async def another_close(ws):
    await (await told(ws, close=1008, reason="expired")).expect_close(4000)


@failure
async def message_for_close(ws):
    await (await told(ws, say=["hi"])).expect_close(1000)


@failure
async def no_close(ws):
    await (await told(ws)).expect_close(1000, within=2)


@failure
async def closed_for_message(ws):
    await (await told(ws, close=4001, reason="bye")).expect({"a": 1})


@failure
async def model(ws):
    await (await told(ws, say=['{"type": "said", "n": "many"}'])).expect(Said)


@failure
async def predicate(ws):
    await (await told(ws, say=['{"n": 1}'])).expect({"n": int}, where=is_large)


@failure
async def not_everyone(ws):
    clients = await ws.connect_many(3, "/chat")
    await clients[0].send({"all": ["hi"]})
    await clients[1].send({"say": ["ho"]})
    await ws.settle()
    await clients[1].expect()
    await ws.expect_all(clients, "hi")


@failure
async def secrets(ws):
    alice = await ws.connect("/chat?token=s3cr3t-in-query", name="alice", auth="b34r3r-t0k3n-value")
    await alice.send({"say": ['{"token": "abc123xyz", "n": 1}', "s3cr3t-in-query"]})
    await alice.expect({"token": "other-secret", "n": 2})


@failure
async def only_a_secret_differs(ws):
    await (await told(ws, say=['{"password": "hunter2hunter2"}'])).expect({"password": "hunter3hunter3"})


@failure
async def rejected(ws):
    await ws.connect("/deny", name="eve")


@failure
async def stuck_at_the_end(ws):
    await told(ws, hang=1)


@failure
async def app_raised(ws):
    await (await told(ws, boom="the app's own words")).expect("x")


def is_large(message):
    return message["n"] > 9


def message_of(test):
    """The failure's text, with the notes that a reader sees below it."""

    async def main():
        async with Harness(app) as ws:
            await test(ws)

    with pytest.raises(Exception) as raised:
        run(main)
    error = raised.value
    return "\n".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", [])]) + "\n"


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_reads_as_ever(name):
    text = message_of(FAILURES[name])
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("WSHARNESS_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def test_every_golden_text_has_its_failure():
    assert {path.stem for path in GOLDEN.glob("*.txt")} == set(FAILURES)


@pytest.mark.parametrize("name", ["secrets", "only_a_secret_differs"])
def test_no_secret_is_told(name):
    text = (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")
    assert not any(secret in text for secret in ("s3cr3t", "b34r3r", "abc123", "other-secret", "hunter2", "hunter3"))


def test_a_long_difference_is_cut_in_its_middle():
    words = Words(Transcript())
    told = words.unlike({str(n): n for n in range(50)}, "{" + ", ".join(f'"{n}": {n + 1}' for n in range(50)) + "}")
    assert len(told.splitlines()) < 30 and "more lines" in told


def test_only_our_own_errors_are_cut_to_their_first_line():
    assert brief(ValueError("a\nb")) == "a\nb"

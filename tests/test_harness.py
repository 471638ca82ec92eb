import asyncio
import os
import re
import threading
import time

import anyio
import pytest
import trio

import wsharness
from wsharness import Harness, probes
from wsharness.errors import CheckFailed, ConnectionRejected, ExpectationError, HandlerStuck, UsageError
from wsharness.sync import SyncHarness
from wsharness.transcript import Leave


async def echo(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("no lifespan")
    assert (await receive())["type"] == "websocket.connect"
    if scope["path"] == "/deny":
        await send({"type": "websocket.close", "code": 4001, "reason": "no"})
        return
    offered = scope["subprotocols"]
    await send({"type": "websocket.accept", "subprotocol": offered[0] if offered else None})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        text = event.get("text")
        if text == "boom":
            raise ValueError("boom")
        if text == "bye":
            await send({"type": "websocket.close", "code": 4002, "reason": "bye"})
        elif text == "quiet":
            continue
        else:
            await send({"type": "websocket.send", "text": text})


async def test_a_message_comes_back():
    async with Harness(echo) as ws:
        client = await ws.connect("/")
        await client.send({"n": 1, "s": "x"})
        assert await client.expect({"n": 1}) == {"n": 1, "s": "x"}
        assert client.received == ['{"n": 1, "s": "x"}']


async def test_connect_is_a_context_manager():
    async with Harness(echo) as ws, ws.connect("/", subprotocols=["a", "b"]) as client:
        assert client.subprotocol == "a"
    assert client.state == "left"


async def test_a_wrong_message_fails_with_what_came_and_the_transcript():
    with pytest.raises(AssertionError) as failed:
        async with Harness(echo) as ws:
            client = await ws.connect("/", name="alice")
            await client.send({"n": 1})
            await client.expect({"n": 2})
    text = str(failed.value)
    assert "expected {'n': 2}; got" in text
    assert ".n: expected 2; got 1" in text
    assert "alice" in text
    assert "awaiting receive" in text or "test_harness.py" in text


async def test_silence_has_a_limit_and_names_where_the_app_waits():
    with pytest.raises(AssertionError, match=r"within 0\.05 s; no message came") as failed:
        async with Harness(echo, timeout=0.05) as ws:
            client = await ws.connect("/")
            await client.send("quiet")
            await client.expect("never")
    assert "test_harness.py" in str(failed.value)


async def test_the_apps_exception_is_raised_as_the_original_object_once():
    with pytest.raises(ValueError, match="boom") as raised:
        async with Harness(echo) as ws:
            client = await ws.connect("/")
            await client.send("boom")
            await client.expect("x")
    assert type(raised.value) is ValueError
    assert not getattr(raised.value, "__notes__", [])


async def test_an_exception_nobody_waited_for_is_raised_at_the_end():
    with pytest.raises(ValueError, match="boom"):
        async with Harness(echo) as ws:
            client = await ws.connect("/")
            await client.send("boom")


async def test_a_failing_body_stays_primary_and_the_crash_becomes_a_note():
    with pytest.raises(KeyError) as raised:
        async with Harness(echo) as ws:
            client = await ws.connect("/")
            await client.send("boom")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            raise KeyError("body")
    assert "ValueError: boom" in "".join(raised.value.__notes__)


async def test_a_rejection_carries_what_a_client_sees_and_what_the_app_meant():
    async with Harness(echo) as ws:
        with pytest.raises(wsharness.ConnectionRejected) as rejected:
            await ws.connect("/deny")
    assert (rejected.value.status, rejected.value.app_code, rejected.value.app_reason) == (403, 4001, "no")


async def test_a_close_by_the_app_is_seen_with_code_and_reason():
    async with Harness(echo) as ws:
        client = await ws.connect("/")
        await client.send("bye")
        closed = await client.expect_close(4002, "bye")
        assert closed.code == 4002
        with pytest.raises(wsharness.ConnectionClosed):
            await client.send("more")


async def test_a_client_that_left_says_so():
    async with Harness(echo) as ws:
        client = await ws.connect("/")
        await client.drop()
        with pytest.raises(wsharness.WebSocketError, match="has dropped"):
            await client.send("more")
        await client.reconnect()
        await client.send("again")
        await client.expect("again")


async def test_one_client_waits_for_one_thing_at_a_time():
    async with Harness(echo) as ws:
        client = await ws.connect("/")
        waiting = asyncio.ensure_future(client.expect("x"))
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="already waits"):
            await client.expect("y")
        await client.send("x")
        assert await waiting == "x"


async def test_wait_for_skips_and_expect_none_notices():
    async with Harness(echo) as ws:
        client = await ws.connect("/")
        for text in ("a", "b", "c"):
            await client.send(text)
        assert await client.wait_for("c") == "c"
        await client.expect_none(0.01)
        await client.send("d")
        with pytest.raises(AssertionError, match="expected no message"):
            await client.expect_none(0.5)


async def test_a_handler_that_never_ends_is_named_and_cancelled():
    async def stubborn(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    with pytest.raises(HandlerStuck, match="stubborn"):
        async with Harness(stubborn, lifespan="off", timeout=0.05, grace=0.05) as ws:
            await ws.connect("/")


async def test_cleanup_after_the_disconnect_is_never_cut():
    done = []

    async def careful(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await asyncio.sleep(0.05)
        done.append(True)

    async with Harness(careful, lifespan="off") as ws:
        await ws.connect("/")
    assert done


async def test_concurrent_connects_keep_their_own_paths():
    async def paths(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": scope["path"]})
        await receive()

    async with Harness(paths, lifespan="off") as ws:
        clients = await asyncio.gather(*(ws.connect(f"/{n}").__aenter__() for n in range(5)))
        for n, client in enumerate(clients):
            await client.expect(f"/{n}")


async def test_a_state_given_by_hand_needs_no_lifespan():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["state"])
        await receive()
        await send({"type": "websocket.close"})

    state = {"db": []}
    async with Harness(app, lifespan="off", state=state) as ws:
        for _ in range(2):
            with pytest.raises(ConnectionRejected):
                await ws.connect()
    assert seen == [state, state]
    assert seen[0] is not seen[1]
    with pytest.raises(UsageError, match="leave them out with a URL"):
        Harness("ws://127.0.0.1:1", state=state)


async def test_the_headers_given_are_not_changed():
    headers = {"X-A": "1"}
    async with Harness(echo) as ws:
        await ws.connect("/", headers=headers, subprotocols=["x"])
    assert headers == {"X-A": "1"}


async def test_a_path_without_a_slash_is_refused():
    async with Harness(echo) as ws:
        with pytest.raises(UsageError, match="begins with '/'"):
            await ws.connect("chat")


async def test_after_the_end_connect_says_what_to_do():
    harness = Harness(echo)
    async with harness as ws:
        pass
    with pytest.raises(UsageError, match="has ended"):
        await ws.connect("/")


async def test_aclose_twice_does_nothing():
    harness = Harness(echo)
    await harness.connect("/")
    await harness.aclose()
    before = list(harness.transcript)
    await harness.aclose()
    assert harness.transcript == before != []


async def test_checks_run_over_what_happened():
    with pytest.raises(wsharness.CheckFailed, match="WSH101"):
        async with Harness(echo, raise_app_exceptions=True) as ws:
            client = await ws.connect("/")
            await client.send("boom")
            with pytest.raises(ValueError):
                await client.expect("x")
            ws.check()


async def test_many_clients_connect_at_once():
    async with Harness(echo) as ws:
        clients = await ws.connect_many(20, "/")
        assert len({client.name for client in clients}) == 20


async def test_gathered_connects_are_awaited_as_they_are():
    async with Harness(echo) as ws:
        clients = await asyncio.gather(*(ws.connect("/", subprotocols=[str(n)]) for n in range(3)))
        assert [client.subprotocol for client in clients] == ["0", "1", "2"]


async def test_two_tasks_use_one_harness_at_once():
    async def talk(ws, n):
        async with ws.connect("/") as client:
            for _ in range(5):
                await client.send(str(n))
                await client.expect(str(n))
                await ws.settle()

    async with Harness(echo) as ws:
        await asyncio.gather(*(talk(ws, n) for n in range(4)))


@pytest.mark.parametrize("within", [0.02, 0])
async def test_what_a_machine_that_stood_still_did_not_let_run_is_no_silence(within):
    async def slow(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        time.sleep(0.05)
        for _ in range(20):
            await asyncio.sleep(0)
        await send({"type": "websocket.send", "text": "done"})
        await receive()

    async with Harness(slow, lifespan="off") as ws:
        client = await ws.connect("/")
        await client.send("go")
        if within:
            await client.expect("done", within=within)
        else:
            await client.expect_none(within)  # who does not wait gives it no turns


async def test_everyone_hears_it():
    async with Harness(echo) as ws:
        clients = await ws.connect_many(3, "/")
        for client in clients:
            await client.send({"n": 1})
        assert await ws.expect_all(clients, {"n": int}, where=lambda m: m["n"] == 1) == [{"n": 1}] * 3


async def test_whoever_hears_something_else_is_named():
    async with Harness(echo, timeout=0.05) as ws:
        clients = await ws.connect_many(3, "/")
        await clients[0].send("a")
        await clients[1].send("b")
        with pytest.raises(AssertionError) as failed:
            await ws.expect_all(clients, "a")
    lines = str(failed.value).splitlines()
    assert lines[0] == "2 of 3 clients got something else"
    assert lines[1] == "  client2: expected 'a'; got 'b'"
    assert re.fullmatch(r"  client3: expected 'a' within 0(\.0\d{1,2})? s; no message came", lines[2])


async def test_settled_means_that_nothing_can_run():
    async def slow(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        for _ in range(50):  # longer than any count of quiet turns
            await asyncio.sleep(0)
        await asyncio.to_thread(lambda: None)
        await anyio.to_thread.run_sync(lambda: time.sleep(0.02))
        await send({"type": "websocket.send", "text": "done"})
        await receive()

    async with Harness(slow, lifespan="off", timeout=30) as ws:
        client = await ws.connect("/")
        await client.send("go")
        await ws.settle()
        assert client.received == ["done"]


async def test_an_app_that_never_settles_is_a_failure():
    async def busy(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        waiting = asyncio.ensure_future(receive())
        while not waiting.done():
            await asyncio.sleep(0)

    async with Harness(busy, lifespan="off") as ws:
        await ws.connect("/")
        with pytest.raises(AssertionError, match=r"expected the app to settle within 0\.02 s; it goes on"):
            await ws.settle(0.02)


BAD = {
    "a limit": (lambda ws: ws.connect("/", timeout=-1), "expected timeout in seconds, 0 or more; got -1"),
    "a name": (lambda ws: ws.connect("/", name=3), "expected a client's name; got 3; write name='alice'"),
    "a count": (lambda ws: ws.connect_many("3", "/"), "expected how many clients to connect; got '3'"),
    "an argument": (lambda ws: ws.connect_many(3, "/", header={}), "expected arguments of connect; got 'header'"),
    "a time to settle": (lambda ws: ws.settle("1s"), "expected within in seconds"),
    "a time for all": (lambda ws: ws.expect_all([], "x", within=-1), "expected within in seconds"),
    "no clients": (
        lambda ws: ws.expect_all(["alice"], "x"),
        r"as in expect_all\(\[alice, bob\], ...\); got \['alice'\]",
    ),
    "no list": (lambda ws: ws.expect_all(3, "x"), r"as in expect_all\(\[alice, bob\], ...\); got 3"),
    "a header": (lambda ws: ws.connect("/", headers={"a": "b\r\nc"}), "expected one line for the header 'a'"),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_input_is_one_sentence(name):
    call, sentence = BAD[name]
    async with Harness(echo) as ws:
        with pytest.raises(UsageError, match=sentence) as wrong:
            await call(ws)
        assert "\n" not in str(wrong.value)


@pytest.mark.parametrize("option", ["timeout", "grace"])
def test_a_harness_with_a_wrong_limit_is_refused(option):
    with pytest.raises(UsageError, match=f"expected {option} in seconds, 0 or more; got '1s'"):
        Harness(echo, **{option: "1s"})


@pytest.mark.parametrize(
    ("option", "value", "sentence"),
    [
        ("lifespan", "maybe", "expected lifespan 'auto', 'on' or 'off'; got 'maybe'"),
        ("state", 5, "expected state as a dict; got 5"),
        ("root_path", 5, "expected root_path as text, such as '/api'; got 5"),
        ("client", "10.0.0.1", "expected client as a host and a port, such as .*; got '10.0.0.1'"),
        ("client", ("10.0.0.1", "80"), "expected client as a host and a port"),
    ],
)
def test_what_no_server_tells_an_app_is_refused(option, value, sentence):
    with pytest.raises(UsageError, match=sentence):
        Harness(echo, **{option: value})


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        ("shop.main:app", "; import it: from shop.main import app"),
        (asyncio, "; name the app in it: asyncio.app"),
        (None, "got None"),
    ],
)
def test_what_is_no_app_is_refused(app, sentence):
    with pytest.raises(UsageError, match=f"expected an ASGI app, a callable, or a URL such as .*{sentence}"):
        Harness(app)


def leaving(then):
    async def app(scope, receive, send):
        async def beat():
            await asyncio.sleep(3600)
            await send({"type": "websocket.send", "text": "beat"})

        await receive()
        await send({"type": "websocket.accept"})
        task = asyncio.create_task(beat())
        await receive()
        then(task)

    return app


async def test_a_check_fails_on_a_task_that_outlives_its_connection():
    tasks = []
    async with Harness(leaving(tasks.append), lifespan="off") as ws:
        client = await ws.connect("/")
        ws.check()  # it still is connected
        await client.close()
        await ws.settle()
        with pytest.raises(
            CheckFailed, match=r"WSH104 .*beat still runs after its connection ended; it was created at"
        ):
            ws.check()
        tasks[0].cancel()
        ws.check()


def test_a_check_without_await_sees_tasks_too():
    with SyncHarness(Harness(leaving(id), lifespan="off")) as ws:
        ws.connect("/").close()
        ws.settle()
        with pytest.raises(CheckFailed, match="WSH104"):
            ws.check()


async def test_a_task_that_is_about_to_end_is_no_leak():
    async with Harness(leaving(asyncio.Task.cancel), lifespan="off") as ws:
        await (await ws.connect("/")).close()
        await asyncio.sleep(0)
        ws.check()


def test_a_harness_is_closed_on_its_own_loop():
    harness = Harness(echo)

    async def connect():
        await harness.connect("/")

    asyncio.run(connect())
    with pytest.raises(UsageError, match="started on another event loop or thread; close it in the same"):
        asyncio.run(harness.aclose())


async def test_a_thread_that_a_handler_waits_for_is_named():
    go_on = threading.Event()

    def work():
        go_on.wait(10)

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.to_thread(work)

    async with Harness(app, lifespan="off") as ws:
        client = await ws.connect("/")
        with pytest.raises(ExpectationError, match=r"a thread is at tests/test_harness.py:\d+ in .*work"):
            await client.expect("x", within=0.05)
        go_on.set()


async def test_nothing_is_sent_where_a_reconnect_asks_for_what_is_unknown():
    async with Harness(echo) as ws:
        client = await ws.connect("/")
        with pytest.raises(UsageError, match="expected arguments of connect; got 'url'"):
            await client.reconnect(url="/x")
        await client.reconnect(subprotocols=["a"])
        assert client.subprotocol == "a"


async def test_many_others_are_counted_in_an_error():
    async with Harness(echo, timeout=0.02) as ws:
        clients = await ws.connect_many(10, "/")
        with pytest.raises(AssertionError, match="3 more clients"):
            await clients[0].expect("x")


async def test_very_many_clients_let_the_loop_turn_while_they_connect(monkeypatch):
    turns = []
    monkeypatch.setattr("wsharness.harness.AT_ONCE", 2)
    async with Harness(echo) as ws:
        asyncio.get_running_loop().call_soon(lambda: turns.append(len(ws.transcript)))
        await ws.connect_many(5, "/")
        assert turns == [2]  # handshakes so far


def test_a_loop_that_does_not_show_its_queue_settles_too():
    uvloop = pytest.importorskip("uvloop")

    async def main():
        async with Harness(echo) as ws:
            client = await ws.connect("/")
            await client.send("a")
            await ws.settle()
            assert client.unread == ("a",)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())


def test_the_same_verbs_settle_on_trio():
    async def chatty(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        await send({"type": "websocket.send", "text": "done"})
        await receive()

    async def main():
        async with Harness(chatty, lifespan="off") as ws:
            client = await ws.connect("/")
            await client.send("go")
            await ws.settle()
            assert client.received == ["done"]
            assert await client.expect() == "done"
            with pytest.raises(UsageError, match="another event loop or thread"):
                await trio.to_thread.run_sync(trio.run, client.send, "x")

    trio.run(main)


def test_what_never_settles_on_trio_is_a_failure():
    async def busy(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        while True:
            await trio.lowlevel.checkpoint()

    async def main():
        async with Harness(busy, lifespan="off", grace=0.05) as ws:
            await ws.connect("/")
            with pytest.raises(AssertionError, match="it goes on"):
                await ws.settle(0.02)

    with pytest.raises(HandlerStuck):
        trio.run(main)


async def test_the_disk_may_be_forbidden_on_the_loop(monkeypatch):
    """As blockbuster does, which raises in whatever blocks an event loop."""

    def forbid(*_, **__):
        raise RuntimeError("blocking call")

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        await send({"type": "websocket.nonsense"})

    probes.place.cache_clear()
    for name in ("realpath", "abspath", "relpath"):
        monkeypatch.setattr(os.path, name, forbid)
    monkeypatch.setattr(os, "getcwd", forbid)
    with pytest.raises(RuntimeError, match="unexpected ASGI event 'websocket.nonsense'"):
        async with Harness(app, lifespan="off") as ws:
            client = await ws.connect()
            await client.send("x")
            await client.expect()
    probes.place.cache_clear()


async def test_a_crowd_leaves_in_turns_so_that_it_does_not_look_like_a_busy_loop(monkeypatch):
    monkeypatch.setattr("wsharness.harness.AT_ONCE", 2)
    async with Harness(echo, lifespan="off") as ws:
        await ws.connect_many(4, "/")
    happened = [(record.client, record.event) for record in ws.transcript]
    told = next(index for index, (_, event) in enumerate(happened) if "websocket.disconnect" in str(event))
    assert told < happened.index(("client3", Leave()))

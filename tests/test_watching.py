import asyncio
import contextlib
import dataclasses
import logging

import falcon.asgi
import pytest
import quart
from fastapi import FastAPI, WebSocket, WebSocketException
from starlette.applications import Starlette
from starlette.endpoints import WebSocketEndpoint
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect

from tests.bugs import load
from wsharness import simulate
from wsharness.errors import ConnectionLost, ConnectionRejected, ExpectationError, WebSocketError
from wsharness.profiles import PROFILES
from wsharness.scenario.loading import loads


def run(app, *messages, path="/ws"):
    async def drive(ws):
        client = await ws.connect(path)
        for message in messages:
            await client.send(message)
        await ws.settle()

    return simulate(drive, app)


def codes(result):
    return [failure.code for failure in result.failures if failure.code != "WSH501"]


def bare(*events):
    """An app that sends these events, whatever becomes of them, and waits for its client to leave."""

    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        for event in events:
            try:
                await send(event)
            except Exception:
                logging.getLogger("shop").exception("not sent")
        while (await receive())["type"] != "websocket.disconnect":
            pass

    return app


ACCEPT, CLOSE = {"type": "websocket.accept"}, {"type": "websocket.close"}


@pytest.mark.parametrize(
    "events, code",
    [
        ([ACCEPT, {"type": "websocket.send"}], "WSH201"),
        ([ACCEPT, {"type": "websocket.send", "text": 5}], "WSH201"),
        ([ACCEPT, ACCEPT], "WSH201"),
        ([ACCEPT, CLOSE, CLOSE], "WSH202"),
        ([ACCEPT, {**CLOSE, "code": 1006}], "WSH203"),
        ([ACCEPT, {**CLOSE, "reason": "x" * 124}], "WSH203"),
        ([ACCEPT, {"type": "websocket.send", "text": "\ud800"}], "WSH204"),
        ([{**CLOSE, "code": 4401}], "WSH205"),
        ([{**ACCEPT, "subprotocol": "v1"}], "WSH207"),
    ],
)
def test_a_rule_that_is_broken_is_said_with_the_place(events, code):
    result = run(bare(*events))
    [failure] = [failure for failure in result.failures if failure.code == code]
    assert failure.frame.file.endswith("test_watching.py") and failure.frame.function.endswith("app")
    assert "WSH101" not in codes(result)


def test_what_the_server_raises_for_a_broken_rule_is_reported_as_that_and_no_second_time():
    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        await send(ACCEPT)
        await send({"type": "websocket.send", "text": "\ud800"})

    assert codes(run(app)) == ["WSH204"]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("choose, codes_told", [(lambda _: "v9", ["WSH207"]), (lambda offered: offered[-1], [])])
def test_a_subprotocol_is_told_that_was_not_offered(profile, choose, codes_told):
    app = FastAPI()

    @app.websocket("/ws")
    async def speak(websocket: WebSocket):
        await websocket.accept(subprotocol=choose(websocket.scope["subprotocols"]))
        async for text in websocket.iter_text():
            await websocket.send_text(text)

    async def drive(ws):
        with contextlib.suppress(ConnectionLost, ConnectionRejected, WebSocketError, ExpectationError):
            await ws.connect("/ws", subprotocols=["v1", "v2"])

    result = simulate(drive, app, profile=profile)
    told = [failure for failure in result.failures if failure.code not in ("WSH102", "WSH106")]  # daphne: no word
    assert [failure.code for failure in told] == codes_told
    assert all(failure.frame.function.endswith("speak") for failure in told)


def test_a_close_code_that_the_framework_chose_is_not_held_against_the_app():
    app = FastAPI()

    @app.websocket("/ws")
    async def refuses(websocket: WebSocket):
        raise WebSocketException(4401)

    result = run(app)
    assert codes(result) == [] and isinstance(result.error, ConnectionRejected)


def test_a_handler_that_returns_from_an_open_connection():
    async def app(scope, receive, send):
        if scope["type"] == "websocket":
            await receive()
            await send(ACCEPT)

    assert codes(run(app)) == ["WSH206"]
    assert codes(run(bare(ACCEPT))) == codes(run(bare(ACCEPT, CLOSE))) == []


@pytest.mark.parametrize(
    "name, message, exception",
    [
        ("unhashable_type", {"command": []}, "TypeError"),
        ("division_by_count", {"type": "vote", "stars": None}, "ZeroDivisionError"),
        ("top_level_list", [], "AttributeError"),
    ],
)
def test_what_a_framework_catches_is_an_exception_like_any_other(name, message, exception):
    """Litestar closes with 4500, Quart logs and closes with 1000, Falcon closes with 1011."""
    bug = load(name)
    result = run(bug.broken(), message)
    [crash] = [failure for failure in result.failures if failure.code == "WSH101"]
    assert (crash.kind, crash.frame.function.rpartition(".")[2]) == (exception, bug.FUNCTION)
    assert codes(run(bug.correct(), message)) == []


def test_what_the_app_itself_logs_or_answers_has_been_handled():
    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        await send(ACCEPT)
        try:
            raise KeyError("x")
        except KeyError:
            logging.getLogger("shop").exception("oh")
            await send({**CLOSE, "code": 1011})

    assert codes(run(app)) == []


def test_a_handshake_answered_with_500():
    async def app(scope, receive, send):
        if scope["type"] != "websocket":
            raise NotImplementedError
        await receive()
        await send({"type": "websocket.http.response.start", "status": 503, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})

    result = run(app)
    assert codes(result) == ["WSH302"] and isinstance(result.error, WebSocketError)


class Echo:
    async def on_websocket(self, request, websocket):
        await websocket.accept()
        await websocket.send_text(await websocket.receive_text())


class Endpoint(WebSocketEndpoint):
    encoding = "text"


def served_by_falcon():
    app = falcon.asgi.App()
    app.add_route("/ws", Echo())
    return app


@pytest.mark.parametrize(
    "app",
    [served_by_falcon(), Starlette(routes=[WebSocketRoute("/ws", Endpoint)])],
    ids=["falcon", "starlette"],
)
def test_a_message_of_the_other_kind_is_told_in_whatever_words_the_framework_refuses_it(app):
    assert codes(run(app, b"\0")) == ["WSH112"]


async def late(scope, receive, send):
    """Closes with the code of its client's end, after it."""
    await receive()
    await send(ACCEPT)
    code = (await receive())["code"]
    await send({"type": "websocket.close", "code": code})


def test_a_close_of_what_is_gone_is_not_judged_by_its_code():
    async def leave(ws):
        await (await ws.connect("/ws")).drop()

    assert codes(simulate(leave, late, lifespan="off")) in ([], ["WSH106"])


async def ask_elsewhere(scope, receive, send):
    await receive()
    await send(ACCEPT)
    try:
        await asyncio.open_connection("127.0.0.1", 9)
    except Exception as error:
        raise ConnectionError("no answer from the database") from error


def test_what_a_simulation_refuses_is_no_crash_of_the_app():
    [failure] = [one for one in simulate(visit, ask_elsewhere, lifespan="off").failures if one.code != "WSH501"]
    assert (failure.code, failure.severity) == ("WSH305", "warning")
    assert "no room for a socket" in failure.message


async def visit(ws):
    await ws.connect("/ws")
    await ws.settle()


def serve(handler):
    return Starlette(routes=[WebSocketRoute("/ws", handler)])


async def echoes_as_far_as_it_goes(websocket):
    await websocket.accept()
    while True:
        text = await websocket.receive_text()
        with contextlib.suppress(Exception):
            await websocket.send_text(text)


async def echoes_in_a_group(websocket):
    async with asyncio.TaskGroup() as group:
        group.create_task(echoes_as_far_as_it_goes(websocket))


async def receives_after_the_end(websocket):
    await websocket.accept()
    await websocket.receive()
    await websocket.receive()
    await websocket.receive()


async def say_and_leave(ws):
    client = await ws.connect("/ws")
    await client.send("hi")
    await client.close()


def test_who_finds_its_client_gone_after_a_send_that_was_swallowed_is_a_disconnect_not_handled():
    assert codes(simulate(say_and_leave, serve(echoes_as_far_as_it_goes))) == ["WSH106"]
    assert codes(simulate(say_and_leave, serve(echoes_in_a_group))) == ["WSH106"]
    assert codes(simulate(say_and_leave, serve(receives_after_the_end))) == ["WSH101"]


async def sends_to_who_has_gone(websocket):
    await websocket.accept()
    HERE.append(websocket)
    await websocket.receive()
    for one in HERE:
        with contextlib.suppress(WebSocketDisconnect):
            await one.send_text("bye")
    await HERE[0].send_text("bye again")


HERE = []


async def both_leave(ws):
    first, second = await ws.connect("/ws"), await ws.connect("/ws")
    await first.close()
    await second.close()


def test_what_is_sent_to_another_who_has_gone_is_no_end_of_ones_own():
    assert "WSH101" in codes(simulate(both_leave, serve(sends_to_who_has_gone)))


WORKERS = []


async def gives_work(websocket):
    await websocket.accept()
    WORKERS.append(asyncio.create_task(fails()))
    await websocket.receive()


async def fails():
    raise LookupError("no such job")


async def leave(ws):
    await (await ws.connect("/ws")).close()


def test_a_task_that_failed_is_told_of_though_something_holds_it():
    result = simulate(leave, serve(gives_work))
    assert codes(result) == ["WSH110"] and "no such job" in result.failures[0].message


def quart_printer(*, gives_back):
    """One prints at a time; Quart cancels the handler of a client that leaves, also while it prints."""
    app = quart.Quart("printer")
    lock = asyncio.Lock()

    @app.websocket("/ws")
    async def prints():
        while True:
            await quart.websocket.receive()
            await lock.acquire()
            try:
                await asyncio.sleep(1)
                await quart.websocket.send("printed")
            except BaseException:
                if gives_back:
                    lock.release()
                raise
            lock.release()

    return app


PRINTING = """
wsharness: 1
clients: {ann: {path: /ws}, bob: {path: /ws}}
steps:
  - ann: connect
  - ann: {send: page}
  - pause: 0.1s
  - ann: drop
  - bob: connect
  - bob: {send: page}
  - pause: 5s
"""


def test_a_lock_that_went_away_with_its_holder_is_a_deadlock_before_its_waiter_leaves():
    [scenario] = loads(PRINTING)
    result = simulate(scenario, quart_printer(gives_back=False))
    assert codes(result) == ["WSH105"] and result.failures[0].client == "bob"
    assert "no task is left to release" in result.failures[0].message
    assert codes(simulate(scenario, quart_printer(gives_back=True))) == []


def holds_a_lock_while_it_listens():
    lock = asyncio.Lock()

    async def draws(websocket):
        await websocket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            async with lock:
                await websocket.receive_text()

    return serve(draws)


async def both_draw(ws):
    await ws.connect("/ws")
    await ws.connect("/ws")
    await ws.settle()


def test_a_lock_whose_holder_still_listens_is_no_deadlock():
    assert codes(simulate(both_draw, holds_a_lock_while_it_listens())) == []


def test_a_cancelled_timer_keeps_no_connection():
    scenario = dataclasses.replace(loads(PRINTING)[0], steps=loads(PRINTING)[0].steps[:4])
    assert codes(simulate(scenario, quart_printer(gives_back=True), memory=True)) == []

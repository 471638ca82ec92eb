"""Profiles are data: strict raises wherever a server does, names are checked, an app runs on trio as on asyncio."""

import re
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from tests.fidelity.replay import CASES, FOUND, load, replay
from wsharness import ConnectionRejected, Harness
from wsharness.errors import UsageError
from wsharness.profiles import PROFILES, get_profile

RAISED = re.compile(r"~?(\S+(?: type>)?) RAISES")
MEASURED = load(CASES) | load(FOUND)
EXCUSED = {
    "hs_sub_two_lines",  # hypercorn reads one header line less: no fault of the app's
    "d_close_in_response_body",  # strict raises at the close before, which is so without effect
}


def raised(tokens: list[str]) -> set[str]:
    return {match[1] for token in tokens if (match := RAISED.match(token))}


def raised_by_servers(case: dict[str, Any]) -> set[str]:
    stable = (cell for cell in case["expect"].values() if not cell.get("unstable"))
    return {name for cell in stable for name in raised(cell["app"])}


RAISING = [key for key, case in MEASURED.items() if case["level"] == "message" and raised_by_servers(case)]


def test_strict_raises_wherever_a_server_does():
    measured = [(key, MEASURED[key]) for key in RAISING if key not in EXCUSED]
    missing = {key: raised_by_servers(case) - raised(replay(case, "strict").app) for key, case in measured}
    assert {key: names for key, names in missing.items() if names} == {}


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UsageError, match=r"unknown profile 'hypercron'; did you mean 'hypercorn'\?"):
        get_profile("hypercron")
    with pytest.raises(UsageError, match="unknown profile 'x'; known: uvicorn, "):
        get_profile("x")


def test_a_profile_is_its_own_name():
    assert all(get_profile(name) is get_profile(profile) is profile for name, profile in PROFILES.items())


async def echo(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": event["text"]})
        await trio.sleep(30)
    echo.disconnect = event


def test_an_app_runs_on_trio_behind_hypercorn():
    """Both keys in its events, 1006 of a close with a code, and 30 s of virtual time."""

    async def main():
        async with Harness(echo, profile="hypercorn", timeout=100) as ws:
            client = await ws.connect("/")
            for word in ("a", "b"):
                await client.send(word)
                assert await client.expect_text() == word
            await client.close(4001, "bye")
        return ws.transcript

    transcript = trio.run(main, clock=MockClock(autojump_threshold=0))
    seen = [record.event for record in transcript if isinstance(record.event, dict)]
    assert {"type": "websocket.receive", "bytes": None, "text": "a"} in seen
    assert echo.disconnect == {"type": "websocket.disconnect", "code": 1006}


async def goes(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})


@pytest.mark.parametrize(("profile", "code"), [("uvicorn", 1006), ("hypercorn", 1011), ("granian", 1005)])
def test_ends_on_trio_are_those_of_the_server(profile, code):
    async def main():
        async with Harness(goes, profile=profile) as ws:
            client = await ws.connect("/")
            await client.expect_close(code)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def refuses(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.close"})
    refuses.told = await receive()


def test_a_refused_client_hangs_up_as_client_libraries_do():
    """Only hypercorn tells the app so; all others tell it at the refusal."""

    async def main():
        async with Harness(refuses, profile="hypercorn") as ws:
            with pytest.raises(ConnectionRejected, match="403"):
                await ws.connect("/")

    trio.run(main, clock=MockClock(autojump_threshold=0))
    assert refuses.told == {"type": "websocket.disconnect", "code": 1000}


async def slow(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})
    await trio.sleep(11)


def test_a_handler_that_daphne_cancels_has_not_crashed():
    """It cancels whatever still runs ten seconds after its client left: no exception of the app's."""

    async def main():
        async with Harness(slow, profile="daphne", grace=20) as ws:
            client = await ws.connect("/")
            await client.close()
        return trio.current_time()

    started = trio.run(main, clock=MockClock(autojump_threshold=0))
    assert 10 <= started < 11.5

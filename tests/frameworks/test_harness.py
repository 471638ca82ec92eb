"""The harness on real frameworks: connect, echo, close and lost on each, on the real loop and in simulation."""

import pytest

from tests.frameworks.apps import APPS, NO_STATE, SEEN
from wsharness import ConnectionRejected, Harness
from wsharness.simulation import simulate
from wsharness.targets import discover_routes

HIDES = ("quart", "litestar", "falcon")
"""Frameworks that answer a crash with a close code of their own, and log it."""

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(params=APPS)
def name(request):
    SEEN.clear()
    return request.param


async def converse(ws, name):
    client = await ws.connect("/ws")
    await client.send("hi")
    await client.expect("hi")
    await client.send_bytes(b"\x00\xff")
    assert await client.expect_bytes() == b"\x00\xff"
    await client.close(4321)
    lost = await ws.connect("/ws")
    await lost.drop()
    closing = await ws.connect("/ws")
    await closing.send("close")
    closed = await closing.expect_close(4001)
    assert closed.reason in ("bye", "")
    with pytest.raises(ConnectionRejected) as rejected:
        await ws.connect("/deny")
    assert rejected.value.status == 403


async def test_a_conversation_on_the_running_loop(name):
    async with Harness(APPS[name]()) as ws:
        await converse(ws, name)
    assert len([who for who, _ in SEEN if who == name]) >= 1


def test_a_conversation_in_simulation(name):
    result = simulate(lambda ws: converse(ws, name), APPS[name]())
    if result.error is not None:
        raise result.error
    assert [failure for failure in result.failures if failure.severity == "failure"] == []


@pytest.mark.parametrize("profile", ["uvicorn", "hypercorn"])
def test_a_crash_is_found_on_every_framework_that_does_not_hide_it(name, profile):
    async def drive(ws):
        client = await ws.connect("/ws")
        await client.send("raise")
        await ws.settle()

    result = simulate(drive, APPS[name](), profile=profile)
    codes = {failure.code for failure in result.failures}
    assert "WSH101" in codes or name in HIDES


@pytest.mark.parametrize("name", [name for name in APPS if name != "bare"])
def test_routes_are_found(name):
    paths = {route.path for route in discover_routes(APPS[name]())}
    assert "/ws" in paths


def test_every_framework_but_one_has_a_lifespan():
    assert NO_STATE == {"channels"}

import asyncio
import functools
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from wsharness import Harness, simulate
from wsharness.errors import ExpectationError
from wsharness.interrupts import as_failure, is_ctrl_c
from wsharness.workers import run_all


@pytest.fixture
def ctrl_c_raises():
    """As in a terminal's foreground; what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "error, users", [(KeyboardInterrupt(), True), (SystemExit(), False), (ValueError(), False)], ids=repr
)
def test_the_users_is_what_a_ctrl_c_raises(error, users, ctrl_c_raises):
    assert is_ctrl_c(error) is users


def test_where_no_ctrl_c_arrives_it_is_the_apps(ctrl_c_raises):
    with ThreadPoolExecutor() as pool:
        assert not pool.submit(is_ctrl_c, KeyboardInterrupt()).result()
    [(_, in_a_run)] = run_all(lambda: is_ctrl_c(KeyboardInterrupt()), [()])
    assert in_a_run is False
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert not is_ctrl_c(KeyboardInterrupt())


def raised(function, *args):
    with pytest.raises(KeyboardInterrupt) as found:
        function(*args)
    return found.value


def by_hand():
    raise KeyboardInterrupt("mine")


def by_hand_again():
    try:
        by_hand()
    except KeyboardInterrupt as error:
        raise error from None


def presses():
    for _ in range(10):
        signal.raise_signal(signal.SIGINT)


def handles(*_):
    raise KeyboardInterrupt("a handler's")


@pytest.mark.parametrize("function, users", [(by_hand, False), (by_hand_again, False), (presses, True)])
def test_what_an_apps_raise_raised_is_no_ctrl_c(function, users, ctrl_c_raises):
    assert is_ctrl_c(raised(function)) is users


@pytest.mark.parametrize("handler", [handles, functools.partial(handles)], ids=["function", "partial"])
def test_a_handler_in_python_raises_for_the_user(handler, ctrl_c_raises):
    signal.signal(signal.SIGINT, handler)
    assert is_ctrl_c(raised(presses))
    assert not is_ctrl_c(raised(by_hand))


def test_asyncios_own_handler_raises_for_the_user(ctrl_c_raises):
    async def main():
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt) as found:
            signal.raise_signal(signal.SIGINT)  # the second: the first cancels the main task
        return is_ctrl_c(found.value)

    seen = []

    async def keeps():
        seen.append(await main())

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(keeps())
    assert seen == [True]


def test_a_test_is_told_of_an_apps_with_an_error_that_ends_no_other(ctrl_c_raises):
    error = raised(by_hand)
    failure = as_failure(error)
    assert isinstance(failure, ExpectationError) and failure.__cause__ is error
    pressed, other = raised(presses), ValueError()
    assert as_failure(pressed) is pressed and as_failure(other) is other


def ends(how):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await receive()
        if how == "callback":
            asyncio.get_running_loop().call_soon(by_hand)
            await asyncio.sleep(1)
        by_hand()

    return app


async def talk(ws):
    client = await ws.connect("/")
    await client.send("hi")
    await client.expect()


@pytest.mark.parametrize("how, code", [("handler", "WSH101"), ("callback", "WSH113")])
def test_what_an_app_raises_is_found_where_a_ctrl_c_would_be_heard(how, code, ctrl_c_raises):
    assert code in [failure.code for failure in simulate(talk, ends(how), lifespan="off").failures]


async def test_a_harness_raises_what_ends_no_tests(ctrl_c_raises):
    with pytest.raises(ExpectationError, match="ends no process; it raised KeyboardInterrupt"):
        async with Harness(ends("handler"), lifespan="off") as ws:
            await talk(ws)


def test_the_users_ctrl_c_ends_a_simulation(ctrl_c_raises):
    async def app(scope, receive, send):
        await receive()
        presses()

    with pytest.raises(KeyboardInterrupt):
        simulate(talk, app, lifespan="off")

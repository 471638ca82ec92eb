"""pytest inside pytest, in this process: quick, and seen by coverage."""

import hypothesis.strategies  # noqa: F401 (imported here, once, else again by every pytest inside)
import pytest

import wsharness.simulation
import wsharness.sync
import wsharness.targets  # noqa: F401

CONFTEST = """
import logging
import pytest

async def app(scope, receive, send):
    await receive()
    if scope["type"] == "lifespan":
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return await send({"type": "lifespan.shutdown.complete"})
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] != "websocket.disconnect":
        logging.getLogger("shop").warning("got %s", event["text"])
        await send({"type": "websocket.send", "text": event["text"]})

@pytest.fixture
def ws_app():
    return app
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Run a test module in this process, without other plugins; what it printed."""
    monkeypatch.setenv("COLUMNS", "300")

    def run(test, *options, conftest=CONFTEST):
        pytester.makeconftest(conftest)
        pytester.makepyfile(test_it=test)
        unwanted = ("asyncio", "anyio", "cacheprovider", "randomly", "django", "timeout", "rerunfailures", "xdist")
        words = [word for name in unwanted if f"use:{name}" not in options for word in ("-p", f"no:{name}")]
        result = pytester.runpytest_inprocess(*words, *(word for word in options if not word.startswith("use:")))
        return str(result.stdout) + str(result.stderr)

    return run

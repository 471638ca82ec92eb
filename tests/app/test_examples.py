"""The eight examples on FastAPI and on wsharness.app: they converse alike, and the harness finds the same in both."""

import importlib
import json
import os
import subprocess
import sys

import pytest

from scenarios.apps.framework import CHOICES
from wsharness import ConnectionRejected, Harness

MODULE = "scenarios.apps"


def forget_examples():
    for name in [name for name in sys.modules if name.startswith(f"{MODULE}.")]:
        del sys.modules[name]


@pytest.fixture
def on(monkeypatch):
    """Imports an example anew, on the framework of that name."""

    def load(framework, example):
        monkeypatch.setenv("WSHARNESS_EXAMPLES", framework)
        forget_examples()
        module = importlib.import_module(f"{MODULE}.{example}")
        assert type(module.app).__module__.startswith(framework)
        return module.app

    yield load
    forget_examples()


TALKS = {
    "echo": ("/ws", ["hi", "Message text was: hi"]),
    "path_parameters": ("/ws/7", ["hi", "Client 7: hi"]),
    "json_messages": ("/ws/json", [{"a": [1]}, {"type": "response", "original_message": {"a": [1]}}]),
    "chat": ("/ws/7", ["hi", "You wrote: hi"]),
    "query": ("/ws?room=tea&user_id=7", [None, "Welcome to room tea, user 7!", "hi", "[tea] User 7: hi"]),
    "safe": ("/ws/safe", ["{", {"error": "Invalid JSON format"}, {"action": "x"}, {"success": True, "action": "x"}]),
    "custom_close": ("/ws/custom-close", ["hi", "Received: hi"]),
}


@pytest.mark.parametrize("framework", CHOICES)
@pytest.mark.parametrize("example", TALKS)
async def test_an_example_converses(on, framework, example):
    path, talk = TALKS[example]
    async with Harness(on(framework, example)) as ws:
        client = await ws.connect(path)
        for said, answer in zip(talk[::2], talk[1::2], strict=True):
            if said is not None:
                await client.send(said)
            await client.expect(answer)


@pytest.mark.parametrize("framework", CHOICES)
async def test_a_token_is_needed(on, framework):
    async with Harness(on(framework, "bearer")) as ws:
        for auth in (None, "wrong"):
            with pytest.raises(ConnectionRejected) as rejected:
                await ws.connect("/ws", auth=auth)
            assert rejected.value.status == 401
        client = await ws.connect("/ws", auth="valid-token")
        await client.expect("Authenticated with token: valid-token")


@pytest.mark.parametrize("framework", CHOICES)
async def test_a_query_that_does_not_validate_is_turned_away(on, framework):
    async with Harness(on(framework, "query")) as ws:
        with pytest.raises(ConnectionRejected) as rejected:
            await ws.connect("/ws?room=tea&user_id=seven")
        assert (rejected.value.status, rejected.value.app_code) == (403, 1008)


@pytest.mark.parametrize("framework", CHOICES)
async def test_the_app_closes_with_its_code_and_reason(on, framework):
    async with Harness(on(framework, "custom_close")) as ws:
        client = await ws.connect("/ws/custom-close")
        await client.send("error")
        await client.expect_close(1011, "Server error occurred")


# In a process of its own: what a run costs grows with what its process holds, and a test run holds much.
CHECK = """
import itertools
import json
from wsharness import conformance, conversations, demo, growth
kinds = {payload.reason: payload for payload in conversations.CATALOGUE}
conversations.CATALOGUE = tuple(kinds.values())[:20]
misses = conversations.near_misses
conversations.near_misses = lambda message: itertools.islice(misses(message), 8)
conversations.MANY_MESSAGES = 30
growth.sizes = dict
conformance._shrunk = lambda app, failure, case, options: (failure, case)
conformance._compare_runs = lambda *_: None
demo.RUNS = 4
found = []
for example, profile in demo.EXAMPLES:
    found += demo.findings(example, profile, demo.check(example, profile, 2).failures)
print(json.dumps([[*row[:3], row[3].rpartition(".")[2], *row[4:]] for row in found]))
"""


def test_the_harness_finds_the_same_on_both():
    found = {}
    for framework in CHOICES:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        environment = plain | {"WSHARNESS_EXAMPLES": framework}
        command = [sys.executable, "-c", CHECK]
        done = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", timeout=600, check=False)
        assert done.returncode == 0, done.stderr
        found[framework] = json.loads(done.stdout.splitlines()[-1])
    assert found["fastapi"] == found["wsharness.app"]
    assert {row[0] for row in found["fastapi"]} >= {"echo", "chat", "safe", "json_messages"}

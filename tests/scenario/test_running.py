import asyncio

import pytest

from wsharness.errors import ExpectationError
from wsharness.harness import Harness
from wsharness.scenario.loading import loads
from wsharness.scenario.model import ClientSpec, RunInfo, Scenario, Step, Verb
from wsharness.scenario.running import play
from wsharness.simulation import simulate

HEAD = "wsharness: 1\nname: talk\nclients: {alice: {path: /ws}, bob: {path: /deny}}\nsteps:\n"


async def echo(scope, receive, send):
    await receive()
    if scope["path"] == "/deny":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept"})
    while (event := await receive())["type"] != "websocket.disconnect":
        if event.get("text") == "bye":
            await send({"type": "websocket.close", "code": 4000, "reason": "bye"})
        else:
            await send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})


def test_a_clients_link_delays_what_it_says():
    [scenario] = loads("""
wsharness: 1
clients: {alice: {path: /ws, link: {latency: 20ms}}, bob: {path: /ws}}
steps:
  - alice: connect
  - alice: {send: a}
  - alice: {expect_none: 39ms}
  - alice: {expect: a, within: 2ms}
  - alice: close
  - alice: {connect: {link: {latency: 2s}}, within: 5s}
  - alice: {send: a}
  - alice: {expect_none: 3900ms}
  - alice: {expect: a}
  - alice: close
  - alice: {connect: {link: null}}
  - alice: {send: a}
  - alice: {expect: a, within: 1ms}
""")
    simulate(scenario, echo, lifespan="off").check()
    result = simulate(scenario, echo, lifespan="off", faults={"alice": {"latency": 0.1}})
    assert "expected no message" not in str(result.failures[0]) and result.failures  # what a run says comes first


async def run(steps, more=""):
    [scenario] = loads(HEAD + "".join(f"  - {step}\n" for step in steps) + more)
    async with Harness(echo, lifespan="off", timeout=0.05) as ws:
        await play(scenario, ws)
        return ws.transcript


@pytest.mark.parametrize(
    "steps",
    [
        ["alice: connect", "alice: {send: a}", "alice: {expect: a}"],
        ["alice: connect", "alice: {send: a}", "alice: {send: b}", "alice: {wait_for: b}"],
        ["alice: connect", "alice: {send: bye}", "alice: {expect_close: 4000}"],
        ["bob: {connect: {rejected: 403}}"],
        ["alice: connect", "alice: drop", "alice: connect", "alice: {send: a}", "alice: {expect: a}"],
        ["alice: connect", "alice: {close: 1001}"],
        ["alice: connect", "pause: 10ms", "alice: {send: {n: 1}}", "alice: {expect: {n: 1}}"],
    ],
    ids="; ".join,
)
async def test_a_scenario_that_is_true_passes(steps):
    assert await run(steps)


@pytest.mark.parametrize(
    "steps, sentence",
    [
        (["alice: connect", "alice: {send: a}", "alice: {expect: b}"], "talk, line 7: .*expected 'b'; got 'a'"),
        (["bob: connect"], "talk, line 5: .*HTTP 403"),
        (["alice: {connect: {rejected: 403}}"], "expected the handshake to be rejected with 403; it was accepted"),
        (["bob: {connect: {rejected: 404}}"], "expected another rejection"),
        (["alice: connect", "alice: {send: a}", "alice: {expect_close: 1000}"], "got the message 'a'"),
        (["alice: connect", "alice: drop", "alice: {send: a}"], "has dropped"),
    ],
    ids=["message", "rejected", "accepted", "status", "close", "dropped"],
)
async def test_the_first_step_that_fails_is_named(steps, sentence):
    with pytest.raises(ExpectationError, match=sentence):
        await run(steps)


async def test_a_generated_scenario_passes_over_what_can_no_longer_be_done():
    steps = ["bob: connect", "bob: {send: a}", "alice: connect", "alice: drop", "alice: {send: a}"]
    assert await run(steps, "run: {app: 'shop:app', expects: WSH101}\n")


def generated(*steps):
    made = tuple(Step(client, verb, **(more[0] if more else {})) for client, verb, *more in steps)
    clients = {name: ClientSpec("/ws") for name in ("ann", "bob")}
    return Scenario(clients=clients, steps=made, run=RunInfo(expects="any"))


def test_handshakes_of_a_generated_scenario_may_overlap():
    """Both are asked for before either is answered; a client's next step waits for its own answer."""
    at_once = {"within": 0.0}
    scenario = generated(
        ("ann", Verb.CONNECT, at_once),
        ("bob", Verb.CONNECT, at_once),
        ("ann", Verb.CONNECT),
        ("ann", Verb.SEND, {"value": "hi"}),
    )
    result = simulate(scenario, slow_to_accept)
    assert result.failures == []
    events = [(record.client, type(record.event).__name__) for record in result.transcript]
    assert events.index(("bob", "Connect")) < events.index(("ann", "Accepted"))
    assert events.index(("ann", "Accepted")) < events.index(("ann", "Sent"))
    assert ("bob", "Accepted") in events


async def slow_to_accept(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await asyncio.sleep(0.5)
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass

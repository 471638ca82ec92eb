import pytest

from wsharness.rules import Phase, broken, next_phase, says_internal_error

ACCEPT, CLOSE = {"type": "websocket.accept"}, {"type": "websocket.close"}
START = {"type": "websocket.http.response.start", "status": 401, "headers": []}
BODY = {"type": "websocket.http.response.body", "body": b""}


def send(**payload):
    return {"type": "websocket.send", **payload}


@pytest.mark.parametrize(
    "event, phase",
    [
        (ACCEPT, Phase.HANDSHAKE),
        (CLOSE, Phase.HANDSHAKE),
        ({**CLOSE, "code": None}, Phase.HANDSHAKE),
        (START, Phase.HANDSHAKE),
        (BODY, Phase.RESPONSE),
        (send(text="x"), Phase.OPEN),
        (send(text="x", bytes=None), Phase.OPEN),
        (send(bytes=b""), Phase.OPEN),
        (send(bytes=memoryview(b"x")), Phase.OPEN),
        (CLOSE, Phase.OPEN),
        ({**CLOSE, "code": 4999, "reason": "x" * 123}, Phase.OPEN),
        ({**CLOSE, "code": 1011, "reason": None}, Phase.OPEN),
    ],
)
def test_what_is_allowed(event, phase):
    assert broken(event, phase, ()) is None


@pytest.mark.parametrize(
    "event, phase, rule",
    [
        ({"type": "websocket.sned"}, Phase.OPEN, "shape"),
        ({}, Phase.OPEN, "shape"),
        (send(), Phase.OPEN, "shape"),
        (send(text="x", bytes=b"x"), Phase.OPEN, "shape"),
        (send(text=b"x"), Phase.OPEN, "shape"),
        (send(bytes="x"), Phase.OPEN, "shape"),
        (send(text="x"), Phase.HANDSHAKE, "order"),
        (ACCEPT, Phase.OPEN, "order"),
        (CLOSE, Phase.RESPONSE, "order"),
        (send(text="x"), Phase.CLOSED, "after close"),
        (CLOSE, Phase.CLOSED, "after close"),
        ({**CLOSE, "code": 4401}, Phase.HANDSHAKE, "unseen"),
        ({**CLOSE, "code": 1005}, Phase.OPEN, "close code"),
        ({**CLOSE, "code": 5000}, Phase.OPEN, "close code"),
        ({**CLOSE, "code": "1000"}, Phase.OPEN, "close code"),
        ({**CLOSE, "code": True}, Phase.OPEN, "close code"),
        ({**CLOSE, "reason": b"x"}, Phase.OPEN, "shape"),
        ({**CLOSE, "reason": "é" * 62}, Phase.OPEN, "close reason"),
    ],
)
def test_what_breaks_a_rule(event, phase, rule):
    found = broken(event, phase, ())
    assert found is not None and found.rule == rule and found.message


def test_phases_follow_what_the_server_took():
    assert next_phase(Phase.HANDSHAKE, ACCEPT) is Phase.OPEN
    assert next_phase(Phase.OPEN, send(text="x")) is Phase.OPEN
    assert next_phase(Phase.OPEN, CLOSE) is Phase.CLOSED
    assert next_phase(Phase.HANDSHAKE, CLOSE) is Phase.CLOSED
    assert next_phase(Phase.HANDSHAKE, START) is Phase.RESPONSE
    assert next_phase(Phase.RESPONSE, {**BODY, "more_body": True}) is Phase.RESPONSE
    assert next_phase(Phase.RESPONSE, BODY) is Phase.CLOSED
    assert next_phase(Phase.CLOSED, ACCEPT) is Phase.CLOSED


@pytest.mark.parametrize(
    "event, says", [({**CLOSE, "code": 1011}, True), (CLOSE, False), ({**START, "status": 500}, True), (START, False)]
)
def test_what_says_that_the_server_failed(event, says):
    assert says_internal_error(event) is says


@pytest.mark.parametrize(
    "offered, chosen, message",
    [
        ((), "v1", "expected no subprotocol: none was offered; got 'v1'"),
        (("v1",), "v2", "expected the subprotocol 'v1', which the client offered; got 'v2'"),
        (("v1", "v2"), "v1, v2", "expected the subprotocol 'v1' or 'v2', which the client offered; got 'v1, v2'"),
        ((), "", "expected no subprotocol: none was offered; got ''"),
        ((), None, None),
        (("v1",), None, None),
        (("v1", "v2"), "v2", None),
    ],
)
def test_a_subprotocol_is_one_that_was_offered(offered, chosen, message):
    found = broken({**ACCEPT, "subprotocol": chosen}, Phase.HANDSHAKE, offered)
    assert found == (message and ("subprotocol", message))

"""Steps and clients: one client, one verb, and a sentence for everything else."""

import pytest

from tests.scenario.test_loading import problems, steps
from wsharness.patterns import Matcher, OneOf
from wsharness.scenario.loading import loads
from wsharness.scenario.model import Step, Verb

GOOD = [
    ("bob: connect", Step("bob", Verb.CONNECT)),
    ("bob: {connect: }", Step("bob", Verb.CONNECT)),
    ("bob: {connect: {link: {latency: 20ms}}}", Step("bob", Verb.CONNECT, {"link": {"latency": 0.02}})),
    ("bob: {connect: {link: null}}", Step("bob", Verb.CONNECT, {"link": None})),
    ("bob: {connect: {path: /x, subprotocols: null}}", Step("bob", Verb.CONNECT, {"path": "/x", "subprotocols": None})),
    ("bob: {connect: {headers: null}}", Step("bob", Verb.CONNECT, {"headers": None})),
    ("bob: {connect: {rejected: 403}}", Step("bob", Verb.CONNECT, {"rejected": 403})),
    ("bob: {connect: {rejected: $int}}", Step("bob", Verb.CONNECT, {"rejected": Matcher.INT})),
    ("bob: {connect: {rejected: {$one_of: [401, 403]}}}", Step("bob", Verb.CONNECT, {"rejected": OneOf((401, 403))})),
    (
        "bob: {connect: {rejected: {status: 403, body: $str}}}",
        Step("bob", Verb.CONNECT, {"rejected": {"status": 403, "body": Matcher.STR}}),
    ),
    ("bob: {connect: {accepted: {subprotocol: v1}}}", Step("bob", Verb.CONNECT, {"accepted": {"subprotocol": "v1"}})),
    ("bob: {send: 5}", Step("bob", Verb.SEND, 5)),
    ("bob: {send: null}", Step("bob", Verb.SEND, None)),
    ("bob: {send: {$$set: 1}}", Step("bob", Verb.SEND, {"$set": 1})),
    ("bob: expect_none", Step("bob", Verb.EXPECT_NONE)),
    ("bob: {expect_none: 1.5s}", Step("bob", Verb.EXPECT_NONE, 1.5)),
    ("bob: expect_close", Step("bob", Verb.EXPECT_CLOSE)),
    ("bob: {expect_close: 1006}", Step("bob", Verb.EXPECT_CLOSE, 1006)),
    (
        "bob: {expect_close: {code: {$one_of: [1000, 1005]}}}",
        Step("bob", Verb.EXPECT_CLOSE, {"code": OneOf((1000, 1005))}),
    ),
    ("bob: close", Step("bob", Verb.CLOSE)),
    ("bob: {close: 4000}", Step("bob", Verb.CLOSE, 4000)),
    ("bob: {close: {code: 4000, reason: bye}}", Step("bob", Verb.CLOSE, {"code": 4000, "reason": "bye"})),
    ("bob: stall", Step("bob", Verb.STALL)),
    ("bob: {stall: {full: true}}", Step("bob", Verb.STALL, {"full": True})),
    ("bob: resume", Step("bob", Verb.RESUME)),
    ("bob: {drop: {reset: true}}", Step("bob", Verb.DROP, {"reset": True})),
    ("pause: 2m", Step(None, Verb.PAUSE, 120.0)),
    ("{pause: 1h, note: tea}", Step(None, Verb.PAUSE, 3600.0, note="tea")),
    ("{repeat: 0, steps: [bob: connect]}", None),
]


@pytest.mark.parametrize(("line", "step"), GOOD, ids=[line for line, _ in GOOD])
def test_a_step_is_read(line, step):
    assert loads(steps(line))[0].steps == ((step,) if step else ())


BAD = [
    ("bbo: connect", "4:5: unknown client 'bbo'; did you mean 'bob'?"),
    ("bob: conect", "4:10: unknown verb 'conect'; did you mean 'connect'?"),
    ("bob: send", "4:10: 'send' needs a value: {send: …}"),
    ("bob: [send]", "4:10: expected a verb such as {send: hi}; got a list"),
    ("bob: {}", "4:10: expected one verb in a step; got none"),
    ("bob: {within: 1s}", "4:10: expected one verb in a step; got none"),
    ("bob: {send: a, expect: b}", "4:10: expected one verb in a step; got 'send', 'expect'; write one step for each"),
    ("bob: {send: hi, wihtin: 1s}", "4:21: unknown key 'wihtin'; did you mean 'within'?"),
    ("bob: {send: hi, within: 500}", "4:29: durations need a unit: 500ms"),
    ("bob: {send: hi, within: 2}", "4:29: durations need a unit: 2s"),
    ("bob: {send: hi, within: -1s}", "4:29: expected a duration such as 500ms; got '-1s'"),
    ("bob: {send: hi, within: -1}", "4:29: expected a duration from 0 on"),
    ("bob: {send: hi, after: soon}", "4:28: expected a duration such as 500ms; got 'soon'"),
    ("bob: {send: hi, note: [a]}", "4:27: expected a note to be text; got a list"),
    ("{bob: {send: hi}, within: 1s}", "4:23: 'within' belongs to the verb of 'bob'"),
    ("{bob: connect, eve: connect}", "4:5: expected one client in a step; got 'bob', 'eve'"),
    ("connect", "4:5: expected a step such as 'alice: connect'; got 'connect'"),
    ("{}", "4:5: expected a step such as 'alice: connect'; got a mapping"),
    ("bob: {send: $int}", "4:17: '$int' belongs to expectations; write '$$int' for the text"),
    ("bob: {send_bytes: hi}", "4:23: expected {hex: 00 ff} or {text: hi}; got 'hi'"),
    ("bob: {send_bytes: {hex: 0}}", "4:29: expected pairs of hexadecimal digits such as 00 ff; got '0'"),
    ("bob: {send_bytes: {hxe: 00}}", "4:24: unknown key 'hxe'; did you mean 'hex'?"),
    ("bob: {connect: 403}", "4:20: expected connect with a mapping such as {rejected: 403}; got 403"),
    ("bob: {connect: {rejected: 101}}", "4:31: expected an HTTP status from 200 to 599; got 101"),
    ("bob: {connect: {rejected: yes}}", "4:31: expected an HTTP status from 200 to 599; got 'yes'"),
    ("bob: {connect: {rejected: {code: 1}}}", "4:32: unknown key 'code'"),
    ("bob: {connect: {accepted: true}}", "4:31: expected a mapping with subprotocol, headers; got True"),
    ("bob: {connect: {accepted: {}, rejected: 403}}", "4:20: expected one outcome; got 'accepted' and 'rejected'"),
    ("bob: {connect: {path: x}}", "4:27: expected a path that begins with '/'; got 'x'"),
    ("bob: {connect: {qurey: {}}}", "4:21: unknown key 'qurey'; did you mean 'query'?"),
    ("bob: {close: 1005}", "4:18: no close frame may carry the close code 1005"),
    ("bob: {close: {code: 1004}}", "4:25: no close frame may carry the close code 1004"),
    ("bob: {close: 2999}", "4:18: no close frame may carry the close code 2999"),
    ("bob: {close: five}", "4:18: expected a close code; got 'five'"),
    ("bob: {close: {reason: 5}}", "4:18: expected a close reason to be text; got 5"),
    (f"bob: {{close: {{code: 1000, reason: {'x' * 124}}}}}", "a close reason has at most 123 bytes; got 124"),
    ("bob: {expect_close: 999}", "4:25: no close frame may carry the close code 999"),
    ("bob: {expect_close: soon}", "4:25: expected a close code; got 'soon'"),
    ("bob: {expect_close: {cod: 1000}}", "4:26: unknown key 'cod'; did you mean 'code'?"),
    ("bob: {drop: hard}", "4:17: expected drop alone or with {reset: true}; got 'hard'"),
    ("bob: {expect_none: 1}", "4:24: durations need a unit: 1s"),
    ("pause: 30", "4:12: durations need a unit: 30ms"),
    ("{pause: 1s, wihtin: 1s}", "4:17: unknown key 'wihtin'"),
    ("{repeat: x, steps: []}", "4:14: expected how often to repeat; got 'x'"),
    ("{repeat: 3}", "4:5: 'repeat' needs 'steps'"),
    ("{repeat: 100000000, steps: []}", "more than 100000 steps; repeat less often"),
    ("together: [[bob: connect]]", "4:5: 'together' is not supported yet"),
    ("use: other.ws.yaml", "4:5: 'use' is not supported yet"),
    ("bob: {stall: half}", "4:18: expected stall alone or with {full: true}; got 'half'"),
    ("bob: {resume: 1}", "expected resume alone"),
]


@pytest.mark.parametrize(("line", "why"), BAD, ids=[line[:60] for line, _ in BAD])
def test_what_is_wrong_with_a_step_is_said_at_its_place(line, why):
    assert any(why in problem for problem in problems(steps(line), "f"))


CLIENTS = [
    ("{bob: /ws}", "2:16: expected a client such as {path: /ws}; got '/ws'"),
    ("{bob: {query: [a]}}", "2:24: expected a mapping of names to text; got a list"),
    ("{bob: {query: {a: null}}}", "2:28: expected text; got None"),
    ("{bob: {query: {a: $x}}}", "2:28: '$x' is no text; write '$$x'"),
    ('{bob: {headers: {a: "x\\r\\ny"}}}', "2:30: expected one line of text"),
    ("{bob: {subprotocols: v1}}", "2:31: expected subprotocols to be a list; got 'v1'"),
    ("{bob: {ignore: {a: 1}}}", "2:25: expected ignore to be a list; got a mapping"),
    ("{bob: {link: slow}}", "2:23: expected a link such as {latency: 20ms}; got 'slow'"),
    ("{bob: {link: {latncy: 20ms}}}", "2:24: unknown key 'latncy'; did you mean 'latency'?"),
    ("{bob: {link: {latency: 20}}}", "2:33: durations need a unit: 20ms"),
    ("{bob: {link: {bandwidth: 0}}}", "2:35: expected bandwidth to be a number of bytes a second, 1 or more; got 0"),
    ("{bob: {link: {stall: 1}}}", "2:31: expected stall to be True or False; got 1"),
    ("{repeat: {path: /}, bob: {}}", "2:11: 'repeat' cannot be a client's name; choose another word"),
]


@pytest.mark.parametrize(("clients", "why"), CLIENTS, ids=[clients for clients, _ in CLIENTS])
def test_what_is_wrong_with_a_client_is_said_at_its_place(clients, why):
    text = f"wsharness: 1\nclients: {clients}\nsteps: [bob: connect]\n"
    assert any(why in problem for problem in problems(text, "f"))

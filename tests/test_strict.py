"""The rules of the profile `strict`, one by one: what the ASGI specification and RFC 6455 say, and any server does."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fidelity.replay import Seen, replay

PAGE = Path(__file__).parent.parent / "docs" / "servers.md"


def raw(text: str) -> dict[str, str]:
    return {"$b": text}


CONNECT, OPEN = [["recv"]], [["recv"], ["accept"]]
SOON = ["sleep", 0.1]
BODY = ["msg", {"type": "websocket.http.response.body", "body": raw("no")}]


def start(status: Any = 401, headers: Any = ()) -> list[Any]:
    return ["msg", {"type": "websocket.http.response.start", "status": status, "headers": [*headers]}]


def saw(app: list[Any], client: list[Any] | None = None, **handshake: Any) -> Seen:
    """What both sides see on `strict`."""
    case = {"level": "frame", "app": app, "client": client or [], "handshake": handshake, "linger": 0.5}
    return replay(case, "strict")


class Rule(NamedTuple):
    """A row of docs/servers.md, and app programs whose last operation but those of `after` raises."""

    text: str
    source: str
    programs: list[list[Any]]
    fine: list[list[Any]] = []
    """Programs that do not raise."""
    error: str = "RAISES Exception"


RAISES = [
    Rule(
        "before the answer: an accept, a close, or a denial response's start; nothing else",
        "ASGI",
        [[*CONNECT, ["send", {"text": "a"}]], [*CONNECT, BODY], [*CONNECT, ["msg", {"type": "websocket.bogus"}]]],
        [[*CONNECT, ["accept"]], [*CONNECT, ["close"]], [*CONNECT, start()]],
    ),
    Rule(
        "once accepted: a send or a close; nothing else",
        "ASGI",
        [[*OPEN, ["accept"]], [*OPEN, start()], [*OPEN, BODY], [*OPEN, ["msg", {"type": "websocket.bogus"}]]],
        [[*OPEN, ["send", {"text": "a"}]], [*OPEN, ["close"]]],
    ),
    Rule(
        "every event has a `type`, one that the specification names",
        "ASGI",
        [[*OPEN, ["msg", {}]], [*OPEN, ["msg", {"type": None}]], [*CONNECT, ["msg", {}]]],
    ),
    Rule(
        "a send has exactly one of `text` (str) and `bytes` (bytes)",
        "ASGI",
        [
            [*OPEN, ["send", keys]]
            for keys in ({}, {"text": None}, {"text": "a", "bytes": raw("b")}, {"text": 5}, {"text": raw("a")})
        ]
        + [[*OPEN, ["send", keys]] for keys in ({"bytes": "a"}, {"bytes": {"$ba": "b"}}, {"bytes": {"$mv": "b"}})],
        [
            [*OPEN, ["send", keys]]
            for keys in ({"text": ""}, {"bytes": raw("")}, {"text": "a", "bytes": None}, {"text": "a", "more": 1})
        ],
    ),
    Rule("text can be encoded as UTF-8", "RFC 6455 5.6", [[*OPEN, ["send", {"text": "a\ud800"}]]]),
    Rule(
        "headers are pairs of bytes: names are tokens in lower case, values one line",
        "ASGI, RFC 9110 5.1",
        [
            [*CONNECT, ["accept", {"headers": [pair]}]]
            for pair in (
                [raw("X-A"), raw("1")],
                [raw("x a"), raw("1")],
                [raw(""), raw("1")],
                [raw(":status"), raw("1")],
                [raw("x-a\n"), raw("1")],
                [raw("x-a"), raw("1\r\nx-b: 2")],
                ["x-a", "1"],
                [5, raw("1")],
                [raw("x-a")],
            )
        ]
        + [[*CONNECT, start(headers=[pair])] for pair in ([raw("X-A"), raw("1")], ["x-a", "1"], [raw("x"), raw("\n")])],
        [[*CONNECT, ["accept", {"headers": [[raw("x-a"), raw("1")], [raw("x-a"), raw("2")]]}]]],
    ),
    Rule(
        "no `sec-websocket-protocol` among the headers of an accept",
        "ASGI",
        [
            [*CONNECT, ["accept", {"headers": [[raw(name), raw("x")]]}]]
            for name in ("sec-websocket-protocol", "Sec-WebSocket-Protocol")
        ],
    ),
    Rule(
        "an accepted subprotocol is one that the client offered",
        "RFC 6455 4.2.2",
        [[*CONNECT, ["accept", {"subprotocol": name}]] for name in ("chat", "", raw("chat"))],
        [[*CONNECT, ["accept", {"subprotocol": None}]]],
    ),
    Rule(
        "close codes: 1000 and 3000-4999 (daphne takes no others that RFC 6455 allows)",
        "RFC 6455 7.4",
        [
            [*OPEN, ["close", {"code": code}]]
            for code in (-1, 0, 999, *range(1001, 1017), 2999, 5000, 65536, None, 4000.0, "4000", True)
        ],
        [[*OPEN, ["close", {"code": code}]] for code in (1000, 3000, 4000, 4999)],
    ),
    Rule(
        "close reasons: text of at most 123 bytes of UTF-8, or None",
        "RFC 6455 5.5",
        [
            [*OPEN, ["close", {"reason": reason}]]
            for reason in ({"$rep": ["x", 124]}, {"$rep": ["é", 62]}, "a\ud800", 5, raw("x"))
        ],
        [[*OPEN, ["close", {"reason": reason}]] for reason in (None, "", {"$rep": ["x", 123]})],
    ),
    Rule(
        "nothing after the app's own close",
        "RFC 6455 5.5.1",
        [[*OPEN, ["close"], act] for act in (["send", {"text": "a"}], ["close"], ["accept"])],
    ),
    Rule(
        "nothing after a close before accept, or a complete denial response",
        "ASGI",
        [[*CONNECT, ["close"], act] for act in (["send", {"text": "a"}], ["close"], ["accept"], BODY)]
        + [[*CONNECT, start(), BODY, act] for act in (["close"], ["accept"], BODY)],
    ),
    Rule(
        "a denial response: its start with a known status of 200-599 and `headers`, then its body in one event",
        "ASGI extension",
        [
            *([*CONNECT, start(status)] for status in (99, 100, 101, 600, 299, "401")),
            [*CONNECT, ["msg", {"type": "websocket.http.response.start", "status": 401}]],
            [*CONNECT, start(), start()],
            [*CONNECT, start(), ["accept"]],
            [*CONNECT, start(), ["msg", {"type": "websocket.http.response.body"}]],
            [*CONNECT, start(), ["msg", {**BODY[1], "more_body": True}]],
            [*CONNECT, start(), ["msg", {**BODY[1], "body": "no"}]],
        ],
        [[*CONNECT, start(), BODY]],
    ),
    Rule(
        "no body where the status has none (204, 304)",
        "RFC 9110 6.4.1",
        [[*CONNECT, start(s), BODY] for s in (204, 304)],
    ),
    Rule(
        "messages of at most 1 MiB, either way (daphne)",
        "a server",
        [[*OPEN, ["send", {"bytes": {"$repb": ["x", 2**20 + 1]}}]]],
        [[*OPEN, ["send", {"bytes": {"$repb": ["x", 2**20]}}]]],
    ),
]


@pytest.mark.parametrize("rule", RAISES, ids=lambda rule: rule.text)
def test_what_breaks_a_rule_raises_in_the_apps_send(rule):
    for program in rule.programs:
        seen = saw([*program, ["sleep", 0.1]])
        assert seen.app[-2].endswith(rule.error), (program, seen.app)
    for program in rule.fine:
        assert not any("RAISES" in token for token in saw(program).app), program


LEFT = "a send or close after the client left is an OSError, whether the app has seen the disconnect or not"


@pytest.mark.parametrize("wait", [["sleep", 0.4], ["recv"]])
@pytest.mark.parametrize("leaves", [["close", 4001], ["fin"], ["rst"], ["half_close"]])
def test_the_client_left(wait, leaves):
    seen = saw([*OPEN, wait, ["send", {"text": "a"}], ["close"]], [SOON, leaves])
    assert seen.app[-3:] == ["send RAISES OSError", "close RAISES OSError", "return"]


def test_the_client_left_before_the_answer():
    seen = saw([["recv"], ["recv"], ["accept"], ["close"]], drop_after=["fin", 0.1])
    assert seen.app == ["connect", "disc 1006", "accept RAISES OSError", "close RAISES OSError", "return"]


TOLD = [
    ("the disconnect has the code and the reason of the client's close frame", "ASGI 2.5", ["close", 4001, "bye"]),
    ("it is 1005 where the frame has none", "ASGI", ["close"]),
    ("it is 1006 where the connection was lost", "RFC 6455 7.1.5", ["rst"]),
]
DISCONNECT = ["disc 4001 'bye'", "disc 1005 ''", "disc 1006"]


@pytest.mark.parametrize(("row", "told"), list(zip(TOLD, DISCONNECT, strict=True)))
def test_the_disconnect(row, told):
    seen = saw([*OPEN, ["sleep", 0.4], ["drain", 0.3], ["recv", 0.3]], [SOON, ["text", "m"], row[2]])
    assert seen.app == ["connect", "accept:ok", "rx{text:'m'}", told, "recv BLOCKS", "return"]


ORDER = "every message before the client's close, FIN or RST is delivered, then one disconnect"
REPLY = "a close frame is answered with its own code, a ping with its own payload, a pong with nothing"


def test_control_frames_are_answered():
    for close, token in ((["close", 4001, "bye"], "CLOSE 4001 'bye'"), (["close"], "CLOSE <empty>")):
        seen = saw([*OPEN, ["drain", 0.5]], [SOON, ["ping", raw("p")], ["pong", raw("q")], close])
        assert seen.client == ["101", "PONG b'p'", token, "ended"]


WHOLE = "fragments are one message; control frames may stand between them"


def test_fragments_are_one_message():
    parts = [["frame", 1, raw("\xc3"), {"fin": False}], ["ping", raw("p")], ["frame", 0, raw("\xa9")]]
    seen = saw([*OPEN, ["recv", 0.5]], [SOON, *parts])
    assert seen.app == ["connect", "accept:ok", "rx{text:'é'}", "return"]
    assert seen.client == ["101", "PONG b'p'", "lost"]


VIOLATIONS = [
    ("an unmasked frame", "5.1", 1002, [["frame", 1, raw("x"), {"mask": False}]]),
    ("a reserved bit", "5.2", 1002, [["frame", 1, raw("x"), {"rsv": 4}]]),
    ("a reserved opcode", "5.2", 1002, [["frame", 3, raw("x")]]),
    ("a reserved control opcode", "5.2", 1002, [["frame", 11, raw("")]]),
    ("a fragmented control frame", "5.5", 1002, [["frame", 9, raw("x"), {"fin": False}]]),
    ("a control frame of more than 125 bytes", "5.5", 1002, [["frame", 9, {"$repb": ["x", 126]}]]),
    ("a continuation of nothing", "5.4", 1002, [["frame", 0, raw("x")]]),
    ("a message within the fragments of another", "5.4", 1002, [["frame", 1, raw("a"), {"fin": False}], ["text", "b"]]),
    ("a close frame with half a code", "5.5.1", 1002, [["close_raw", raw("\x03")]]),
    ("a close frame with a code that may not be sent", "7.4", 1002, [["close", 1005, "x"]]),
    ("a close reason that is no UTF-8", "8.1", 1007, [["close_raw", raw("\x03\xe8\xff")]]),
    ("a text that is no UTF-8", "8.1", 1007, [["frame", 1, raw("\xff")]]),
    ("a message of more than 1 MiB", "7.4.1", 1009, [["bytes", {"$repb": ["x", 2**20 + 1]}]]),
]


@pytest.mark.parametrize("row", VIOLATIONS, ids=lambda row: row[0])
def test_what_the_client_may_not_do_closes_the_connection_and_the_app_is_told(row):
    _, _, code, frames = row
    seen = saw([*OPEN, ["recv"], ["recv", 0.3]], [SOON, *frames])
    assert seen.app == ["connect", "accept:ok", f"disc {code} (reason)", "recv BLOCKS", "return"]
    assert seen.client == ["101", f"CLOSE {code}", "ended"]


REFUSED = "a close before accept is HTTP 403 without code or reason; the app gets a disconnect"


def test_a_close_before_accept():
    seen = saw([*CONNECT, ["close", {"code": 4000, "reason": "no"}], ["recv", 0.3]])
    assert seen == Seen(["connect", "close:ok", "disc 1006", "return"], ["403"])


ENDS = "an app that ends without an answer is HTTP 500; one that ends without a close loses the connection"


def test_an_app_that_ends():
    assert saw(CONNECT).client == saw([*CONNECT, ["raise"]]).client == ["500"]
    assert saw(OPEN).client == saw([*OPEN, ["raise"]]).client == ["101", "lost"]


WAITS = "one task at a time waits in `receive`"


def test_two_tasks_in_receive():
    assert "recv RAISES Exception" in saw([*OPEN, ["concurrent_recv"]]).app


SCOPE = "the scope is whole: headers as sent, in order, with their duplicates; ports are numbers; `state` a copy"


def test_the_scope():
    seen = saw([["scope"], *OPEN], headers=[["X-A", "1"], ["x_b", "2"], ["X-A", "3"]])
    assert seen.scope["headers"][-3:] == [["b'x-a'", "b'1'"], ["b'x_b'", "b'2'"], ["b'x-a'", "b'3'"]]
    assert {"http_version", "scheme", "path", "raw_path", "query_string", "root_path", "extensions"} <= set(seen.scope)


ROWS = [
    *((rule.text, rule.source) for rule in RAISES),
    (LEFT, "ASGI 2.4"),
    (WAITS, "a server"),
    (REFUSED, "ASGI"),
    (ENDS, "ASGI"),
    (ORDER, "ASGI"),
    *((text, source) for text, source, _ in TOLD),
    (REPLY, "RFC 6455 5.5"),
    (WHOLE, "RFC 6455 5.4"),
    *((f"{text} closes with {code}", f"RFC 6455 {section}") for text, section, code, _ in VIOLATIONS),
    (SCOPE, "ASGI"),
]


def test_the_page_lists_every_rule_that_is_tested():
    page = PAGE.read_text(encoding="utf-8")
    listed = page[page.index("| the rule |") : page.index("## Where the simulation")]
    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in listed.splitlines()[2:] if line]
    assert rows == ROWS

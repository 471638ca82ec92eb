"""Draws cases: an app program and a client program that nobody wrote, level by level."""

from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

Case = dict[str, Any]
CODES = (0, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1011, 1014, 1015, 1016, 2999, 3000, 4000, 4999, 5000)
WIRE_CODES = (None, 1000, 1001, 1011, 3000, 4001, 4999)
BAD_CODES = (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)


def operation(name: str, *arguments: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(st.just(name), *arguments).map(list)


def raw(text: str) -> dict[str, str]:
    return {"$b": text}


nap = st.sampled_from((0.05, 0.25, 0.6))
# An app's times are multiples of 50 ms, a client's 5 ms beside them and 4 more with each sleep: nothing is a tie.
client_nap = st.sampled_from((0.054, 0.254, 0.604))
GAP = ["sleep", 0.054]
BEGIN = ["sleep", 0.035]
limit = st.sampled_from((0.35, 0.8))
words = st.sampled_from(("", "a", "é世", "\0😀"))
data = st.one_of(words, st.just(raw("\0ÿ")), st.just(raw("")))

# The app

payloads = st.one_of(
    st.fixed_dictionaries({"text": words}),
    st.just({"bytes": raw("b")}),
    st.fixed_dictionaries(
        {},
        optional={
            "text": st.sampled_from((None, "", "T", 5, raw("byt"), "a\ud800b")),
            "bytes": st.sampled_from((None, raw(""), raw("B"), "str", 5, {"$ba": "ba"}, {"$mv": "mv"})),
            "extra": st.just(1),
        },
    ),
)
reasons = st.sampled_from((None, "", "bye", "é", {"$rep": ["x", 123]}, {"$rep": ["é", 62]}, {"$rep": ["x", 300]}))
closes = st.fixed_dictionaries({}, optional={"code": st.sampled_from(CODES), "reason": reasons})
header = st.sampled_from(
    ((raw("x-a"), raw("1")), (raw("X-B"), raw("2")), (raw("set-cookie"), raw("a=b")), (raw("set-cookie"), raw("c=d")))
)
odd_header = st.sampled_from(
    (
        (raw("x-a"), raw("1\r\nx-inj: 1")),
        (raw("x-a\n"), raw("1")),
        ("x-str", "1"),
        (raw("sec-websocket-protocol"), raw("chat")),
        (raw("x-l"), raw("caf\xe9")),
        (raw(""), raw("1")),
    )
)
headers = st.lists(st.one_of(header, header, odd_header).map(list), max_size=3)
accepts = st.one_of(
    st.just({}),
    st.just({}),
    st.fixed_dictionaries(
        {}, optional={"headers": headers, "subprotocol": st.sampled_from((None, "chat", "other", ""))}
    ),
)


def spaced(acts: list[Any]) -> list[Any]:
    """With a gap before the end, if there is one."""
    return [GAP, *acts] if acts else []


def message(kind: str, **keys: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.fixed_dictionaries({"type": st.just(kind)}, optional=keys).map(lambda event: ["msg", event])


start = st.builds(
    lambda status, given: ["msg", {"type": "websocket.http.response.start", "status": status, **given}],
    st.sampled_from((200, 204, 302, 401, 403, 500)),
    st.one_of(st.fixed_dictionaries({"headers": st.lists(header.map(list), max_size=2)}), st.just({})),
)
body = message(
    "websocket.http.response.body",
    body=st.sampled_from((raw(""), raw("no"), raw("two"))),
    more_body=st.booleans(),
)
unknown = st.sampled_from(
    (["msg", {"type": "websocket.bogus"}], ["msg", {"type": "websocket.receive", "text": "x"}], ["msg", {}])
)
waits = st.one_of(operation("sleep", nap), operation("recv", limit))
receives = st.one_of(operation("recv", limit), operation("drain", limit), operation("wait_for_recv", st.just(0.2)))
acts = st.one_of(
    receives,
    receives,
    operation("sleep", nap),
    operation("send", payloads),
    operation("send", st.just({"text": "s"})),
    operation("close", closes),
    operation("close", st.just({"code": 4000})),
    operation("accept"),
    operation("close_while_recv", st.sampled_from((1000, 4000, 1005))),
    st.one_of(unknown, start, body),
)
app_ends = st.sampled_from(([], [], [["raise"]], [["recv", 0.8], ["recv", 0.35]], [["drain", 0.8]]))

# The client

leaves = st.one_of(
    operation("close", st.sampled_from(WIRE_CODES), st.sampled_from(("", "bye", "é"))).map(
        lambda given: given if given[1] is not None else ["close"]
    ),
    operation("fin"),
    operation("rst"),
    operation("half_close"),
)
says = st.one_of(operation("text", words), operation("text", st.just("m")), operation("bytes", st.just(raw("\0ÿ"))))
client_acts = st.one_of(says, says, operation("sleep", client_nap))
batch = st.lists(st.one_of(says, leaves.filter(lambda act: act[0] == "close")), min_size=2, max_size=4).map(
    lambda inner: ["batch", inner]
)
batch_of_messages = st.lists(says, min_size=2, max_size=4).map(lambda acts: ["batch", acts])
client_ends = st.one_of(st.just([]), leaves.map(lambda act: [act]), batch.map(lambda act: [act]))
manners = st.one_of(
    st.just({}),
    st.just({}),
    st.just({}),
    st.just({"echo_close": False}),
    st.sampled_from(
        (
            {"on_close": [["close", 4999, "cli"]]},
            {"on_close": [["text", "m1"], ["sleep", 0.2]]},
            {"on_close": [["fin"]]},
            {"on_close": [["rst"]]},
            {"on_close": [["sleep", 0.3], ["close", 1000]]},
        )
    ),
)


def case(level: str, app: list[Any], client: list[Any], handshake: dict[str, Any], **more: Any) -> Case:
    return {"level": level, "app": app, "client": client, "handshake": handshake, "linger": 1.7, **more}


open_apps = st.builds(lambda acts, end: [["recv"], ["accept"], *acts, *end], st.lists(acts, max_size=5), app_ends)
# With time between them: which of two writes a server reads at once is a matter of luck, but for those of a batch.
apart = st.one_of(client_acts, client_acts, batch_of_messages).map(lambda act: [GAP, act])
open_clients = st.builds(
    lambda acts, end: [BEGIN, *sum(acts, []), *end], st.lists(apart, max_size=4), client_ends.map(spaced)
)
messages = st.builds(case, st.just("message"), open_apps, open_clients, manners)

# The handshake

answers = st.one_of(
    waits,
    operation("accept", accepts),
    operation("accept", accepts),
    operation("close", closes),
    start,
    body,
    unknown,
    operation("send", st.just({"text": "early"})),
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "path": st.sampled_from(
            ("/s", "/", "/s/%2F%C3%A9", "/s/%FF", "/s/%zz", "/s;p=1", "//s/x", "/s/../t", "/s/%00", "/s/a b", "/sé")
        ),
        "query": st.sampled_from(("a=1&b=%20", "x=é", "a=1&a=2", "q?=/")),
        "headers": st.lists(
            st.sampled_from(
                (["X-A", "1"], ["X-A", "2"], ["x_under", "1"], ["Cookie", "a=b"], ["Cookie", "c=d"], ["X-L", "café"])
            ),
            max_size=3,
        ),
        "subprotocols": st.sampled_from((["chat"], ["chat", "superchat"], [])),
        "drop_after": st.sampled_from((["fin", 0.15], ["rst", 0.15])),
    },
)
handshakes = st.builds(
    lambda first, scope, acts, end, request, client: case(
        "message", [*first, *scope, *acts, *end], client, request, hs_timeout=3
    ),
    st.sampled_from(([["recv"]], [["recv"]], [])),
    st.sampled_from(([], [["scope"]])),
    st.lists(answers, max_size=4),
    app_ends,
    requests,
    st.sampled_from(([["close", 1000]], [["text", "m"], ["sleep", 0.25], ["close", 4001, "bye"]], [])),
)

# Frames

violations = st.one_of(
    st.sampled_from(
        (
            ["frame", 1, raw("ÿþ")],
            ["frame", 1, raw("um"), {"mask": False}],
            ["frame", 0, raw("x")],
            ["frame", 3, raw("x")],
            ["frame", 11, raw("x")],
            ["frame", 1, raw("x"), {"rsv": 2}],
            ["frame", 9, {"$repb": ["x", 126]}],
            ["frame", 10, {"$repb": ["x", 126]}],
            ["frame", 9, raw("x"), {"fin": False}],
            ["close_raw", raw("\x03")],
            ["close_raw", raw("\x03\xe8\xff")],
        )
    ),
    operation("close", st.sampled_from(BAD_CODES), st.just("x")),
)
fragments = st.sampled_from(
    (
        [["frame", 1, raw("Ã"), {"fin": False}], ["frame", 0, raw("©")]],
        [["frame", 1, raw("a"), {"fin": False}], ["ping", raw("p")], ["frame", 0, raw("b")]],
        [["frame", 2, raw(""), {"fin": False}], ["frame", 0, raw("")]],
        [["frame", 1, raw("okÃ"), {"fin": False}], ["frame", 0, raw("(")]],
        [["frame", 1, raw("a"), {"fin": False}], ["frame", 1, raw("b")]],
        [["frame", 1, raw("a"), {"fin": False}], ["sleep", 0.05], ["frame", 0, raw(""), {"fin": True}]],
    )
)
pings = operation("ping", st.sampled_from((raw(""), raw("abc"))))
pongs = operation("pong", st.just(raw("abc")))
segment = st.lists(st.one_of(says, pings, pongs, violations), min_size=2, max_size=4).map(lambda acts: ["batch", acts])
frame_acts = st.one_of(
    client_acts.map(lambda act: [act]),
    fragments,
    pings.map(lambda act: [act]),
    pongs.map(lambda act: [act]),
    violations.map(lambda act: [act]),
    segment.map(lambda act: [act]),
).map(lambda acts: [GAP, *acts])
frame_clients = st.builds(
    lambda acts, end: [BEGIN, *sum(acts, []), *end],
    st.lists(frame_acts, min_size=1, max_size=4),
    client_ends.map(spaced),
)
frames = st.builds(case, st.just("frame"), open_apps, frame_clients, manners)

_ALL = list(HealthCheck)
LEVELS = {"message": messages, "handshake": handshakes, "frame": frames}


def draw(level: str, count: int, start_at: int = 0) -> dict[str, Case]:
    """So many different cases of a level: always the same for the same seed."""
    found: dict[str, Case] = {}
    for number in range(start_at, start_at + count):
        _collect(LEVELS[level], number, found)
        if len(found) >= count:
            break
    return {f"{level}_{start_at}_{number}": drawn for number, drawn in enumerate(list(found.values())[:count])}


def _collect(strategy: st.SearchStrategy[Case], start_at: int, found: dict[str, Case]) -> None:
    """A few examples a seed: Hypothesis' later ones are like its first."""

    @seed(start_at)
    @settings(max_examples=4, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=_ALL)
    @given(strategy)
    def collect(drawn: Case) -> None:
        found.setdefault(repr(drawn), drawn)

    collect()

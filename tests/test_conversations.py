import msgpack

from wsharness.conversations import (
    ABRUPT,
    COMINGS,
    FLOOD,
    TALKING,
    Options,
    conversations,
    joined,
    longer,
    talking,
)
from wsharness.scenario.model import Verb
from wsharness.targets import Route
from wsharness.targets.routes import Param


def test_conversations_begin_with_the_simplest_and_depend_on_the_seed_only():
    route = Route("/ws/{room}", "", {})
    cases = list(conversations(route, Options(target="x:app", runs=20)))
    assert cases == list(conversations(route, Options(target="x:app", runs=20)))
    assert cases != list(conversations(route, Options(target="x:app", runs=20, seed=1)))
    assert cases[0].kind == "close" and len(cases[0].scenario.steps) == 2
    assert sum(case.kind == "random" for case in cases) == 20


def test_every_conversation_says_what_was_asked_for():
    options = Options(
        target="x:app",
        runs=2,
        headers=(("x-key", "1"),),
        cookies=(("sid", "2"),),
        query=(("q", "3"),),
        params=(("room", "blue"),),
        subprotocols=("chat",),
    )
    for case in conversations(Route("/ws/{room}", "", {}), options):
        if case.kind == "stranger":
            continue
        for spec in case.scenario.clients.values():
            assert (spec.path, spec.headers, spec.cookies) == ("/ws/blue", {"x-key": "1"}, {"sid": "2"})
            assert (spec.query, spec.subprotocols) == ({"q": "3"}, ("chat",))


def test_conversations_are_joined_into_one_in_which_everybody_leaves_in_between():
    first, second = [
        case.scenario for case in conversations(Route("/ws", "", {}), Options(target="x:app", runs=0)) if case
    ][:2]
    whole = joined([first, second])
    assert whole.steps[: len(first.steps)] == first.steps
    assert whole.steps[-len(second.steps) :] == second.steps
    assert [step.verb for step in whole.steps[len(first.steps) : -len(second.steps)]] == [Verb.CLOSE, Verb.PAUSE]


def test_a_crowd_comes_each_with_a_name_of_its_own_where_names_are_taken_once():
    options = Options(target="x:app", runs=0, opening=("NICK alice",), deep=("go",), own=True)
    crowd = [case for case in conversations(Route("/ws", "", {}), options) if case.kind == "crowd"][-1]
    said = [step.value for step in crowd.scenario.steps if step.verb is Verb.SEND]
    assert len(crowd.scenario.clients) == 12 and said.count("go") == 12
    assert {"NICK alice", "NICK alice2", "NICK alice12"} <= set(said)


def test_others_come_and_leave_while_one_is_waited_for_who_does_not_read():
    options = Options(target="x:app", runs=0, opening=("SUB alice",), deep=("PUB alice",))
    last = [case for case in conversations(Route("/ws", "", {}), options) if case.kind == "held up"][-1]
    does = [(step.client, step.verb, step.value) for step in last.scenario.steps if step.client]
    meanwhile = does[does.index(("carol", Verb.STALL, {"full": True})) : does.index(("carol", Verb.RESUME, None))]
    assert meanwhile[1:3] == [("alice", Verb.SEND, "PUB alice")] * 2
    assert ("dave", Verb.SEND, "SUB alice4") in meanwhile and ("bob", Verb.CLOSE, None) in meanwhile


def test_others_come_back_with_what_the_first_client_was_given():
    options = Options(target="x:app", runs=0, asked=(("query", "resume", ()), ("params", "room", ())), given=("t1",))
    back = [case for case in conversations(Route("/ws", "", {}), options) if case.kind == "coming back"]
    assert len(back) == 3
    for case in back:
        queries = {name: spec.query for name, spec in case.scenario.clients.items()}
        assert queries.pop("alice") == {} and list(queries.values()) == [{"resume": "t1"}] * len(queries)


def test_a_client_says_much_at_once_and_leaves_and_later_raises_its_numbers():
    options = Options(target="x:app", runs=0, messages=('{"bid": 1, "of": "vase"}',))
    cases = list(conversations(Route("/ws", "", {}), options))
    many = [case for case in cases if [step.verb for step in case.scenario.steps].count(Verb.SEND) == FLOOD]
    assert {case.kind for case in many} == {"close", "close 1001", "close 4001", "drop"}
    said = [step.value for case in cases if case.kind == "idle" for step in case.scenario.steps]
    assert '{"bid": 2, "of": "vase"}' in said


def test_after_a_crowd_has_left_one_comes_back():
    crowd = next(case for case in conversations(Route("/ws", "", {}), Options(target="x:app")) if case.kind == "crowd")
    last = [step for step in crowd.scenario.steps if step.verb in (Verb.CONNECT, Verb.CLOSE)][-1]
    assert (last.client, last.verb) == ("alice", Verb.CONNECT)


def test_visits_that_are_cut_short_begin_and_end_with_whole_ones():
    route, options = Route("/ws", "", {}), Options(target="x:app", runs=0)
    *_, usual, talking_ones, abrupt = conversations(route, options)
    assert [case.kind for case in (usual, talking_ones, abrupt)] == [COMINGS, TALKING, ABRUPT]
    verbs = [step.verb for step in abrupt.scenario.steps if step.verb is not Verb.PAUSE]
    assert verbs[:4] == [Verb.CONNECT, Verb.CLOSE] * 2 and verbs[-2:] == [Verb.CONNECT, Verb.CLOSE]
    assert Verb.DROP in verbs and longer(route, options, abrupt).kind == ABRUPT


def test_headers_that_a_route_declares_are_filled_from_their_types():
    params = {"x-count": Param("x-count", int, place="header"), "sid": Param("sid", str, place="cookie")}
    case = next(conversations(Route("/ws", "", params), Options(target="x:app", headers=(("x-key", "1"),))))
    assert case.scenario.clients["alice"].headers == {"x-count": "1", "x-key": "1"}
    assert case.scenario.clients["alice"].cookies == {"sid": "alice"}


def test_a_stranger_lacks_one_thing_that_was_given_or_speaks_another_protocol():
    options = Options(
        target="x:app",
        query=(("token", "t"), ("room", "r")),
        cookies=(("sid", "2"),),
        subprotocols=("chat",),
        subprotocols_known=("chat", "talk"),
    )
    specs = [
        case.scenario.clients["alice"]
        for case in conversations(Route("/ws", "", {}), options)
        if case.kind == "stranger"
    ]
    assert [dict(spec.query) for spec in specs[:3]] == [{"room": "r"}, {"token": "t"}, {"token": "t", "room": "r"}]
    assert specs[2].cookies == {}
    assert specs[3].query == {"token": "x", "room": "x"}
    assert [spec.subprotocols for spec in specs[4:7]] == [(), ("no-such-protocol",), ("talk",)]


JOIN = '{"type": "join", "from": "ann", "to": "bob"}'


def said(options):
    cases = conversations(Route("/ws", "", {}), options)
    return [(case.kind, step.value) for case in cases for step in case.scenario.steps if step.verb is Verb.SEND]


def test_what_an_app_understands_is_said_in_every_kind_of_conversation_and_nearly_said():
    messages = said(Options(target="x:app", runs=30, messages=(JOIN,)))
    assert {"close", "payloads", "drop beside others", "all at once", "random"} <= {
        kind for kind, value in messages if value == JOIN
    }
    values = [value for _, value in messages]
    assert '{"type": "join", "from": "ann"}' in values
    assert '{"type": "join", "from": "bob", "to": "ann"}' in values


def test_what_is_no_object_is_said_as_it_is():
    values = {
        value for kind, value in said(Options(target="x:app", runs=60, messages=("go", "[1]"))) if kind == "random"
    }
    assert {"go", "[1]"} <= values


def test_one_talks_and_another_listens():
    case = talking(Route("/ws", "", {}), [JOIN], Options(target="x:app"))
    assert [step.client for step in case.scenario.steps if step.verb is Verb.SEND] == ["alice", "alice"]
    assert list(case.scenario.clients) == ["alice", "bob"]


def test_any_two_things_are_said_at_the_same_time():
    cases = conversations(Route("/ws"), Options(target="x:app", runs=0, messages=("a", JOIN, "c")))
    pairs = {said_in(case) for case in cases if case.kind == "at the same time"}
    back = '{"type": "join", "from": "bob", "to": "ann"}'
    assert {("a", JOIN), (JOIN, "a"), ("c", "c"), (JOIN, back)} <= pairs


def said_in(case):
    return tuple(step.value for step in case.scenario.steps if step.verb in (Verb.SEND, Verb.SEND_BYTES))


def test_what_is_packed_is_exchanged_and_packed_again():
    packed = msgpack.packb({"from": "ann", "to": "bob"})
    cases = conversations(Route("/ws"), Options(target="x:app", runs=0, messages=(packed, b"ping")))
    pairs = {said_in(case) for case in cases if case.kind == "at the same time"}
    assert (packed, msgpack.packb({"from": "bob", "to": "ann"})) in pairs


def test_clients_are_idle_at_once_and_after_they_have_spoken():
    cases = [case for case in conversations(Route("/ws"), Options(target="x:app", runs=0)) if case.kind == "idle"]
    waits = [[step.value for step in case.scenario.steps if step.verb is Verb.PAUSE] for case in cases]
    assert max(map(max, waits)) > 900
    assert () in map(said_in, cases) and ("hello", "hello") in map(said_in, cases)


def test_what_has_to_be_said_first_is_said_and_said_wrongly():
    options = Options(target="x:app", runs=40, messages=("a",), opening=(JOIN, "in"), deep=("deep",))
    cases = list(conversations(Route("/ws"), options))
    openings = {said_in(case) for case in cases if case.kind == "opening"}
    assert {("in", "deep"), (JOIN, "deep"), (JOIN, JOIN, "in", "deep"), ("in", JOIN, "deep")} <= openings
    assert ('{"type": "join", "from": "ann"}', "in", "deep") in openings
    for kind in ("drop", "payloads", "at the same time", "random", "idle"):
        assert any(said_in(case)[:2] == (JOIN, "in") and "deep" in said_in(case) for case in cases if case.kind == kind)
    assert sum(case.kind == "random" for case in cases) == 40
    assert any(said_in(case)[:1] == ("a",) for case in cases if case.kind == "random")


def test_a_stranger_brings_odd_values_of_what_is_looked_for():
    asked = (("query", "since", ()), ("headers", "x-room", ("blue",)))
    cases = conversations(Route("/ws"), Options(target="x:app", runs=0, asked=asked))
    specs = [case.scenario.clients["alice"] for case in cases if case.kind == "stranger"]
    assert {"x", "", "-1"} <= {spec.query.get("since") for spec in specs}
    assert "blue" in {spec.headers.get("x-room") for spec in specs}


ROOM = Route("/ws/{room}/{user}", "", {"room": Param("room"), "user": Param("user")})


def paths_of(case):
    return [spec.path for spec in case.scenario.clients.values()]


def test_clients_meet_apart_in_one_room_and_as_one_user():
    cases = list(conversations(ROOM, Options(target="x:app", runs=40)))
    apart, room = ["/ws/alice/alice", "/ws/bob/bob"], ["/ws/alice/alice", "/ws/alice/bob"]
    for kind in ("at the same time", "random"):
        met = [paths_of(case) for case in cases if case.kind == kind and len(paths_of(case)) == 2]
        assert all(paths in met for paths in (apart, room, ["/ws/alice/alice"] * 2))


def test_what_was_given_or_has_one_value_is_shared_anyway():
    given = Options(target="x:app", runs=0, params=(("room", "blue"), ("user", "me")))
    fixed = Route("/ws/{kind}", "", {"kind": Param("kind", limits={"choices": ["a", "b"]})})
    alone = len(list(conversations(Route("/ws"), Options(target="x:app", runs=0))))
    assert len(list(conversations(ROOM, given))) == alone
    assert len(list(conversations(fixed, Options(target="x:app", runs=0)))) == alone

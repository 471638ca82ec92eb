from wsharness.scenario.entry import Entry, client_name, sending
from wsharness.scenario.model import ClientSpec, Step, Verb
from wsharness.targets import Param, Route


def test_a_client_asks_for_what_its_route_declares_and_what_is_given():
    params = {
        "room": Param("room"),
        "user": Param("user", place="query"),
        "token": Param("token", place="header"),
        "sid": Param("sid", place="cookie"),
    }
    route = Route("/rooms/{room}", "", params)
    entry = Entry(
        headers={"x": "1"}, cookies={"c": "2"}, query={"q": "3"}, params={"room": "lobby"}, subprotocols=("a",)
    )
    assert entry.client(route, 2) == ClientSpec(
        "/rooms/lobby",
        query={"user": "bob", "q": "3"},
        headers={"token": "bob", "x": "1"},
        cookies={"sid": "bob", "c": "2"},
        subprotocols=("a",),
    )


def test_it_connects_and_says_hello():
    entry = Entry(hello=({"type": "hi"}, b"\0", Step("eve", Verb.PAUSE, 1.0)))
    assert list(entry.steps("bob")) == [
        Step("bob", Verb.CONNECT),
        Step("bob", Verb.SEND, {"type": "hi"}),
        Step("bob", Verb.SEND_BYTES, b"\0"),
        Step("bob", Verb.PAUSE, 1.0),
    ]


def test_each_says_a_name_of_its_own():
    entry = Entry(hello=("NICK alice", {"a": 1}, Step("eve", Verb.SEND, '{"user": "alice"}')), own=True)
    assert [step.value for step in entry.steps("alice")][1:] == ["NICK alice", {"a": 1}, '{"user": "alice"}']
    assert [step.value for step in entry.steps("carol")][1:] == ["NICK alice3", {"a": 1}, '{"user": "alice3"}']
    assert [step.value for step in entry.steps("client5")][1] == "NICK alice5"
    assert [step.value for step in entry.steps("somebody")][1] == "NICK alice"


def test_names():
    assert [client_name(number) for number in (1, 4, 5)] == ["alice", "dave", "client5"]
    assert sending("ann", "hi") == Step("ann", Verb.SEND, "hi")

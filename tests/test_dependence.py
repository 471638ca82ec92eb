"""WSH402: what an app does under one server and not under another."""

from dataclasses import replace

import pytest

from wsharness import conformance, dependence
from wsharness.attempts import Attempt
from wsharness.checks import get_check
from wsharness.conformance import check
from wsharness.conversations import Case, Options
from wsharness.dependence import SERVERS, divided, divided_outcomes
from wsharness.outcomes import shown_outcome
from wsharness.scenario.loading import loads
from wsharness.scenario.model import ANY_CHECK, RunInfo


async def opened(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.accept"})


async def returns(scope, receive, send):
    """Ends without a close when it is told to."""
    await opened(scope, receive, send)
    while (await receive())["type"] == "websocket.receive":
        return


async def closes(scope, receive, send):
    """The same with a close."""
    await opened(scope, receive, send)
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.close", "code": 1000})
        return


async def goes_away(scope, receive, send):
    """Closes with a code that daphne does not take."""
    await opened(scope, receive, send)
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.close", "code": 1001})
        return


TALK = """
wsharness: 1
clients: {alice: {path: /ws}}
steps:
  - alice: connect
  - alice: {send: hi}
  - pause: 2s
"""


def talk(route, options):
    """One conversation in which the client stays."""
    [scenario] = loads(TALK)
    return [Case("talk", replace(scenario, run=RunInfo(app="app:app", profile=options.profile, expects=ANY_CHECK)))]


@pytest.fixture(autouse=True, scope="module")
def only_a_few():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conformance, "conversations", talk)
        patch.setattr(conformance, "with_messages", lambda app, route, options: options)
        yield


def found(app):
    options = Options(target="app:app", profile="all", paths=("/ws",), runs=0, parallel=2)
    return [failure for failure in check(app, options).failures if failure.code == "WSH402"]


@pytest.fixture(scope="module")
def without_a_close():
    return found(returns)


def test_an_end_that_servers_show_otherwise_is_a_warning_that_names_them(without_a_close):
    assert without_a_close
    for failure in without_a_close:
        assert failure.severity == "warning"
        assert failure.route == "/ws"
        assert "under uvicorn, uvicorn-legacy, uvicorn-wsproto" in failure.message
        assert "close code 1011 under hypercorn" in failure.message
        assert "close code 1005 under granian" in failure.message
        assert "expects: WSH402" in failure.scenario


def test_an_app_that_closes_by_itself_depends_on_no_server():
    assert found(closes) == []


def test_what_only_some_servers_end_in_a_failure_is_a_failure():
    [failure] = [one for one in found(goes_away) if one.severity == "failure"]
    assert "WSH101 unhandled exception under daphne; not under uvicorn" in failure.message
    assert failure.frame.function == "goes_away"


async def stumbles(scope, receive, send):
    """Sends what cannot be encoded, if its client is still there."""
    await opened(scope, receive, send)
    while (await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": "\ud800"})


HASTE = TALK.replace("  - pause: 2s\n", "")


def hurry(route, options):
    """One conversation in which the client leaves at once."""
    [scenario] = loads(HASTE)
    return [Case("hurry", replace(scenario, run=RunInfo(app="app:app", profile=options.profile, expects=ANY_CHECK)))]


def test_a_client_that_leaves_too_soon_hides_no_server(monkeypatch):
    """Hypercorn and daphne look at nothing once the client has left, and raise all the same while it is there."""
    monkeypatch.setattr(conformance, "conversations", hurry)
    failures = [one for one in found(stumbles) if one.severity == "failure"]
    assert ["not under granian" in one.message for one in failures] == [True]
    assert "hypercorn, daphne; not under" in failures[0].message


@pytest.mark.parametrize(("patient", "warnings"), [("granian", 1), ("uvicorn", 0)])
def test_what_differs_only_while_things_happen_at_once_is_no_servers_doing(monkeypatch, patient, warnings):
    """Granian lets other tasks run in a send: who comes first may change, once clients wait nothing does."""
    [case] = talk(None, Options(target="app:app"))
    hasty = len(case.scenario.steps)

    def alone(app, case, name, options):
        differs = name == ("granian" if len(case.scenario.steps) == hasty else patient) != "uvicorn"
        return Attempt([], seen=("alice receives 2" if differs else "alice receives 3",))

    monkeypatch.setattr(dependence, "_alone", alone)
    seen = {name: [(case, ("2" if name == "granian" else "3",))] for name in SERVERS}
    assert len(list(divided_outcomes(None, seen, Options(target="app:app")))) == warnings


def test_divided_names_the_first_thing_that_differs():
    same = ("alice is accepted", "alice receives 'a'")
    assert divided({"uvicorn": same, "daphne": same}) == ""
    assert divided({}) == ""
    assert divided({"uvicorn": same, "daphne": same[:1], "granian": same}) == (
        "alice receives 'a' under uvicorn, granian; nothing more under daphne"
    )


def test_what_others_show_too_is_no_difference():
    echoes = ("alice is accepted", "alice receives 'a'")
    assert divided({"uvicorn": ("alice makes the app raise KeyError",), "hypercorn": echoes}) == (
        "alice makes the app raise KeyError under uvicorn; the app does not raise under hypercorn"
    )
    assert divided({"uvicorn": echoes, "daphne": (*echoes, "alice receives 'b'")}) == (
        "nothing more under uvicorn; alice receives 'b' under daphne"
    )


def test_the_order_of_what_clients_see_is_no_difference():
    """Bob's message before alice's is nothing that either of them could tell."""
    first = ("alice is accepted", "bob is accepted", "bob receives 'hi'", "alice receives 'hi'")
    last = ("alice is accepted", "alice receives 'hi'", "bob is accepted", "bob receives 'hi'")
    assert divided({"uvicorn": first, "granian": last}) == ""
    assert divided({"uvicorn": (*first, "bob receives 'hi'"), "granian": last}) == (
        "bob receives 'hi' under uvicorn; nothing more under granian"
    )


def test_a_long_outcome_is_cut():
    assert shown_outcome("x" * 100) == "x" * 77 + "..."


def test_the_catalogue_explains_it_and_strict_is_no_server():
    assert get_check("WSH402").severity == "warning"
    assert "strict" not in SERVERS

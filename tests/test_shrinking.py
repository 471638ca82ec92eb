import pytest

from wsharness.results import Failure
from wsharness.scenario.model import ClientSpec, RunInfo, Scenario, Step, Verb
from wsharness.shrinking import Outcome, find, loose_key, shrink
from wsharness.transcript import Frame

CRASH = Failure("WSH101", "t", "m", kind="KeyError", stack=(Frame("a.py", 3, "f"),))


def talk(*steps, **run):
    made = [Step(client, Verb(verb), value) for client, verb, value in steps]
    clients = {step.client: ClientSpec("/ws") for step in made if step.client}
    return Scenario(clients=clients, steps=tuple(made), run=RunInfo(**run))


def running(shows, log=None):
    """A runner of an app that crashes where `shows(scenario)`; a random order has deviation 5 and one of the seed."""

    def run(scenarios):
        for scenario in scenarios:
            if log is not None:
                log.append(scenario)
            schedule = scenario.run.schedule
            if schedule == "random":
                schedule = {5: 1, 10 + scenario.run.seed: 1}
            order = {} if schedule == "fifo" else schedule
            yield Outcome([CRASH] if shows(scenario, order) else [], order)

    return run


LONG = talk(
    ("alice", "connect", None),
    ("bob", "connect", None),
    ("eve", "connect", None),
    ("alice", "send", "x" * 50),
    ("bob", "send", "y"),
    (None, "pause", 1.0),
    ("bob", "close", {"code": 4000, "reason": "bye"}),
    ("alice", "send", "z"),
    faults={"eve": {"latency": 1.0}, "alice": {"stall": True}},
)


def test_only_what_the_failure_needs_is_left():
    scenario, failure = shrink(
        LONG,
        CRASH,
        running(lambda one, _: any(step.verb is Verb.SEND and step.client == "alice" for step in one.steps)),
    )
    assert [(step.client, step.value) for step in scenario.steps] == [("alice", "hello")]
    assert (list(scenario.clients), scenario.run.faults) == (["alice"], None)
    assert failure is CRASH


def test_a_close_keeps_its_code_where_that_matters():
    def closed(one, _):
        return any(step.verb is Verb.CLOSE and step.value not in (None, 1000) for step in one.steps)

    scenario, _ = shrink(LONG, CRASH, running(closed))
    assert [(step.verb, step.value) for step in scenario.steps] == [(Verb.CLOSE, 4000)]


def test_the_own_order_is_tried_first():
    log = []
    scenario = talk(("alice", "connect", None), schedule={3: 1})
    small, _ = shrink(scenario, CRASH, running(lambda *_: True, log))
    assert log[0].run.schedule == "fifo"
    assert small.run.schedule == "fifo"


def test_only_the_deviations_that_matter_are_left():
    scenario = talk(("alice", "connect", None), schedule={1: 1, 2: 1, 5: 2, 7: 1, 9: 1})
    small, _ = shrink(scenario, CRASH, running(lambda _, order: {2: 1, 7: 1}.items() <= order.items()))
    assert small.run.schedule == {2: 1, 7: 1}


def test_a_smaller_conversation_gets_other_orders():
    """The deviations of the long one say nothing in the short one."""

    def shows(one, order):
        long = len(one.steps) > 2
        return bool(order.get(1) if long else order.get(5))

    scenario = talk(("alice", "connect", None), ("alice", "send", "a"), ("alice", "send", "b"), schedule={1: 1, 2: 1})
    small, _ = shrink(scenario, CRASH, running(shows))
    assert len(small.steps) == 1
    assert small.run.schedule == {5: 1}


def test_it_gives_up_after_so_many_runs():
    log = []
    scenario, failure = shrink(LONG, CRASH, running(lambda *_: False, log), patience=7)
    assert (scenario, failure, len(log)) == (LONG, CRASH, 7)


def test_an_undone_random_order_shrinks_without_deviations_to_name():
    scenario = talk(("alice", "connect", None), schedule="random")
    small, _ = shrink(scenario, CRASH, running(lambda _, order: 5 in order))
    assert small.run.schedule == "random"


@pytest.mark.parametrize(("code", "same"), [("WSH107", True), ("WSH101", False)])
def test_who_holds_a_connection_makes_no_other_bug(code, same):
    one, other = (Failure(code, "t", "m", kind=kind, route="/ws") for kind in ("a list", "a set"))
    assert (loose_key(one) == loose_key(other)) is same
    assert (find(other, Outcome([one])) is one) is same


def test_runs_that_take_seconds_are_few_and_what_they_show_counts():
    log = []

    def run(scenarios):
        for scenario in scenarios:
            log.append(scenario)
            yield Outcome([CRASH], lost=5.0)

    scenario, _ = shrink(LONG, CRASH, run, patience=400)
    assert len(log) == 2
    assert scenario.steps == log[-1].steps != LONG.steps

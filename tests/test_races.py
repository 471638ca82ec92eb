import json

from wsharness.deliveries import MARK
from wsharness.races import MOST_ORDERS, MOST_PLACES, Races, Talk, one_after_another, talks
from wsharness.scenario.entry import Entry
from wsharness.scenario.loading import loads
from wsharness.scenario.model import RunInfo, Step, Verb
from wsharness.targets import Route

RACES = Races(Route("/ws", "", {}), Entry(hello=({"type": "join"},)), RunInfo(seed=3))


def said(message, client=1, number=1):
    return [talk.say(client, number).value for talk in talks(message)]


def test_a_mark_stands_in_place_of_a_text_or_behind_it():
    assert said("hello") == ["note-alice-1", "hello note-alice-1"]
    assert said("3", client=2, number=4) == ["note-bob-4", "3 note-bob-4"]


def test_a_mark_stands_in_each_place_of_an_object():
    message = {"type": "say", "n": 3, "to": ["bob", None], "quiet": True}
    places = [json.loads(text) for text in said(json.dumps(message))]
    assert places == [
        {**message, "type": "note-alice-1"},
        {**message, "n": 471001},
        {**message, "to": ["note-alice-1", None]},
    ]


def test_of_a_large_message_the_first_places_are_tried():
    assert len(said(json.dumps([str(number) for number in range(50)]))) == MOST_PLACES


def test_every_message_of_a_race_has_its_own_mark():
    for race in RACES.of(Talk("note-here-0")):
        sent = [step.value for step in race.steps if step.verb is Verb.SEND and isinstance(step.value, str)]
        marks = [mark for text in sent for mark in MARK.findall(text)]
        assert len(marks) == len(sent) == len(set(marks)) >= 3
        assert race.steps[-1].verb is Verb.PAUSE
        assert race.run.seed == 3
        assert {step.client for step in race.steps} - {None} == {*race.clients}


def test_everyone_says_hello_first():
    for scenario in (RACES.trial(Talk("note-here-0")), RACES.round(["hi"]), *RACES.of(Talk("note-here-0"))):
        hellos = [step.client for step in scenario.steps if step.value == {"type": "join"}]
        assert sorted(hellos) == sorted(scenario.clients)


def scenario(*steps):
    lines = "\n".join(f"  - {step}" for step in steps)
    [one] = loads(f"wsharness: 1\nclients: {{alice: {{}}, bob: {{}}}}\nsteps:\n{lines}\nrun: {{schedule: random}}\n")
    return one


def orders(*steps):
    return [
        "".join(str(step.value) for step in one.steps if step.client) for one in one_after_another(scenario(*steps))
    ]


def test_what_stands_between_two_pauses_is_done_in_every_order():
    assert orders("alice: {send: a}", "alice: {send: b}", "bob: {send: x}") == ["abx", "axb", "xab"]
    assert orders("alice: {send: a}", "pause: 1s", "bob: {send: x}") == ["ax"]
    two = ("alice: {send: a}", "bob: {send: x}", "pause: 1s", "alice: {send: b}", "bob: {send: y}")
    assert orders(*two) == ["axby", "axyb", "xaby", "xayb"]


def test_one_after_another_nothing_races():
    for one in one_after_another(scenario("alice: {connect: {}, within: 0s}", "bob: {send: x}")):
        assert [step.verb is Verb.PAUSE for step in one.steps] == [False, True, False, True]
        assert one.run.schedule == "fifo"
        assert Step("alice", Verb.CONNECT, {}) in one.steps


def test_too_many_orders_are_none():
    steps = [f"{name}: {{send: {number}}}" for number in range(5) for name in ("alice", "bob")]
    assert orders(*steps) == []
    assert len(orders(*steps[:6])) == 20 <= MOST_ORDERS

"""Conversations whose steps race, their messages marked, and the same steps one after another."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from wsharness.deliveries import number_mark, text_mark
from wsharness.phrases import Data
from wsharness.scenario.entry import Entry, client_name, sending
from wsharness.scenario.model import RunInfo, Scenario, Step, Verb
from wsharness.targets import Route, varying

PAUSE = 1.0  # virtual seconds, in which what was said comes to an end
ALICE, BOB, CAROL = 1, 2, 3
TEXT, NUMBER = "note-here-0", 470_000
"""What stands in a message where its mark will be."""
MOST_PLACES = 8  # of a message in which a mark is tried
MOST_ORDERS = 24


@dataclass(frozen=True, slots=True)
class Talk:
    """A message with a place for a mark."""

    text: str

    def say(self, client: int, number: int) -> Step:
        """The step in which the client of that number says its message of that number."""
        name = client_name(client)
        said = self.text.replace(TEXT, text_mark(name, number)).replace(str(NUMBER), number_mark(client, number))
        return Step(name, Verb.SEND, said)


def talks(message: Data) -> list[Talk]:
    """The ways to put a mark into a message: in place of a text or a number of it, or behind it; none into bytes."""
    if isinstance(message, bytes):
        return []
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, (dict, list)):
        return [Talk(TEXT), Talk(f"{message} {TEXT}")]
    return [Talk(json.dumps(one)) for one in itertools.islice(_marked(value), MOST_PLACES)]


def _marked(value: Any) -> Iterator[Any]:
    """The value with one text or number of it replaced."""
    if isinstance(value, str):
        yield TEXT
    elif isinstance(value, int) and not isinstance(value, bool):
        yield NUMBER
    elif isinstance(value, dict):
        for key in value:
            yield from ({**value, key: one} for one in _marked(value[key]))
    elif isinstance(value, list):
        for place in range(len(value)):
            yield from ([*value[:place], one, *value[place + 1 :]] for one in _marked(value[place]))


@dataclass(frozen=True, slots=True)
class Races:
    """Makes conversations on one route."""

    route: Route
    entry: Entry
    run: RunInfo
    shared: tuple[str, ...] = ()
    """Parameters of which all clients have one value."""

    def in_one_room(self) -> "Races | None":
        """The same with one value of the route's first parameter, if each client has another: it may name a room."""
        first = varying(self.route, {**self.entry.params, **self.entry.query})[:1]
        return replace(self, shared=first) if first and not self.shared else None

    def trial(self, talk: Talk) -> Scenario:
        """Two who speak in turn: whether one hears the other."""
        return self._scenario("trial", self._enter(ALICE, BOB), *(_then(talk.say(who, 1)) for who in (ALICE, BOB)))

    def round(self, messages: Sequence[Data]) -> Scenario:
        """Two who say all there is to say, one after the other: no race."""
        said = (_then(sending(client_name(who), text)) for text in messages for who in (ALICE, BOB))
        return self._scenario("a round", self._enter(ALICE, BOB), *said)

    def of(self, talk: Talk) -> Iterator[Scenario]:
        """Two speak at once; one speaks while another leaves, or comes; two come at once."""
        say, coming = talk.say, self._coming
        everyone = self._enter(ALICE, BOB, CAROL)
        leaves = Step(client_name(BOB), Verb.DROP)
        yield self._scenario(
            "two speak at once",
            everyone,
            _then(say(ALICE, 1), say(ALICE, 2), say(BOB, 1)),
            _then(say(ALICE, 3)),
            _then(say(BOB, 2)),
        )
        yield self._scenario(
            "one leaves while another speaks",
            everyone,
            _then(say(ALICE, 1), leaves),
            _then(say(ALICE, 2)),
            _then(say(CAROL, 1)),
        )
        yield self._scenario(
            "one comes while another speaks",
            self._enter(ALICE, BOB),
            _then(say(ALICE, 1), *coming(CAROL)),
            _then(say(ALICE, 2)),
            _then(say(CAROL, 1)),
        )
        yield self._scenario(
            "two come at once",
            self._enter(ALICE),
            _then(*_alternately(coming(BOB), coming(CAROL))),
            *(_then(say(who, 1)) for who in (ALICE, BOB, CAROL)),
        )

    def _enter(self, *clients: int) -> list[Step]:
        """They come, one after the other."""
        return [step for client in clients for step in _then(*self.entry.steps(client_name(client)))]

    def _coming(self, client: int) -> list[Step]:
        return list(self.entry.steps(client_name(client), at_once=True))

    def _scenario(self, name: str, *parts: Sequence[Step]) -> Scenario:
        steps = tuple(step for part in parts for step in part)
        names = {step.client for step in steps}
        numbers = [number for number in (ALICE, BOB, CAROL) if client_name(number) in names]
        clients = {client_name(number): self.entry.client(self.route, number, self.shared) for number in numbers}
        return Scenario(name=f"{name} on {self.route.path}", clients=clients, steps=steps, run=self.run)


def _then(*steps: Step) -> list[Step]:
    """These at once, and then nothing for a while."""
    return [*steps, Step(None, Verb.PAUSE, PAUSE)]


def _alternately(*parts: Sequence[Step]) -> list[Step]:
    return [step for steps in itertools.zip_longest(*parts) for step in steps if step is not None]


def one_after_another(scenario: Scenario) -> list[Scenario]:
    """The scenario in asyncio's order without any race: what stood between two pauses, in each order there is.

    A client's own steps keep theirs. Empty where there are too many orders to try them all.
    """
    bursts: list[list[Step]] = [[]]
    for step in scenario.steps:
        if step.verb is Verb.PAUSE:
            bursts.append([])
        else:
            bursts[-1].append(replace(step, within=None))
    info = replace(scenario.run or RunInfo(), schedule="fifo")
    orders = itertools.product(*(list(itertools.islice(_orders(burst), MOST_ORDERS + 1)) for burst in bursts))
    found = [
        replace(scenario, run=info, steps=tuple(paused for burst in order for step in burst for paused in _then(step)))
        for order in itertools.islice(orders, MOST_ORDERS + 1)
    ]
    return found if len(found) <= MOST_ORDERS else []


def _orders(steps: Sequence[Step]) -> Iterator[list[Step]]:
    """Every order of steps in which each client's own stay as they are."""
    if not steps:
        yield []
    for name in dict.fromkeys(step.client for step in steps):
        place = next(place for place, step in enumerate(steps) if step.client == name)
        for rest in _orders([*steps[:place], *steps[place + 1 :]]):
            yield [steps[place], *rest]

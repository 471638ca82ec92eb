"""Which messages lead furthest into an app, and after which: they are sent, and the lines that run are counted."""

import itertools
import json
import re
import sys
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from wsharness import probes
from wsharness.asgi import App
from wsharness.attempts import BATCH, STEP_LIMIT
from wsharness.conversations import SMALL_TALK, Case, Options, opened, talking
from wsharness.events import Message
from wsharness.outcomes import ever_accepted
from wsharness.phrases import NAMES, Data, messages_of, own
from wsharness.simulation import seconds_lost, simulate
from wsharness.targets import Route
from wsharness.transcript import Direction, Fact
from wsharness.vocabulary import TEXT, words_of
from wsharness.words import Words
from wsharness.workers import Hung, run_all

Place: TypeAlias = tuple[str, int]
ROUNDS = 3
MOST = 8  # messages that are chosen
FEW_VALUES = 3  # of what is looked for in a handshake
MOST_ENTRIES = 4  # ways to come in that are tried where nobody gets in
GIVEN = ("query", "headers", "cookies", "params")
PLACES = {"query": "query", "header": "headers", "cookie": "cookies", "path": "params"}
CHAPTERS = 4  # messages that may have to be said, each after the other, before the next is understood
PAGE = 12  # messages that are said one after another, each by a client who came for it
GENERIC = tuple(dict.fromkeys([*SMALL_TALK, "{}", '["type", 1, null]', "null", "7"]))
"""What is sent to any app, before anything is known of it."""


@dataclass(slots=True)
class Sighting:
    """What one message led to."""

    message: Data = ""
    functions: set[Place] = field(default_factory=set)
    """File and first line of each of the user's functions that ran."""
    lines: set[Place] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    """What the app sent."""
    heard: int = 0
    """Characters that another client received."""
    accepted: bool = False
    busy: bool = False
    """The app went round without end."""
    missing: list[str] = field(default_factory=list)
    """Keys whose lack was a KeyError."""


@dataclass(slots=True)
class _Scout:
    """What is known of one route."""

    app: App
    route: Route
    options: Options
    seen: list[Sighting] = field(default_factory=list)
    candidates: list[Data] = field(default_factory=list)
    """What may be understood."""
    words: Words = field(default_factory=Words)

    def look(self) -> None:
        """Say what any app may understand, then what the source looks for in the functions that this led to."""
        words, tried = self.words, set[Data]()
        self.candidates = list(GENERIC)
        for _ in range(ROUNDS):
            new = [text for text in dict.fromkeys(self.candidates) if text not in tried]
            tried.update(new)
            self.seen += _send_each(self.app, self.route, new, self.options)
            for key in [key for one in self.seen for key in one.missing]:
                words.add_key(key)
            places = sorted(set[Place]().union(*(one.functions for one in self.seen)))
            words = self.words = _merged(words, words_of(places, _source, self._declared()))
            answers = [text for one in self.seen for text in one.said if text.startswith("{")]
            for answer in answers:
                self._take(answer)
            self.candidates = [*messages_of(words), *dict.fromkeys(answers)]

    def _declared(self) -> dict[str, str]:
        """What the route declares, and where it is given."""
        return {name: PLACES[one.place] for name, one in self.route.params.items()}

    def _take(self, answer: str) -> None:
        """An id that the app gave is what it looks for later."""
        for key, value in _decoded(answer).items():
            known = self.words.values.get(key, [])
            if key in self.words.keys and len(known) < FEW_VALUES and type(value) in (str, int):
                self.words.add_value(key, value)

    def leads_further(self, than: "_Scout") -> bool:
        """Whether clients that come so get in where others do not, or to more of the app."""
        seen = list(_send_each(self.app, self.route, than.furthest() or SMALL_TALK, self.options))
        accepted = any(one.accepted for one in seen)
        if not any(one.accepted for one in than.seen):
            return accepted
        return accepted and bool(_lines(seen) - _lines(than.seen))

    def furthest(self) -> tuple[Data, ...]:
        """The messages that lead furthest; those given come first."""
        given = self.options.messages
        return (*given, *(text for text in _furthest(self.seen) if text not in given))[:MOST]

    def asked(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """What the app looks for in a handshake, with what it compares it with."""
        values = {
            name: [str(one) for one in known if type(one) in (str, int)] for name, known in self.words.values.items()
        }
        return tuple(
            (place, name, tuple(values.get(name, ())[:FEW_VALUES]))
            for place in GIVEN
            for name in self.words.asked.get(place, ())
        )

    def given(self) -> tuple[str, ...]:
        """Texts in the app's answers that its source has not: tokens, of which the first client's is in most runs."""
        places = set[Place]().union(*(one.functions for one in self.seen))
        known = "".join(_source(file) for file in sorted({file for file, _ in places}))
        known += " ".join((*GENERIC, *NAMES))
        counts = Counter(text for one in self.seen for text in dict.fromkeys(_texts(one.said)) if text not in known)
        return tuple(text for text, _ in counts.most_common(FEW_VALUES))

    def entries(self) -> Iterator[Options]:
        """The options with what may let clients in: a subprotocol, all that is looked for in a handshake."""
        options = self.options
        known = {name for place in GIVEN for name, _ in getattr(options, place)}
        asked = [one for one in self.asked() if one[1] not in known and (one[2] or one[0] != "params")]
        offers = [(), *([tuple(self.words.subprotocols)] if not options.subprotocols else [])]
        most = max((len(values) for _, _, values in asked), default=1)
        for offer, number in itertools.product(offers, range(max(1, most))):
            chosen = {name: (place, values[number % len(values)] if values else TEXT) for place, name, values in asked}
            more: dict[str, Any] = {
                given: (
                    *getattr(options, given),
                    *((name, one) for name, (place, one) in chosen.items() if place == given),
                )
                for given in GIVEN
            }
            if offer or chosen:
                yield replace(options, subprotocols=offer or options.subprotocols, **more)

    def opened(self) -> Options:
        """The options with what has to be said first for others to be understood, and what is understood then.

        Where one who says what another has said is not understood, each says it with a name of its own.
        """
        messages, named = self.furthest(), any(own(one, 2) != one for one in self.furthest())
        opening, deep = self._opening(each=False)
        each = named and not opening
        if each:
            opening, deep = self._opening(each=True)
        return replace(
            self.options,
            messages=messages,
            opening=opening,
            deep=deep,
            own=each and bool(opening),
            asked=self.asked(),
            given=self.given(),
            subprotocols_known=tuple(self.words.subprotocols),
        )

    def _opening(self, *, each: bool) -> tuple[tuple[Data, ...], tuple[Data, ...]]:
        opening: tuple[Data, ...] = ()
        found: tuple[Data, ...] = ()
        known = _lines(self.seen)
        said = list(dict.fromkeys([*self.furthest(), *self.candidates]))
        pages = [tuple(said[start : start + PAGE]) for start in range(0, len(said), PAGE)]
        for _ in range(CHAPTERS):
            tries = {one: list(self._after((*opening, one), pages, each=each)) for one in found or self.furthest()}
            best = max(tries, key=lambda one: len(_lines(tries[one]) - known), default="")
            new = [page for page, one in zip(pages, tries.get(best, ()), strict=False) if one.lines - known]
            if not new:
                break
            opening = (*opening, best)
            seen = list(
                self._after(opening, list(dict.fromkeys([*self.furthest(), *itertools.chain(*new)])), each=each)
            )
            known |= _lines(seen)
            found = tuple(_furthest(seen))[:MOST]
        return opening, found

    def _after(
        self, opening: tuple[Data, ...], messages: "Sequence[Data | tuple[Data, ...]]", *, each: bool
    ) -> Iterator[Sighting]:
        """What messages lead to that are said after others."""
        inside = opened(replace(self.options, opening=opening, own=each))
        return _send_each(self.app, self.route, messages, inside, batch=1)  # what has an id has the first again


def _lines(seen: Iterable[Sighting]) -> set[Place]:
    return set[Place]().union(*(one.lines for one in seen))


def scout(app: App, route: Route, options: Options) -> tuple[Data, ...]:
    """The messages that are worth sending to a route, those that lead furthest first; those given come first."""
    found = _Scout(app, route, options)
    found.look()
    return found.furthest()


def _decoded(answer: str) -> dict[str, Any]:
    """The object that an answer is; an empty one for anything else."""
    try:
        said = json.loads(answer)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _texts(answers: Iterable[str]) -> Iterator[str]:
    """The texts in answers, however deep, that could stand in a handshake."""
    inside: deque[Any] = deque(map(_decoded, answers))
    while inside:
        one = inside.popleft()
        if isinstance(one, (dict, list)):
            inside += list(one.values()) if isinstance(one, dict) else one
        elif isinstance(one, str) and _TOKEN.fullmatch(one):
            yield one


_TOKEN = re.compile(r"[\w.~=-]+", re.ASCII)


def _merged(old: Words, new: Words) -> Words:
    for key, kinds in old.keys.items():
        new.keys.setdefault(key, set()).update(kinds)
    return new


def _source(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _furthest(seen: Sequence[Sighting]) -> Iterator[Data]:
    """Those that together run every line that any of them runs, the one that adds most first.

    Of those that add as much, what was read from the source comes before what is sent to any app.
    """
    left = sorted(seen, key=lambda one: one.message in GENERIC)
    known: set[Place] = set()
    while left:
        best = max(left, key=lambda one: (len(one.lines - known), one.heard > 0))
        if not best.lines - known:
            return
        left.remove(best)
        known |= best.lines
        yield best.message


def _send_each(
    app: App, route: Route, messages: "Sequence[Data | tuple[Data, ...]]", options: Options, *, batch: int = BATCH
) -> Iterator[Sighting]:
    """What came of each message, or of some said one after another, until one makes the app turn for ever."""

    def job(index: int) -> Sighting:
        message = messages[index]
        several = message if isinstance(message, tuple) else (message,)
        return sight(app, talking(route, several, options), several[0], options)

    jobs = [(index,) for index in range(len(messages))]
    for _, found in run_all(job, jobs, parallel=options.parallel, limit=options.limit, batch=batch, spoils=_is_busy):
        if not isinstance(found, Hung):
            yield found if isinstance(found, Sighting) else Sighting()
        if isinstance(found, Hung) or (isinstance(found, Sighting) and found.busy):
            return  # each costs a second, and one is enough to find it


def _is_busy(sighting: Sighting) -> bool:
    return sighting.busy


def sight(app: App, case: Case, message: Data, options: Options) -> Sighting:
    """Run one conversation and note where in the user's code it leads."""
    sighting = Sighting(message)
    with _tracing(sighting):
        result = simulate(case.scenario, app, seed=0, profile=options.profile, step_limit=STEP_LIMIT)
    hung_up = any(
        failure.code == "WSH207" for failure in result.failures
    )  # as clients do, whatever the app takes it for
    sighting.accepted = ever_accepted(result.transcript) and not hung_up
    sighting.busy = seconds_lost(result) > 0 or any(failure.code == "WSH103" for failure in result.failures)
    for record in result.transcript:
        event: Any = record.event
        if record.direction is Direction.SERVER and isinstance(event, Message) and isinstance(event.data, str):
            sighting.said.append(event.data)
            sighting.heard += len(event.data) * (record.client != "alice")
        elif isinstance(event, Fact) and event.data.get("exception") == "KeyError":
            sighting.missing.append(event.message.strip("'\""))
    return sighting


@contextmanager
def _tracing(sighting: Sighting) -> Iterator[None]:
    users: dict[str, bool] = {}

    def trace(frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        file = code.co_filename
        if file not in users:
            users[file] = probes.place(file)[1]
        if not users[file]:
            return None
        if event == "call":
            sighting.functions.add((file, code.co_firstlineno))
        elif event == "line":
            sighting.lines.add((file, frame.f_lineno))
        return trace

    before, in_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(trace)
    threading.settrace(trace)  # frameworks run handlers that are no coroutines there
    try:
        yield
    finally:
        sys.settrace(before)
        threading.settrace(in_threads)


def with_messages(app: App, route: Route, options: Options) -> Options:
    """The options with what is worth saying to this route, and what only after something else has been said.

    Clients bring what the source looks for in a handshake where that leads further into the app.
    """
    found = _Scout(app, route, options)
    found.look()
    for entry in itertools.islice(found.entries(), MOST_ENTRIES):
        other = _Scout(app, route, entry)
        if other.leads_further(found):
            other.look()
            found = other
            break
    return found.opened()


def as_text(message: Any) -> str:
    """A message as it is sent."""
    return message if isinstance(message, str) else json.dumps(message)

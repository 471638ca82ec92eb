"""Which messages lead furthest into an app: candidates are sent, and the lines of its code that run are counted."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import Any, TypeAlias

from wsharness import probes
from wsharness.asgi import App
from wsharness.attempts import BATCH, STEP_LIMIT
from wsharness.conversations import SMALL_TALK, Case, Options, talking
from wsharness.events import Message
from wsharness.simulation import seconds_lost, simulate
from wsharness.targets import Route
from wsharness.transcript import Direction, Fact
from wsharness.vocabulary import Words, messages_of, words_of
from wsharness.workers import Hung, run_all

Place: TypeAlias = tuple[str, int]
ROUNDS = 3
MOST = 8  # messages that are chosen
GENERIC = tuple(dict.fromkeys([*SMALL_TALK, "{}", '["type", 1, null]', "null"]))
"""What is sent to any app, before anything is known of it."""


@dataclass(slots=True)
class Sighting:
    """What one message led to."""

    message: str = ""
    functions: set[Place] = field(default_factory=set)
    """File and first line of each of the user's functions that ran."""
    lines: set[Place] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    """What the app sent."""
    heard: int = 0
    """Characters that another client received."""
    busy: bool = False
    """The app went round without end."""
    missing: list[str] = field(default_factory=list)
    """Keys whose lack was a KeyError."""


def scout(app: App, route: Route, options: Options) -> tuple[str, ...]:
    """The messages that are worth sending to a route, those that lead furthest first; those given come first."""
    seen: list[Sighting] = []
    words = Words()
    tried: set[str] = set()
    candidates = list(GENERIC)
    for _ in range(ROUNDS):
        new = [text for text in dict.fromkeys(candidates) if text not in tried]
        tried.update(new)
        seen += _send_each(app, route, new, options)
        for sighting in seen:
            for key in sighting.missing:
                words.add_key(key)
        words = _merged(words, words_of(sorted(set().union(*(one.functions for one in seen))), _source))
        candidates = [*messages_of(words), *(text for one in seen for text in one.said if text.startswith("{"))]
    return (*options.messages, *(text for text in _furthest(seen) if text not in options.messages))[:MOST]


def _merged(old: Words, new: Words) -> Words:
    for key, kinds in old.keys.items():
        new.keys.setdefault(key, set()).update(kinds)
    return new


def _source(file: str) -> str:
    try:
        return Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _furthest(seen: Sequence[Sighting]) -> Iterator[str]:
    """Those that together run every line that any of them runs, the one that adds most first.

    Of those that add as much, what was read from the source comes before what is sent to any app.
    """
    left = [*seen[len(GENERIC) :], *seen[: len(GENERIC)]]
    known: set[Place] = set()
    while left:
        best = max(left, key=lambda one: (len(one.lines - known), one.heard > 0))
        if not best.lines - known:
            return
        left.remove(best)
        known |= best.lines
        yield best.message


def _send_each(app: App, route: Route, messages: Sequence[str], options: Options) -> Iterator[Sighting]:
    def job(index: int) -> Sighting:
        return sight(app, talking(route, messages[index], options), messages[index], options)

    jobs = [(index,) for index in range(len(messages))]
    for _, found in run_all(job, jobs, parallel=options.parallel, limit=options.limit, batch=BATCH, spoils=_is_busy):
        if isinstance(found, Hung) or (isinstance(found, Sighting) and found.busy):
            return  # each costs a second, and has been found
        if isinstance(found, Sighting):
            yield found


def _is_busy(sighting: Sighting) -> bool:
    return sighting.busy


def sight(app: App, case: Case, message: str, options: Options) -> Sighting:
    """Run one conversation and note where in the user's code it leads."""
    sighting = Sighting(message)
    with _tracing(sighting):
        result = simulate(case.scenario, app, seed=0, profile=options.profile, step_limit=STEP_LIMIT)
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

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def with_messages(app: App, route: Route, options: Options) -> Options:
    """The options with what is worth saying to this route."""
    return replace(options, messages=scout(app, route, options))


def as_text(message: Any) -> str:
    """A message as it is sent."""
    return message if isinstance(message, str) else json.dumps(message)

"""What grows while a client does not read, or with every connection that comes and goes: containers, by length."""

import asyncio
import gc
from collections import Counter, deque
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from wsharness import probes
from wsharness.harness import Harness
from wsharness.holders import path_to
from wsharness.scenario.model import Scenario, Step, Verb
from wsharness.stopping import frames, is_users
from wsharness.transcript import Fact

CONTAINERS = (list, dict, set, deque)
FEW = 40  # connections of one client from which on growth is looked for
LEAST = 50  # entries that a queue must have gained while its client did not read
Sizes = dict[int, tuple[int, Any]]
"""id → length, and the container: kept alive, so that ids stay its own."""
NOTHING: Sizes = {}


def sizes(known: Sizes = NOTHING) -> Sizes:
    """The length of each container that is alive, frozen ones and those unknown to the garbage collector included.

    All that is alive is frozen then: another look, which is given what this one found, goes through what is new.
    """
    if not known:
        gc.unfreeze()
    gc.collect()  # what is only garbage would stay, held by what is returned
    new = gc.get_objects()
    found = {key: (len(one), one) for key, (_, one) in known.items()}
    for one in new:
        kind = type(one)
        if kind in CONTAINERS:
            found[id(one)] = (len(one), one)
        if kind is dict or kind.__module__ not in _PLAIN:
            for inner in gc.get_referents(one):
                if type(inner) is dict and not gc.is_tracked(inner):
                    found[id(inner)] = (len(inner), inner)
    gc.freeze()
    return found


_PLAIN = ("builtins", "functools", "types", "typing", "_weakref", "weakref", "abc")


class Growth:
    """Looks at an app's memory between the steps of a scenario, and writes facts."""

    def __init__(self, harness: Harness, scenario: Scenario) -> None:
        self._harness = harness
        planned = Counter(step.client for step in scenario.steps if step.verb is Verb.CONNECT)
        self._most = max(planned.values(), default=0)
        quarter = self._most // 4
        self._checkpoints = {quarter * part for part in (1, 2, 3, 4)} if self._most >= FEW else set()
        self._connects: Counter[str | None] = Counter()
        self._coming: list[Sizes] = []
        self._many = sum(step.verb is Verb.SEND for step in scenario.steps) >= 2 * LEAST
        self._stalled: str | None = None
        self._queued: list[tuple[int, Sizes]] = []
        self._sent = 0
        self._last: Verb | None = None
        self._looked = False

    def before(self, step: Step) -> None:
        """A step is about to be done."""
        if step.verb is Verb.CONNECT:
            self._connects[step.client] += 1
            if self._connects[step.client] in self._checkpoints:
                self._coming.append(self._look(self._coming[-1] if self._coming else NOTHING))
        if self._last is Verb.PAUSE and self._queued:
            self._note_queue()
        self._follow(step)
        self._last = step.verb

    def _follow(self, step: Step) -> None:
        if step.verb is Verb.STALL:
            self._stalled, self._sent = step.client, 0
            self._queued = []
            if self._many:
                self._note_queue()
        elif step.verb is Verb.SEND:
            self._sent += 1
        elif step.verb is Verb.RESUME and step.client == self._stalled:
            self._note_blocked(step.client or "")

    def end(self) -> None:
        """The last step is done."""
        if self._queued:
            self._note_queue()
            self._note_queues()
        if self._coming:
            self._coming.append(self._look(self._coming[-1]))
            self._note_coming()

    def close(self) -> None:
        """The run is over: the garbage collector is as it was."""
        if self._looked:
            gc.unfreeze()

    def _look(self, known: Sizes) -> Sizes:
        self._looked = True
        return sizes(known)

    def _note_queue(self) -> None:
        self._queued.append((self._sent, self._look(self._queued[-1][1] if self._queued else NOTHING)))

    def _note_blocked(self, client: str) -> None:
        """Where the app waits to send to a client that does not read."""
        for task in sorted(asyncio.all_tasks(), key=lambda one: one.get_name()):
            if _sends_to(task.get_coro(), client):
                stack = probes.stack_of(task.get_coro())
                self._harness.note(client, Fact("send blocked", f"a send to {client} waits", stack))

    def _note_queues(self) -> None:
        """What grew with the messages while the client did not read, and was short again when it had."""
        marks, self._queued = self._queued, []
        if len(marks) < 4:  # noqa: PLR2004 (at the stall, twice during it, after it)
            return
        sent, grown = marks[2][0], _queues(marks)
        marks.clear()  # or it would be named as what holds them
        self._note_growth("queue grew", grown, {"connection": self._stalled, "messages": sent})

    def _note_coming(self) -> None:
        """What grew by as much from each quarter of the connections to the next, and stayed."""
        marks, self._coming = self._coming, []
        grown = _comings(marks, self._most // 4)
        marks.clear()
        self._note_growth("grows", grown, {"connections": self._most})

    def _note_growth(self, kind: str, grown: list[tuple[Any, int]], data: dict[str, Any]) -> None:
        gc.unfreeze()  # or what is frozen would not be named as holders
        readers = _readers()
        while grown:
            container, length = grown.pop()
            if _is_ours(container) or _is_held(container, readers):
                continue
            path = path_to(container, self._harness.app)
            if not path.startswith(INSIDE):
                holder = f"a {type(container).__name__}, {path}"
                self._harness.note("", Fact(kind, holder, data={**data, "holder": holder, "length": length}))


def _queues(marks: Sequence[tuple[int, Sizes]]) -> list[tuple[Any, int]]:
    sent = [count for count, _ in marks[:3]]
    least = max(LEAST, 0.9 * (sent[1] - sent[0]), 0.9 * (sent[2] - sent[1]))
    grown = []
    for key, (length, container) in marks[2][1].items():
        lengths = [_length(mark, key) for _, mark in marks[:3]]
        if all(later - earlier >= least for earlier, later in pairwise(lengths)) and len(container) < lengths[1]:
            grown.append((container, length))
    return grown


def _comings(marks: Sequence[Sizes], quarter: int) -> list[tuple[Any, int]]:
    grown = []
    for key, (length, container) in marks[-2].items():
        lengths = [_length(mark, key) for mark in marks[:-1]]
        steps = {later - earlier for earlier, later in pairwise(lengths)}
        each = min(steps) / quarter if len(steps) == 1 else 0
        if each >= 1 and each % 1 == 0 and _length(marks[-1], key) >= length:
            grown.append((container, length))
    return grown


def _length(sizes: Sizes, key: int) -> int:
    return sizes[key][0] if key in sizes else 0


def _sends_to(coroutine: Any, client: str) -> bool:
    """Whether a coroutine waits in the harness's send to that client."""
    return any(
        frame.f_code.co_qualname == "Channel.send" and getattr(frame.f_locals.get("self"), "name", None) == client
        for frame in frames(coroutine)
    )


def _readers() -> list[Any]:
    """What of a framework calls `receive`: it may keep messages until a handler that waits elsewhere reads them."""
    readers = []
    for task in asyncio.all_tasks():
        for caller, called in pairwise(frames(task.get_coro())):
            if called.f_code.co_qualname == "Channel.receive" and not is_users(caller.f_code.co_filename):
                readers.append(caller.f_locals.get("self"))
    return [one for one in readers if one is not None]


def _is_held(container: Any, owners: Sequence[Any]) -> bool:
    """Whether one of the owners has the container, or a queue around it, as an attribute."""
    attributes = [held for owner in owners for held in getattr(owner, "__dict__", {}).values()]
    inside = [inner for held in attributes for inner in getattr(held, "__dict__", {}).values()]
    return any(container is one for one in (*attributes, *inside))


def _is_ours(container: Any) -> bool:
    """Whether the harness or the event loop keeps a container."""
    for holder in gc.get_referrers(container):
        referrers = gc.get_referrers(holder) if type(holder) is dict else ()
        owners = (holder, *referrers)  # made after them: a list of what holds it would stay
        if any(_module(owner).startswith(OURS) and not _module(owner).startswith("wsharness.app") for owner in owners):
            return True
    return False


OURS = ("wsharness.", "asyncio.base_events", "asyncio.selector_events", "asyncio.tasks", "time_machine", "_pytest")


INSIDE = ("wsharness.births.", "asyncio.", "_asyncio.", "logging.")
"""Where tasks are listed, which grow with tasks that never end: a fault that is named otherwise; where logs wait."""


def _module(owner: Any) -> str:
    named = owner.get("__name__") if type(owner) is dict else None
    return str(named or type(owner).__module__)

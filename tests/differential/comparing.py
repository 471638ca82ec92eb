"""Measures cases on a real server, replays them on its profile, and says where the two differ."""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from tests.differential.drawing import Case
from tests.differential.measure import DIED, measure_all
from tests.fidelity.replay import Seen, replay
from wsharness.profiles import get_profile

RELEASED_SINCE = {"granian": ((2, 8, 9), {"close_while_receiving": "ends it"})}
"""What a server does otherwise from a version on, which is later than the one its profile was measured on."""
_TOOK = re.compile(r"\(([\d.]+)s\)$")
TOOK_ALIKE = 0.15  # seconds: a busy machine is late
ON_TIME = 0.01  # seconds that may be between a plan and what is done: later, another order of things is no wonder
TIMES, ROUNDS = 3, 8  # how often a server must do what its profile does not, and how often it is asked at most


@dataclass(frozen=True)
class Comparison:
    """What came of cases on one server."""

    agreed: int
    wrong: list[tuple[str, Seen, Seen]]
    """Case, what the server did each of three times, on time; what its profile does."""
    unstable_keys: frozenset[str] = frozenset()
    """Cases in which the server did not do the same three times, or the machine was never quick enough to say."""
    deadly_keys: frozenset[str] = frozenset()
    """Cases that ended the server's process three times."""

    def __str__(self) -> str:
        count = self.agreed + len(self.wrong) + len(self.unstable_keys) + len(self.deadly_keys)
        died = f", {len(self.deadly_keys)} ended the server" if self.deadly_keys else ""
        return f"{self.agreed}/{count} agree, {len(self.wrong)} differ, {len(self.unstable_keys)} unstable{died}"


def compare(cases: dict[str, Case], name: str) -> Comparison:
    """Compare every case; what disagrees is measured again."""
    changes = changes_since(name)
    replayed = {key: replay(case, name, changes=changes) for key, case in cases.items()}
    measured = asyncio.run(measure_all(cases, name))

    def agrees(key: str, real: Seen) -> bool:
        own_times = get_profile(name).poll is not None
        return alike(real, replayed[key]) or (own_times and _alike_some_time(real, cases[key], name))

    doubtful = {key: case for key, case in cases.items() if not agrees(key, measured[key])}
    wrong = _insisted_on(doubtful, name, measured, agrees)
    deadly = frozenset(key for key, seen in wrong.items() if seen == DIED)
    found = [(key, seen, replayed[key]) for key, seen in wrong.items() if key not in deadly]
    return Comparison(len(cases) - len(doubtful), found, frozenset(doubtful) - frozenset(wrong), deadly)


def _insisted_on(
    cases: dict[str, Case], name: str, measured: dict[str, Seen], agrees: Callable[[str, Seen], bool]
) -> dict[str, Seen]:
    """What the server did each time, where it did the same; only what was measured on time counts."""
    shown: dict[str, list[Seen]] = {key: [] for key in cases}
    doubtful = again = cases
    for left in reversed(range(ROUNDS)):
        for key in again:
            shown[key] += [measured[key]] if measured[key].late < ON_TIME else []
        doubtful = {key: case for key, case in doubtful.items() if _all_wrong(key, shown[key], agrees)}
        again = {key: case for key, case in doubtful.items() if len(shown[key]) < TIMES}
        if not again or not left:
            break
        measured = asyncio.run(measure_all(again, name))
    return {key: shown[key][0] for key in doubtful if len(shown[key]) >= TIMES}


def _all_wrong(key: str, seen: list[Seen], agrees: Callable[[str, Seen], bool]) -> bool:
    return all(one == seen[0] for one in seen) and not (seen and agrees(key, seen[0]))


def changes_since(name: str) -> dict[str, Any]:
    """What the installed version of a server does otherwise than the one that was measured."""
    since, changes = RELEASED_SINCE.get(name, ((), {}))
    return changes if since and tuple(map(int, version(name).split(".")[:3])) >= since else {}


def _alike_some_time(real: Seen, case: Case, name: str) -> bool:
    """Whether both are the same at some time at which the server looks around and its timers fall due.

    Nobody knows when it does: daphne's process has one clock of a second for both.
    """
    changes = [{what: part / 8} for what in ("poll_offset", "timer_lead") for part in range(8)]
    return any(alike(real, replay(case, name, changes=change)) for change in changes)


def alike(real: Seen, ours: Seen) -> bool:
    """Whether both are the same, but for how long a send took."""
    if real.client != ours.client or real.scope != ours.scope or len(real.app) != len(ours.app):
        return False
    return all(_same_token(*pair) for pair in zip(real.app, ours.app, strict=True))


def _same_token(real: str, ours: str) -> bool:
    took = [_TOOK.search(token) for token in (real, ours)]
    if real == ours or not all(took):
        return real == ours
    first, second = (float(match[1]) for match in took if match)
    return _TOOK.sub("", real) == _TOOK.sub("", ours) and abs(first - second) < TOOK_ALIKE


def described(key: str, case: Case, want: Seen, got: Seen) -> str:
    """One disagreement, to be read."""
    lines = [f"--- {key}", f"  app:    {json.dumps(case['app'])}", f"  client: {json.dumps(case['client'])}"]
    more = {name: item for name, item in case.items() if name in ("handshake", "server") and item}
    lines += [f"  {name}: {json.dumps(item)}" for name, item in more.items()]
    for side in ("app", "client", "scope"):
        real, ours = getattr(want, side), getattr(got, side)
        if real != ours:
            lines += [f"  {side} real: {shown(real)}", f"  {side} ours: {shown(ours)}"]
    return "\n".join(lines)


def shown(tokens: Any) -> str:
    return " | ".join(tokens) if isinstance(tokens, list) else repr(tokens)

"""Apps whose state from before their first run is kept, for runs that must not see what another left behind.

Many runs in one process are fast, and an app that keeps state in its module (a manager's list of connections)
takes it from each into the next. So a run here counts while all is well; the first that shows something is run
again in a copy of the process from before the app's first run, and so is every later one: what they show can
be shown again.
"""

import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from wsharness.asgi import App
from wsharness.errors import WSHarnessError
from wsharness.results import Result
from wsharness.workers import Gone, Reserve, can_fork

R = TypeVar("R")
MOST = 32  # apps that are kept; whoever makes one for each run needs none of this
LIMIT = 60.0  # real seconds
REMEMBERED = 500


@dataclass(slots=True)
class Kept:
    """An app, and the copy of the process in which it has not run yet."""

    app: App
    process: int
    reserve: Reserve | None = None
    spoiled: bool = False
    """A run here showed something: its state may be wrong."""
    results: dict[bytes, Result] = field(default_factory=dict, repr=False)
    """What fresh runs showed lately."""

    def run(self, warm_up: Callable[[], None], function: Callable[..., Result], *args: Any) -> Result:
        """`function(app, *args)`, here or in a fresh copy; `warm_up` does what every copy would else do again."""
        if self.reserve is None:
            warm_up()
            _make_reserve()
        if not self.spoiled:
            result = function(self.app, *args)
            self.spoiled = result.error is not None or any(one.severity == "failure" for one in result.failures)
            if not self.spoiled:
                return result
        return self._run_fresh(function, args)

    def _run_fresh(self, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
        """The run in a copy; what ran once need not run again, and Hypothesis tries much twice."""
        key = pickle.dumps(args)
        if key not in self.results:
            assert self.reserve is not None
            found = self.reserve.call(_run_kept, id(self.app), function, args, limit=LIMIT)
            if isinstance(found, Gone):
                raise WSHarnessError(found.message)
            if len(self.results) >= REMEMBERED:
                del self.results[next(iter(self.results))]
            self.results[key] = found
        return self.results[key]


_kept: dict[int, Kept] = {}


def keep(app: App) -> None:
    """From its next run on, have a copy of the process from before it."""
    if can_fork() and find(app) is None:
        while len(_kept) >= MOST:
            del _kept[next(iter(_kept))]
        _kept[id(app)] = Kept(app, os.getpid())


def find(app: App) -> Kept | None:
    """What is kept of the app in this process."""
    kept = _kept.get(id(app))
    return kept if kept is not None and kept.app is app and kept.process == os.getpid() else None


def _make_reserve() -> None:
    """One copy serves all apps that have not run yet."""
    reserve = Reserve()
    for kept in _kept.values():
        if kept.reserve is None:
            kept.reserve = reserve


def _run_kept(number: int, function: Callable[..., Result], args: tuple[Any, ...]) -> Result:
    result = function(_kept[number].app, *args)
    result.error = _picklable(result.error)
    return result


def _picklable(error: BaseException | None) -> BaseException | None:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 (our own)
    except Exception:  # noqa: BLE001 (whatever its own __reduce__ does)
        return WSHarnessError(f"{type(error).__name__}: {error}")
    return error

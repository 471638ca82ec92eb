"""What would make two runs of one seed differ: hashes by address, randomness, the wall clock.

The one place that touches private names of asyncio's tasks, anyio and random; tests/test_determinism.py
notices when a release moves one.
"""

import asyncio
import ctypes
import datetime as dt
import functools
import gc
import os
import random
import sys
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from contextlib import contextmanager
from types import BuiltinMethodType, MethodType
from typing import Any, TypeAlias, TypeVar

from wsharness.errors import UsageError

T = TypeVar("T")

EPOCH = 1_767_225_600.0
"""The wall clock when a run starts: 2026-01-01 00:00:00 UTC."""
GC_THRESHOLDS = (200_000, 50, 1000)  # four times cheaper than the default at 100,000 clients

HASHED_BY_NUMBER = {
    "asyncio.queues": ("Queue",),
    "asyncio.locks": ("Lock", "Event", "Condition", "Semaphore"),
    "anyio._backends._asyncio": ("CancelScope", "Event"),
    "anyio.streams.memory": ("MemoryObjectSendStream", "MemoryObjectReceiveStream"),
    "starlette.requests": ("HTTPConnection",),
    "litestar.connection.base": ("ASGIConnection",),
}
"""Classes whose instances live in sets that people, asyncio and anyio iterate."""


class Numbers:
    """Counts what is created in a run."""

    def __init__(self) -> None:
        self._last = 0

    def next(self) -> int:
        """The next number, from 1."""
        self._last += 1
        return self._last

    def restart(self) -> None:
        """Count from 1 again: the order of a set depends on the numbers themselves."""
        self._last = 0


tasks: Numbers = Numbers()
others: Numbers = Numbers()
"""Of the run in progress: there is never more than one in a process."""


class NumberedTask(asyncio.Task[T]):
    """A task whose hash is its creation number: asyncio and anyio cancel by iterating sets of tasks."""

    __slots__ = ("dismissed", "number")

    def __init__(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: str | None = None,
        **options: Any,
    ) -> None:
        self.number: int = tasks.next()
        self.dismissed: bool = False
        """Its exception was not looked at when it was cancelled, after it had ended."""
        super().__init__(coro, name=f"Task-{self.number}" if name is None else name, **options)

    def __hash__(self) -> int:
        return self.number

    def cancel(self, msg: Any | None = None) -> bool:
        """As asyncio's, which also forgets that nobody has looked at the exception of a task that has ended."""
        if self.done():
            self.dismissed = True
            return False
        return super().cancel(msg)


class TaskList:
    """The tasks of one loop, held weakly; asyncio.all_tasks looks through those of every loop there was."""

    _MANY = 1_000

    def __init__(self) -> None:
        self._tasks: list[weakref.ref[asyncio.Task[Any]]] = []
        self._prune_at = self._MANY

    def add(self, task: asyncio.Task[Any]) -> None:
        """Know it as long as somebody holds it."""
        self._tasks.append(weakref.ref(task))
        if len(self._tasks) > self._prune_at:
            self._tasks = [one for one in self._tasks if one() is not None]
            self._prune_at = 2 * len(self._tasks) + self._MANY

    def alive(self) -> list[asyncio.Task[Any]]:
        """Those that are not done."""
        return [task for one in self._tasks if (task := one()) is not None and not task.done()]

    def failed(self) -> "list[asyncio.Task[Any]]":
        """Those that ended by an exception for which nobody has asked, in the order in which they began."""
        held = [task for one in self._tasks if (task := one()) is not None]
        return [task for task in held if getattr(task, "_log_traceback", False)]


_STEP = "TaskStepMethWrapper"
_STEP_NAMES = frozenset(("task_wakeup", "TaskWakeupMethWrapper", "__step", "__wakeup"))


def task_of(handle: asyncio.Handle) -> int | None:
    """The number of the task whose step a handle runs; None for a plain callback."""
    task = task_behind(handle)
    return None if task is None else hash(task)


def task_behind(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    """The task whose step a handle runs; None for a plain callback, `task.cancel` for one."""
    callback = handle._callback  # type: ignore[attr-defined]  # noqa: SLF001
    kind = type(callback)
    if kind is BuiltinMethodType or kind is MethodType:
        if callback.__name__ not in _STEP_NAMES:
            return None
    elif kind.__name__ != _STEP:
        return None
    owner = callback.__self__
    return owner if isinstance(owner, asyncio.Task) else None


_number_of: dict[int, int] = {}
_unpatched = list(HASHED_BY_NUMBER)


def _hash(self: object) -> int:
    number = _number_of.get(id(self))
    return object.__hash__(self) if number is None else number


def _number_instances(cls: type) -> None:
    """Give what is created from now on a number for its hash; older instances keep theirs."""
    init = cls.__init__  # type: ignore[misc]

    @functools.wraps(init)
    def __init__(self: object, *args: Any, **options: Any) -> None:  # noqa: N807
        _number_of[id(self)] = others.next()
        init(self, *args, **options)

    cls.__init__ = __init__  # type: ignore[misc]
    cls.__hash__ = _hash  # type: ignore[method-assign,assignment]


def number_known_classes() -> None:
    """Patch the classes of HASHED_BY_NUMBER that are imported; for good, since hashes must not change."""
    for module in [module for module in _unpatched if module in sys.modules]:
        _unpatched.remove(module)
        for name in HASHED_BY_NUMBER[module]:
            _number_instances(getattr(sys.modules[module], name))


class _SeededBytes:
    """`os.urandom` from a seed, so that uuid4() and secrets are the same in every run of one seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random: random.Random | None = None

    def __call__(self, size: int, /) -> bytes:
        if self._random is None:
            self._random = random.Random(f"urandom {self._seed}")  # noqa: S311 (it is to be predictable)
        return self._random.randbytes(size)


class StateInMemory:
    """The state of a Random, to be given back.

    `getstate` makes 625 numbers of it, which takes as long as a connection in a run: where memory lies as CPython
    lays it out, its bytes are kept as they are.
    """

    SIZE = random.Random.__base__.__basicsize__ - object.__basicsize__  # type: ignore[union-attr]

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._gauss_next = source.gauss_next  # type: ignore[attr-defined]
        self._bytes = ctypes.string_at(self._address, self.SIZE)

    @property
    def _address(self) -> int:
        return id(self._source) + object.__basicsize__

    def give_back(self) -> None:
        """Let the source be as it was."""
        ctypes.memmove(self._address, self._bytes, self.SIZE)
        self._source.gauss_next = self._gauss_next  # type: ignore[attr-defined]

    @classmethod
    def works(cls) -> bool:
        """Whether a Random lies in memory as expected."""
        source = random.Random(1)  # noqa: S311 (nobody is to be surprised by it)
        before, kept = source.getstate(), cls(source)
        source.random()
        kept.give_back()
        return source.getstate() == before


class StateInNumbers:
    """The same by Random's own methods."""

    def __init__(self, source: random.Random) -> None:
        self._source = source
        self._state = source.getstate()

    def give_back(self) -> None:
        """Let the source be as it was."""
        self._source.setstate(self._state)


State: TypeAlias = StateInMemory | StateInNumbers
keep_state: Callable[[random.Random], State] = StateInMemory if StateInMemory.works() else StateInNumbers
_RANDOM: random.Random = random._inst  # noqa: SLF001 (whose methods the module's functions are)


@contextmanager
def reproducible(seed: int, *, clock: bool = True) -> Iterator[Callable[[float], None] | None]:
    """Everything a run needs to be the same again; yields what moves the wall clock to a second of the run.

    One context manager, not four: what it costs, every run pays.
    """
    number_known_classes()
    tasks.restart()
    others.restart()
    travel = _journey() if clock else None
    usual, _BOUND._get_loop = _BOUND._get_loop, _get_loop  # noqa: SLF001
    state, urandom, thresholds = keep_state(_RANDOM), os.urandom, gc.get_threshold()
    gc.set_threshold(*GC_THRESHOLDS)
    random.seed(seed)
    _set_urandom(_SeededBytes(seed))
    try:
        yield None if travel is None else _mover(travel.start())
    finally:
        if travel is not None:
            travel.stop()
        _BOUND._get_loop = usual  # noqa: SLF001
        _set_urandom(urandom)
        state.give_back()
        gc.set_threshold(*thresholds)


_BOUND: Any = asyncio.mixins._LoopBoundMixin  # noqa: SLF001
_loop_of: Callable[[Any], asyncio.AbstractEventLoop] = _BOUND._get_loop  # noqa: SLF001


def _get_loop(self: Any) -> asyncio.AbstractEventLoop:
    """A lock or queue of a module outlives a run: in the next it belongs to that run's loop, as in the first."""
    if self._loop is not None and self._loop.is_closed():
        self._loop = None
    return _loop_of(self)


def _set_urandom(function: Callable[[int], bytes]) -> None:
    os.urandom = random._urandom = function  # type: ignore[attr-defined]  # noqa: SLF001


def _mover(traveller: Any) -> Callable[[float], None]:
    move_to = traveller.move_to
    return lambda now: move_to(EPOCH + now)


def _journey() -> Any:
    """What takes the wall clock to the time of a run and back."""
    if "freezegun" in sys.modules and dt.datetime.__name__ == "FakeDatetime":
        raise UsageError(
            "the wall clock cannot follow a simulation while freezegun holds it; "
            "leave freezegun out of this test, or pass wall_clock=False"
        )
    return _travel()


@functools.cache
def _travel() -> Any:
    import time_machine  # noqa: PLC0415 (it costs start-up time that most commands need not pay)

    return time_machine.travel(EPOCH, tick=False)

"""Runs in processes of their own: what one leaves behind does not reach the others, and a hang has an end."""

import contextlib
import gc
import os
import pickle
import selectors
import signal
import sys
import time
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Generic, NoReturn, TypeAlias, TypeVar

from wsharness.errors import UsageError, WSHarnessError
from wsharness.lastwords import LastWords, Site
from wsharness.transcript import Transcript

T = TypeVar("T")
CHUNK = 1 << 16
HESITATION = 0.2  # seconds
SIZE = 8  # bytes that say how long an answer is


class WorkerError(WSHarnessError):
    """A run's process died, or raised what no run should raise."""


@dataclass(slots=True)
class Hung:
    """What comes back for a run that had to be ended from outside."""

    seconds: float

    @property
    def message(self) -> str:
        """What happened."""
        return f"the run did not end within {self.seconds:g} s of real time and was stopped from outside"


@dataclass(slots=True)
class Died:
    """What comes back for a run that ended its process."""

    status: int
    """The exit code, or a signal's number below zero, as in `subprocess`."""
    sites: tuple[Site, ...] = ()
    """The last line of the user's own code, and what called it."""
    transcript: Transcript = field(default_factory=Transcript)
    """What had happened until then."""

    @property
    def how(self) -> str:
        """Of what it died."""
        if self.status >= 0:
            return f"exit code {self.status}"
        return signal.Signals(-self.status).name if -self.status in signal.valid_signals() else f"signal {-self.status}"

    @property
    def message(self) -> str:
        """What happened."""
        return f"the process that ran the app ended with {self.how}"


Gone: TypeAlias = Hung | Died
"""What comes back for a run that cannot tell what it showed."""


@dataclass(slots=True)
class _Batch:
    jobs: range
    traced: bool = False
    """It is the run once more that ended its process, to see where."""


@dataclass(slots=True)
class _Child:
    jobs: range
    """Those that it has not answered yet."""
    pid: int
    pipe: int
    due: float
    words: LastWords | None = None
    kept: float = 0.0
    """For how long it had been kept from running when `due` was set."""
    answered: int = 0
    data: bytearray = field(default_factory=bytearray)


def can_fork() -> bool:
    """Whether the platform can."""
    return hasattr(os, "fork")


def _never(_: Any) -> bool:
    return False


def run_all(
    function: Callable[..., T],
    jobs: Sequence[tuple[Any, ...]],
    *,
    parallel: int = 1,
    limit: float = 60.0,
    batch: int = 1,
    spoils: Callable[[T], bool] = _never,
) -> Iterator[tuple[int, T | Gone]]:
    """Call `function(*job)` for each job, in forked processes; yield (index, value) in the jobs' order.

    The parent must not have run the app: a process starts from the state right after the import. It takes `batch`
    jobs one after another, for a fork costs more than a short run, and ends early after a value that `spoils` it:
    the rest of the batch goes on in a new one, and so does a job that fails after others. Which jobs share a process
    depends on their values and not on how many run in `parallel`. A run that takes more than `limit` real seconds, but
    for those that the machine gave to others, is ended and yields Hung; one that ends its process, alone as well, Died.
    """
    if not can_fork():
        raise UsageError("isolated runs need os.fork, which this platform has not; use WSL, Linux or macOS")
    with frozen():
        yield from _in_order(_Pool(function, jobs, parallel, limit, batch, spoils))


_freezers = 0


@contextlib.contextmanager
def frozen() -> Iterator[None]:
    """Keep garbage collections from what runs share with their parent; nested, it looks only at what is new."""
    global _freezers  # noqa: PLW0603 (the garbage collector is the process's too)
    gc.collect()
    gc.freeze()
    _freezers += 1
    try:
        yield
    finally:
        _freezers -= 1
        if not _freezers:
            gc.unfreeze()


def _in_order(pool: "_Pool[T]") -> Iterator[tuple[int, T | Gone]]:
    done: dict[int, T | Gone] = {}
    try:
        for index in range(len(pool.jobs)):
            while index not in done:
                pool.fill()
                done.update(pool.collect())
            yield index, done.pop(index)
    finally:
        pool.close()


class _Pool(Generic[T]):
    def __init__(
        self,
        function: Callable[..., T],
        jobs: Sequence[tuple[Any, ...]],
        parallel: int,
        limit: float,
        batch: int = 1,
        spoils: Callable[[T], bool] = _never,
    ) -> None:
        self.jobs = jobs
        self._function = function
        self._spoils = spoils
        self._parallel = max(1, parallel)
        self._limit = limit
        starts = range(0, len(jobs), batch)
        self._waiting = deque(_Batch(range(start, min(start + batch, len(jobs)))) for start in starts)
        self._children: dict[int, _Child] = {}
        self._selector = selectors.DefaultSelector()

    def fill(self) -> None:
        """Start as many children as there is room for."""
        while self._waiting and len(self._children) < self._parallel:
            child = self._fork(self._waiting.popleft())
            self._children[child.pipe] = child
            self._selector.register(child.pipe, selectors.EVENT_READ)

    def _fork(self, batch: _Batch) -> _Child:
        reader, writer = os.pipe()
        words = LastWords() if batch.traced else None
        pid = _fork()
        if pid == 0:
            os.close(reader)
            _work(self._function, [self.jobs[index] for index in batch.jobs], self._spoils, writer, words)
        os.close(writer)
        return _Child(batch.jobs, pid, reader, time.monotonic() + self._limit, words)

    def collect(self) -> dict[int, T | Gone]:
        """Wait for some child and take what is finished."""
        now = time.monotonic()
        patience = max(0.0, min(child.due for child in self._children.values()) - now)
        finished: dict[int, T | Gone] = {}
        for key, _ in self._selector.select(patience):
            child = self._children[key.fd]
            chunk = os.read(key.fd, CHUNK)
            child.data += chunk
            finished.update(self._answers(child))
            if not chunk:
                finished.update(self._end(child))
        for child in [child for child in self._children.values() if self._is_over(child)]:
            os.kill(child.pid, signal.SIGKILL)
            self._reap(child)
            finished[child.jobs[0]] = Hung(self._limit)
            self._go_on(child.jobs[1:])
        return finished

    def _is_over(self, child: _Child) -> bool:
        if child.due > time.monotonic():
            return False
        kept = _kept_from_running(child.pid)
        child.due, child.kept = child.due + max(0.0, kept - child.kept), kept
        return child.due <= time.monotonic()

    def _answers(self, child: _Child) -> Iterator[tuple[int, T]]:
        """The values that have come whole."""
        while len(child.data) >= SIZE and len(child.data) >= (end := SIZE + int.from_bytes(child.data[:SIZE])):
            value = _value(child.data[SIZE:end])
            del child.data[:end]
            child.due, child.kept = time.monotonic() + self._limit, _kept_from_running(child.pid)
            child.answered += 1
            index, child.jobs = child.jobs[0], child.jobs[1:]
            yield index, value

    def _end(self, child: _Child) -> Iterator[tuple[int, Died]]:
        """A process ended: what it leaves undone goes on in another; a job that ends its own too is not done again."""
        said = ((), Transcript()) if child.words is None else (child.words.read(), child.words.transcript())
        status = self._reap(child)
        if status == -signal.SIGINT:
            time.sleep(HESITATION)  # a Ctrl-C is for all of us, and raises here
        if child.answered or not child.jobs:
            self._go_on(child.jobs)
            return
        self._go_on(child.jobs[1:])
        if child.words is None:
            self._waiting.appendleft(_Batch(child.jobs[:1], traced=True))
        else:
            yield child.jobs[0], Died(status, *said)

    def _go_on(self, jobs: range) -> None:
        """What is left of a batch begins anew, before other batches."""
        if jobs:
            self._waiting.appendleft(_Batch(jobs))

    def _reap(self, child: _Child) -> int:
        self._selector.unregister(child.pipe)
        os.close(child.pipe)
        del self._children[child.pipe]
        if child.words is not None:
            child.words.close()
        return os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])

    def close(self) -> None:
        """End what still runs."""
        for child in list(self._children.values()):
            os.kill(child.pid, signal.SIGKILL)
            self._reap(child)
        self._selector.close()


class Reserve:
    """A copy of this process that stays as it is now, and runs functions in copies of itself.

    What the process does later (an app that keeps state in its module, say) is not seen by them.
    """

    def __init__(self) -> None:
        asks, self._asking = os.pipe()
        self._answers, answering = os.pipe()
        self._pid = _fork()
        if self._pid == 0:
            os.close(self._asking)
            os.close(self._answers)
            _serve(os.fdopen(asks, "rb"), os.fdopen(answering, "wb"))
        os.close(asks)
        os.close(answering)

    def call(self, function: Callable[..., T], *args: Any, limit: float = 60.0) -> T | Gone:
        """`function(*args)`, which must be picklable, as if nothing had run since; as `run_all` does."""
        request = pickle.dumps((function, args, limit))
        try:
            _write(self._asking, len(request).to_bytes(8) + request)
        except BrokenPipeError:
            raise _died() from None
        with os.fdopen(os.dup(self._answers), "rb") as answers:
            size = int.from_bytes(answers.read(8))
            answer: tuple[bool, Any] = pickle.loads(answers.read(size)) if size else (False, _died())  # noqa: S301 (our own)
        good, value = answer
        if not good:
            raise value
        result: T | Gone = value
        return result

    def close(self) -> None:
        """End it."""
        os.close(self._asking)
        os.close(self._answers)
        os.waitpid(self._pid, 0)


def _serve(asks: BinaryIO, answers: BinaryIO) -> NoReturn:
    """What the copy does until nobody asks any more."""
    try:
        _silence()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        gc.freeze()
        while size := int.from_bytes(asks.read(8)):
            function, args, limit = pickle.loads(asks.read(size))  # noqa: S301 (our own parent wrote it)
            answer = pickle.dumps(_answer(function, args, limit))
            answers.write(len(answer).to_bytes(8) + answer)
            answers.flush()
    finally:
        os._exit(0)


def _answer(function: Callable[..., Any], args: tuple[Any, ...], limit: float) -> tuple[bool, Any]:
    try:
        ((_, value),) = _in_order(_Pool(function, [args], 1, limit))
    except WSHarnessError as error:
        return False, error
    return True, value


def _fork() -> int:
    """As os.fork; a Ctrl-C ends a child without a word, for its parent hears of it too."""
    sys.stdout.flush()  # or every child would write what is still to be written
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of our own watchdog's thread, which a child begins anew
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            pid = os.fork()
            if pid == 0:
                signal.signal(signal.SIGINT, signal.SIG_DFL)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        return pid


def _kept_from_running(pid: int) -> float:
    """Seconds for which a process could have run and others did; 0 where the system does not say (Linux does)."""
    try:
        with Path(f"/proc/{pid}/schedstat").open(encoding="ascii") as file:
            return int(file.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def _died() -> WorkerError:
    return WorkerError("the process that keeps a copy of the app from before its first run was ended from outside")


def _value(data: bytearray) -> Any:
    good, value = pickle.loads(data)  # noqa: S301 (our own child wrote it)
    if good:
        return value
    if isinstance(value, WSHarnessError):
        raise value
    raise WorkerError(f"a run failed inside the harness:\n{value}")


def _work(
    function: Callable[..., T],
    jobs: Iterable[tuple[Any, ...]],
    spoils: Callable[[T], bool],
    writer: int,
    words: LastWords | None,
) -> None:
    """Run jobs, write their values, and leave without the parent's clean-up."""
    try:
        _silence()
        _leave_no_core()
        if words is not None:
            words.follow()
        for number, job in enumerate(jobs):
            good, payload, spoilt = _run_job(function, job, spoils)
            if number and not good:
                break  # an app that can be started only once, perhaps: the job begins anew in a process of its own
            _write(writer, len(payload).to_bytes(SIZE) + payload)
            if spoilt:
                break
    finally:
        os._exit(0)


def _write(pipe: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(pipe, view) :]


def _run_job(function: Callable[..., T], job: tuple[Any, ...], spoils: Callable[[T], bool]) -> tuple[bool, bytes, bool]:
    """Whether it has a value, what goes back to the parent, and whether nothing else may run in this process."""
    try:
        value = function(*job)
        return True, pickle.dumps((True, value)), spoils(value)
    except WSHarnessError as error:
        return False, pickle.dumps((False, error)), True
    except BaseException:  # noqa: BLE001 (whatever it is, the parent must hear of it)
        return False, pickle.dumps((False, traceback.format_exc())), True


def _leave_no_core() -> None:
    """A crash is reported, and need not fill the disk."""
    import resource  # noqa: PLC0415 (where there is no fork there is none of it)

    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _silence() -> None:
    """Let the app print into the void: the report is ours."""
    void = os.open(os.devnull, os.O_WRONLY)
    os.dup2(void, 1)
    os.dup2(void, 2)

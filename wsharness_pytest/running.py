"""Runs tests that have clients: closes their harnesses in the test's own coroutine, and simulates."""

import functools
import inspect
import sys
import warnings
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from contextvars import Context
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from wsharness_pytest import LeakedTaskWarning
from wsharness_pytest.reporting import set_property
from wsharness_pytest.settings import Settings, settings_of

if TYPE_CHECKING:
    from wsharness.harness import Harness

T = TypeVar("T")
HARNESSES = pytest.StashKey[list["Harness"]]()
"""What a test's fixtures made; there as soon as one of them can make some."""


def is_async(item: Any) -> bool:
    """Whether the test is an async function."""
    function = getattr(item, "obj", None)
    return function is not None and inspect.iscoroutinefunction(inspect.unwrap(function))


def is_ours(item: pytest.Item) -> bool:
    """Whether the test is async and has clients, or is simulated."""
    if not isinstance(item, pytest.Function) or not is_async(item) or is_given(item):
        return False
    return HARNESSES in item.stash or item.get_closest_marker("simulated") is not None


def is_given(item: Any) -> bool:
    """Whether Hypothesis calls the test, many times."""
    return bool(getattr(getattr(item, "obj", None), "is_hypothesis_test", False))


@contextmanager
def prepared(item: pytest.Function) -> Generator[None]:
    """Let the test close its harnesses by itself, and run in virtual time if it is simulated."""
    original, settings = item.obj, settings_of(item)
    item.obj = _closing(original, item)
    if settings.is_simulated:
        _refuse_async_fixtures(item)
        item.runtest = functools.partial(_simulate, item, settings)  # type: ignore[method-assign]
    try:
        yield
    finally:
        item.obj = original
        vars(item).pop("runtest", None)


@contextmanager
def spared(item: pytest.Item) -> Generator[None]:
    """Let a KeyboardInterrupt that the app raised fail the test, and not end all of them."""
    try:
        yield
    except KeyboardInterrupt as error:
        if HARNESSES not in item.stash and not _is_of_a_connection(error):
            raise
        from wsharness.interrupts import as_failure  # noqa: PLC0415 (starting pytest must not import wsharness)

        failure = as_failure(error)
        if failure is error:
            raise
        raise failure from error


def _is_of_a_connection(error: BaseException) -> bool:
    """Whether what raised it was begun while a Harness served a connection: tasks and callbacks have that context."""
    inprocess, place = sys.modules.get("wsharness.inprocess"), error.__traceback__
    while inprocess is not None and place is not None:
        context = getattr(place.tb_frame.f_locals.get("self"), "_context", None)  # of one of asyncio's handles
        if isinstance(context, Context) and context.get(inprocess.serving):
            return True
        place = place.tb_next
    return False


def _closing(test: Callable[..., Any], item: pytest.Item) -> Callable[..., Any]:
    @functools.wraps(test)
    async def closing(*args: Any, **kwargs: Any) -> None:
        error: BaseException | None = None
        try:
            await test(*args, **kwargs)
        except BaseException as raised:
            error = raised
            raise
        finally:
            await close(item.stash.get(HARNESSES, []), error)

    return closing


async def close(harnesses: "list[Harness]", primary: BaseException | None) -> None:
    """End the harnesses, the last first; what they raise becomes a note of what was raised before."""
    first = primary
    for harness in reversed(harnesses):
        try:
            await harness.aclose(first)
            _warn_of_leaks(harness)  # which raises, where warnings are errors
        except Exception as error:  # noqa: BLE001 (raised below, or told as a note)
            if first is None:
                first = error
            elif error is not first:
                first.add_note(f"also, as the harness ended: {type(error).__name__}: {error}")
    if first is not None and primary is None:
        raise first


def _warn_of_leaks(harness: "Harness") -> None:
    if any(harness.transcript.facts("task leaked")):
        for failure in harness.result().failures:
            if failure.code == "WSH104":
                warnings.warn(f"{failure.code}: {failure.message}", LeakedTaskWarning, stacklevel=2)


def call(item: pytest.Function) -> Coroutine[Any, Any, None]:
    """The test's coroutine."""
    names = item._fixtureinfo.argnames  # noqa: SLF001 (as pytest's own plugins do)
    coroutine: Coroutine[Any, Any, None] = item.obj(**{name: item.funcargs[name] for name in names})
    return coroutine


def _simulate(item: pytest.Function, settings: Settings) -> None:
    if item.funcargs.get("anyio_backend_name", item.funcargs.get("anyio_backend")) == "trio":
        _simulate_on_trio(item, settings)
        return
    from wsharness.runner import run  # noqa: PLC0415 (starting pytest must not import wsharness)

    run(lambda: call(item), seed=settings.seed, schedule=settings.schedule, progress=progress_of(item))


class OneLoop:
    """The loop that all of a test's `ws_sync` harnesses share: none of them ends it."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner

    def run(self, coroutine: Coroutine[Any, Any, T], /) -> T:
        """Run a coroutine; the loop's own frames are left out of what it raises."""
        try:
            value: T = self._runner.run(coroutine)
        except Exception as error:  # noqa: BLE001 (raised again; of Ctrl-C, the frames say that it is one)
            raise error.with_traceback(_inside_loop(error.__traceback__))  # noqa: B904 (the same error)
        return value

    def close(self) -> None:
        """Leave the loop to the other harnesses."""


def _inside_loop(place: TracebackType | None) -> TracebackType | None:
    asyncio_seen = False
    while place is not None:
        module = place.tb_frame.f_globals.get("__name__", "")
        if asyncio_seen and not module.startswith("asyncio."):
            break
        asyncio_seen = asyncio_seen or module.startswith("asyncio.")
        place = place.tb_next
    return place


def progress_of(item: pytest.Item) -> Callable[[], int]:
    """Return what tells a busy loop from a busy app."""
    from wsharness.transcript import Progress  # noqa: PLC0415 (pytest starts without it)

    return Progress(lambda: [harness.transcript for harness in item.stash.get(HARNESSES, [])])


def _simulate_on_trio(item: pytest.Function, settings: Settings) -> None:
    import random  # noqa: PLC0415 (only where trio runs)

    import trio  # noqa: PLC0415
    import trio.testing  # noqa: PLC0415

    if settings.schedule != "fifo":
        pytest.fail(
            f"{item.name} runs on trio, which has an order of its own; leave out the schedule, or run it on asyncio",
            pytrace=False,
        )
    state = random.getstate()
    random.seed(settings.seed)
    trio._core._run._r.seed(settings.seed)  # noqa: SLF001 (as Hypothesis does)
    try:
        trio.run(lambda: call(item), clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        random.setstate(state)


def _refuse_async_fixtures(item: pytest.Function) -> None:
    for name, definitions in item._fixtureinfo.name2fixturedefs.items():  # noqa: SLF001 (no public way)
        function = inspect.unwrap(definitions[-1].func)
        if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
            pytest.fail(
                f"{item.name} is simulated, and its async fixture {name!r} lives on another event loop; "
                "make it a plain fixture, or do its work inside the test",
                pytrace=False,
            )


def set_up(item: pytest.Item) -> None:
    """Forget an earlier attempt, and refuse marks that cannot be meant before any fixture runs."""
    if HARNESSES in item.stash:
        del item.stash[HARNESSES]
    if item.get_closest_marker("simulated") is None and item.get_closest_marker("ws_profile") is None:
        return
    settings = settings_of(item)
    if settings.is_simulated:
        set_property(item, "ws_seed", settings.seed)
        _refuse_plain(item)


def _refuse_plain(item: pytest.Item) -> None:
    names = getattr(item, "fixturenames", ())
    if is_given(item):
        pytest.fail(f"{item.name} is simulated and uses @given; call simulate(...) inside a plain test", pytrace=False)
    is_own = any(mark.name == "simulated" for mark in item.own_markers)  # that of a class or module means the others
    if is_own and not is_async(item) and not {"ws_sync", "ws_factory"} & set(names):
        pytest.fail(
            f"{item.name} is simulated, but neither async nor with ws_sync; make it `async def`, or call simulate(...)",
            pytrace=False,
        )

"""The plugin as pytest sees it: fixtures and hooks; wsharness is imported when a test first needs it."""

import inspect
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from wsharness_pytest import reporting, running
from wsharness_pytest.running import HARNESSES, is_async, is_given
from wsharness_pytest.settings import add_options, check_options, chosen, settings_of

if TYPE_CHECKING:
    from wsharness.harness import Harness

LOG = pytest.StashKey[reporting.ClientLog]()
CALLED = pytest.StashKey[bool]()
NEEDS_APP = (
    "the ws fixture needs an app: give --ws-app MODULE:APP, or define in conftest.py\n\n"
    "    @pytest.fixture\n    def ws_app():\n        from shop.main import app\n        return app"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options and ini values."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, and refuse options that no test could use."""
    config.addinivalue_line(
        "markers", "simulated(seed=0, schedule='fifo', profile='uvicorn'): run the test in virtual time"
    )
    config.addinivalue_line("markers", "ws_profile(name): the server that is simulated for this test")
    check_options(config)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect scenario files."""
    if not file_path.name.endswith(".ws.yaml"):
        return None
    from wsharness_pytest.collector import ScenarioFile  # noqa: PLC0415 (starting pytest must not import wsharness)

    return ScenarioFile.from_parent(parent, path=file_path)


# Fixtures


@pytest.fixture
def ws_app(request: pytest.FixtureRequest) -> Any:
    """The app under test; override it in your conftest.py, or give --ws-app MODULE:APP."""
    name = chosen(request.config, "ws_app")
    if not name:
        _fail(NEEDS_APP)
    from wsharness.errors import UsageError  # noqa: PLC0415 (starting pytest must not import wsharness)
    from wsharness.targets import load_app  # noqa: PLC0415

    try:
        return load_app(name)
    except UsageError as error:
        _fail(str(error))


@pytest.fixture
def ws(ws_app: Any, request: pytest.FixtureRequest) -> "Generator[Harness]":
    """Virtual clients of `ws_app` on the test's own event loop: `client = await ws.connect("/ws")`."""
    _refuse_given(request, "ws")
    if not is_async(request.node):
        _fail(f"{request.node.name} is not async but asks for ws; make it `async def`, or ask for ws_sync")
    harness = _make(ws_app, request)
    yield harness
    _refuse_abandoned(harness, request.node)


@pytest.fixture
def ws_sync(ws_app: Any, request: pytest.FixtureRequest) -> Generator[Any]:
    """The same verbs without await, for tests that are not async."""
    _refuse_given(request, "ws_sync")
    if is_async(request.node):
        _fail(f"{request.node.name} is async but asks for ws_sync; ask for ws and await its verbs")
    from wsharness.sync import SyncHarness  # noqa: PLC0415 (starting pytest must not import wsharness)

    with SyncHarness(_make(ws_app, request), request.getfixturevalue("_ws_loop")) as sync:
        yield sync


@pytest.fixture
def _ws_loop(request: pytest.FixtureRequest) -> Generator[running.OneLoop]:
    """The loop of a test that is not async: its harnesses share it."""
    with closing(_runner(request.node)) as runner:
        yield running.OneLoop(runner)


@pytest.fixture
def ws_factory(request: pytest.FixtureRequest) -> Generator[Callable[..., Any]]:
    """Several apps or settings in one test: `ws_factory(app, profile="hypercorn")` is another `ws` (or `ws_sync`).

    Keyword arguments are those of Harness; without an app it is `ws_app`. All are closed as `ws` is.
    """
    _refuse_given(request, "ws_factory")
    item = request.node
    item.stash.setdefault(HARNESSES, [])
    loop = None if is_async(item) else request.getfixturevalue("_ws_loop")
    with ExitStack() as opened:

        def make(app: Any = None, **options: Any) -> Any:
            harness = _make(request.getfixturevalue("ws_app") if app is None else app, request, **options)
            if loop is None:
                return harness
            from wsharness.sync import SyncHarness  # noqa: PLC0415 (starting pytest must not import wsharness)

            return opened.enter_context(SyncHarness(harness, loop))

        yield make
    for harness in item.stash[HARNESSES]:
        _refuse_abandoned(harness, item)


@pytest.fixture
def ws_transcript(request: pytest.FixtureRequest) -> Any:
    """What happened so far, in order: the transcript of `ws`, or of `ws_sync` in a test that is not async."""
    return request.getfixturevalue("ws" if is_async(request.node) else "ws_sync").transcript


def _fail(sentence: str) -> NoReturn:
    raise pytest.fail.Exception(sentence, pytrace=False) from None


def _refuse_given(request: pytest.FixtureRequest, name: str) -> None:
    if is_given(request.node):
        _fail(
            f"{request.node.name} uses @given, which calls it many times, but {name} lives once; "
            "write simulate(scenario, app) or `async with Harness(app) as ws:` inside the test"
        )
    unittest = sys.modules.get("unittest")
    if unittest is not None and isinstance(request.instance, unittest.TestCase):
        _fail(
            f"{request.node.name} is a method of a unittest.TestCase, which takes no {name}; "
            "write `async with Harness(app) as ws:` inside it"
        )


def _refuse_abandoned(harness: "Harness", item: pytest.Item) -> None:
    if harness.abandoned and item.stash.get(CALLED, False):  # else a fixture failed, which says enough
        _fail("the test ended before the harness could close; did its event loop stop early?")


def _make(app: Any, request: pytest.FixtureRequest, **options: Any) -> "Harness":
    from wsharness.errors import UsageError  # noqa: PLC0415 (starting pytest must not import wsharness)
    from wsharness.harness import GRACE, Harness  # noqa: PLC0415
    from wsharness.inprocess import serving  # noqa: PLC0415

    if inspect.iscoroutine(app) or inspect.isasyncgen(app):
        app.close() if inspect.iscoroutine(app) else None
        _fail(f"expected ws_app to return an app; got {app!r}; write it as `def ws_app():`, not `async def`")
    if app is None:
        _fail("expected ws_app to return an app; got None; end it with `return app`")
    settings = settings_of(request.node)
    options.setdefault("timeout", settings.timeout)
    if settings.profile is not None and callable(app):
        options.setdefault("profile", settings.profile)
    if settings.is_simulated:
        options.setdefault("grace", GRACE)
    try:
        harness = Harness(app, **options)
    except (UsageError, TypeError) as error:
        _fail(str(error))
    harness.patience = GRACE if settings.is_simulated else harness.patience
    request.node.stash.setdefault(HARNESSES, []).append(harness)
    if LOG not in request.node.stash:
        request.node.stash[LOG] = log = reporting.ClientLog(serving.get)
        log.start()
    return harness


def _runner(item: pytest.Item) -> Any:
    settings = settings_of(item)
    if not settings.is_simulated:
        import asyncio  # noqa: PLC0415 (starting pytest is kept short)

        return asyncio.Runner()
    from wsharness.runner import Runner  # noqa: PLC0415 (starting pytest must not import wsharness)

    return Runner(seed=settings.seed, schedule=settings.schedule, progress=running.progress_of(item))


# Running


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Look at the marks before any fixture runs."""
    running.set_up(item)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Close the harness inside the test's own coroutine, and run simulated tests in virtual time."""
    item.stash[CALLED] = True
    with running.spared(item):
        if not isinstance(item, pytest.Function) or not running.is_ours(item):
            return (yield)
        with running.prepared(item):
            return (yield)


@pytest.hookimpl
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an async test that has clients and that no other plugin claims."""
    if HARNESSES not in pyfuncitem.stash or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    import asyncio  # noqa: PLC0415 (starting pytest is kept short)

    with closing(asyncio.Runner()) as runner:
        running.OneLoop(runner).run(running.call(pyfuncitem))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    """Stop listening to the log once the fixtures are gone."""
    try:
        return (yield)
    finally:
        if LOG in item.stash:
            item.stash[LOG].stop()
            del item.stash[LOG]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the transcript of a failed test as a section of its report, and how to run it again."""
    harnesses = item.stash.get(HARNESSES, [])
    if call.excinfo is not None:
        reporting.hide_own_frames()
    report = yield
    if report.failed and "wsharness" in sys.modules and (call.when == "call" or harnesses):
        simulated = item.get_closest_marker("simulated") is not None and call.when != "setup"
        rerun = reporting.rerun_line(item, settings_of(item)) if simulated else ""
        reporting.add_sections(report, harnesses, item.stash.get(LOG, None), rerun)
        reporting.leave_out_frames(report, call.excinfo)
    folder = item.config.getoption("ws_transcripts")
    if call.when == "teardown":
        if folder is not None:
            reporting.write_transcripts(folder, item, harnesses)
        item.stash.setdefault(HARNESSES, [])
        del item.stash[HARNESSES]  # its tasks and transcripts need not live as long as the session
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary() -> Generator[None]:
    """Show transcripts where the terminal lacks their signs, as code pages do: pytest would put all into one line."""
    with reporting.signs_for(sys.stdout):
        yield

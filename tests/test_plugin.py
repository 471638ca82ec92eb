"""The plugin under every runner: real pytest processes, each with many tests."""

import importlib.util
import subprocess
import sys
import textwrap

import pytest

CONFTEST = """
import pytest

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise RuntimeError("none")
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        event = await receive()
        if event["type"] == "websocket.disconnect":
            return
        if event.get("text") == "boom":
            raise ValueError("boom")
        await send({"type": "websocket.send", "text": event["text"]})

@pytest.fixture
def ws_app():
    return app
"""
BACKENDS = """
@pytest.fixture(params=[
    "asyncio",
    "trio",
    pytest.param(("asyncio", {"use_uvloop": True}), id="uvloop", marks=pytest.mark.skipif(
        __import__("importlib.util").util.find_spec("uvloop") is None, reason="uvloop is not installed")),
])
def anyio_backend(request):
    return request.param
"""
ECHO = """
import pytest
MARK

async def test_echo(ws):
    alice, bob = await ws.connect("/"), await ws.connect("/")
    await alice.send("hi")
    await alice.expect("hi")
    await bob.send({"n": 1})
    await bob.expect({"n": 1})
    await alice.drop()

class TestInAClass:
    @pytest.mark.parametrize("text", ["a", "b"])
    async def test_echo(self, ws, text):
        async with ws.connect("/") as client:
            await client.send(text)
            await client.expect(text)

async def test_two_servers(ws_factory):
    first, second = ws_factory(), ws_factory(profile="hypercorn")
    for ws in first, second:
        await (await ws.connect("/")).send("x")
    assert [ws.profile.name for ws in (first, second)] == ["uvicorn", "hypercorn"]

async def test_fails(ws):
    client = await ws.connect("/")
    await client.send("boom")
    await client.expect("x")
"""
FIXTURES = """
FIXTURE
async def alice(ws):
    client = await ws.connect("/", name="alice")
    yield client
    assert client.state == "left"  # the harness has closed before this
    await client.close()

async def test_a_fixture_connects(alice, ws):
    await alice.send("x")
    await alice.expect("x")
"""
SCOPES = """
import asyncio
LOOPS = {}

@pytest.mark.parametrize("again", [1, 2])
@pytest.mark.asyncio(loop_scope="module")
async def test_loop_of_the_module(ws, again):
    assert LOOPS.setdefault("module", asyncio.get_running_loop()) is asyncio.get_running_loop()
    await (await ws.connect("/")).send("x")

@pytest.mark.parametrize("again", [1, 2])
@pytest.mark.asyncio(loop_scope="session")
async def test_loop_of_the_session(ws, again):
    assert LOOPS.setdefault("session", asyncio.get_running_loop()) is asyncio.get_running_loop()
    await (await ws.connect("/")).send("x")

@pytest.mark.asyncio(loop_scope="class")
class TestLoopOfTheClass:
    async def test_echo(self, ws):
        await (await ws.connect("/")).send("x")
"""
UNITTEST = """
import unittest
from conftest import app
from wsharness import Harness

class TestOld(unittest.IsolatedAsyncioTestCase):
    async def test_echo(self):
        async with Harness(app) as ws:
            client = await ws.connect("/")
            await client.send("x")
            await client.expect("x")
"""
FASTAPI = """
from typing import Annotated
from contextlib import asynccontextmanager
import fastapi
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

async def session():
    raise RuntimeError("no production database in tests")

@asynccontextmanager
async def lifespan(app):
    yield {"shop": {"visits": 0}}

shop = fastapi.FastAPI(lifespan=lifespan)

@shop.post("/visits")
async def visit(request: fastapi.Request):
    request.state.shop["visits"] += 1

@shop.websocket("/visits")
async def visits(websocket: fastapi.WebSocket, db: Annotated[AsyncSession, fastapi.Depends(session)]):
    await websocket.accept()
    one = await db.scalar(text("select 1"))
    await websocket.send_json({"visits": websocket.state.shop["visits"], "one": one})
    await websocket.close()

class TestShop:
    @pytest.fixture
    def ws_app(self):
        engine = create_async_engine("sqlite+aiosqlite:///:memory:")
        make = async_sessionmaker(engine)
        async def overridden():
            async with make() as db:
                yield db
            await engine.dispose()
        shop.dependency_overrides[session] = overridden
        yield shop
        shop.dependency_overrides.clear()

    async def test_http_and_websocket_share_state(self, ws):
        assert (await ws.http.post("/visits")).status_code == 200
        client = await ws.connect("/visits")
        await client.expect({"visits": 1, "one": 1})
        await client.expect_close(1000)
"""
SIMULATED = """
import asyncio, datetime, time

@pytest.mark.simulated(seed=7)
async def test_an_hour(ws, ws_transcript):
    client = await ws.connect("/")
    begun = datetime.datetime.now()
    await asyncio.sleep(3600)
    assert (datetime.datetime.now() - begun).total_seconds() == 3600
    await client.send("x")
    await client.expect("x")
    assert ws_transcript is ws.transcript

@pytest.mark.simulated
def test_an_hour_without_await(ws_sync, ws_factory, ws_transcript):
    ws_factory().connect("/")
    client = ws_sync.connect("/")
    ws_sync.sleep(3600)
    assert ws_transcript is ws_sync.transcript

def test_sync(ws_sync):
    with ws_sync.connect("/") as client:
        client.send("x")
        assert client.expect("x") == "x"
"""
FLAKY = """
TRIED = []

@pytest.mark.flaky(reruns=2)
async def test_flaky(ws):
    client = await ws.connect("/")
    TRIED.append(client)
    await client.send(str(len(TRIED)))
    await client.expect("2")

@pytest.mark.timeout(60)
async def test_in_time(ws):
    await (await ws.connect("/")).send("x")

@pytest.mark.timeout(1)
async def test_too_late(ws):
    import asyncio
    await ws.connect("/")
    await asyncio.sleep(600)
"""
DJANGO = """
import django.conf
django.conf.settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"], SECRET_KEY="x",
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()
from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from django.contrib.auth.models import User

class Count(AsyncJsonWebsocketConsumer):
    async def receive_json(self, content):
        await self.send_json({"users": await database_sync_to_async(User.objects.count)()})

@pytest.fixture
def ws_app():
    return Count.as_asgi()

@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", [1, 2])
async def test_counts_users(ws, again):
    await User.objects.acreate(username="alice")
    client = await ws.connect("/")
    await client.send({})
    await client.expect({"users": 1})

@pytest.mark.django_db(transaction=True)
def test_counts_users_without_await(ws_sync):
    User.objects.create(username="alice")
    client = ws_sync.connect("/")
    client.send({})
    client.expect({"users": 1})
"""


def run(tmp_path, test, *options, conftest=CONFTEST):
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_it.py").write_text(textwrap.dedent(test), encoding="utf-8")
    asyncio_ini = "asyncio_default_fixture_loop_scope = function\n" * ("no:asyncio" not in options)
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{asyncio_ini}", encoding="utf-8")
    unwanted = ["cacheprovider", *(name for name in ("randomly", "django") if f"use:{name}" not in options)]
    command = [sys.executable, "-m", "pytest", "-W", "error", "-q"]
    command += [word for name in unwanted for word in ("-p", f"no:{name}")]
    command += [option for option in options if not option.startswith("use:")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", timeout=600, check=False)
    return done.stdout + done.stderr


def needs(*names):
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def fixed(source, mark="", fixture="@pytest.fixture"):
    return source.replace("MARK", mark and f"pytestmark = {mark}").replace("FIXTURE", fixture)


UNKNOWN = ["-W", "ignore::pytest.PytestUnknownMarkWarning"]
NO_PLUGIN = ["-p", "no:asyncio", "-p", "no:anyio"]
AUTO = ["-o", "asyncio_mode=auto", "-p", "no:anyio"]
RUNNERS = {
    "no plugin": (fixed(ECHO + UNITTEST + SIMULATED), NO_PLUGIN, "1 failed, 8 passed"),
    "pytest-asyncio auto, every loop scope": (
        fixed(ECHO + FIXTURES + SCOPES + FASTAPI + UNITTEST + SIMULATED),
        AUTO,
        "1 failed, 15 passed",
    ),
    "pytest-asyncio strict": (
        fixed("import pytest_asyncio\n" + ECHO + FIXTURES, "pytest.mark.asyncio", "@pytest_asyncio.fixture"),
        ["-p", "no:anyio", "-o", "asyncio_mode=strict"],
        "1 failed, 5 passed",
    ),
    "anyio": (fixed(ECHO + FIXTURES, "pytest.mark.anyio"), ["-p", "no:asyncio"], "3 failed, 15 passed"),
    "both plugins": (fixed(ECHO, "pytest.mark.anyio"), ["-o", "asyncio_mode=strict"], "3 failed, 12 passed"),
    "xdist": (fixed(ECHO), [*NO_PLUGIN, "-n", "2"], "1 failed, 4 passed"),
    "randomly, timeout, rerunfailures": (
        fixed(ECHO + FLAKY),
        [*AUTO, "use:randomly", "-p", "no:xdist"],
        "2 failed, 6 passed, 1 rerun",
    ),
    "django": ("import pytest\n" + DJANGO, [*AUTO, "use:django"], "3 passed"),
}
NEEDS = {
    "pytest-asyncio auto, every loop scope": needs("sqlalchemy", "aiosqlite", "httpx"),
    "randomly, timeout, rerunfailures": needs("pytest_randomly", "pytest_timeout", "pytest_rerunfailures"),
    "django": needs("pytest_django"),
}


@pytest.mark.parametrize("runner", [pytest.param(name, marks=NEEDS.get(name, ())) for name in RUNNERS])
def test_ws_runs_under(runner, tmp_path):
    test, options, outcome = RUNNERS[runner]
    conftest = CONFTEST + BACKENDS * ("mark.anyio" in test)
    out = run(tmp_path, test, *options, conftest=conftest)
    assert outcome in out, out
    if "failed" in outcome:
        assert "ValueError: boom" in out
        assert "WebSocket transcript" in out


INTERRUPTED = """
    import asyncio, pytest, signal, unittest
    from wsharness import Harness

    def by_hand():
        raise KeyboardInterrupt

    def presses():
        signal.raise_signal(signal.SIGINT)

    async def work(how):
        if how == "task":
            await asyncio.sleep(0)
        END()

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        how = (await receive())["text"]
        if how == "task":
            task = asyncio.create_task(work(how))
            await asyncio.sleep(1)
        await work(how)

    @pytest.fixture
    def ws(ws_factory):
        signal.signal(signal.SIGINT, signal.default_int_handler)
        return ws_factory(app, lifespan="off")

    @pytest.mark.parametrize("how", ["handler", "task"])
    async def test_it(ws, how):
        client = await ws.connect("/")
        await client.send(how)
        await client.expect("x")

    @pytest.mark.simulated
    @pytest.mark.parametrize("how", ["handler", "task"])
    async def test_simulated(ws, how):
        client = await ws.connect("/")
        await client.send(how)
        await client.expect("x")

    class WithoutTheFixture(unittest.IsolatedAsyncioTestCase):
        async def test_it(self):
            async with Harness(app, lifespan="off") as ws:
                client = await ws.connect("/")
                await client.send("task")
                await client.expect("x")

    def test_other():
        pass
"""


def test_an_app_that_raises_a_keyboard_interrupt_fails_its_test_and_the_users_ends_all(tmp_path):
    out = run(tmp_path, INTERRUPTED.replace("END", "by_hand"), *NO_PLUGIN, *UNKNOWN)
    assert "5 failed, 1 passed" in out and "expected an app that ends no process" in out, out
    out = run(tmp_path, INTERRUPTED.replace("END", "presses"), *NO_PLUGIN, *UNKNOWN)
    assert "!!! KeyboardInterrupt !!!" in out and "failed" not in out, out

"""What cannot work is a sentence that says what to write instead."""

import pytest

from tests.nested import CONFTEST
from tests.nested import run as run

WRONG_APP = "import pytest\n@pytest.fixture\n{}def ws_app():\n    {}\n"
GIVEN = "from hypothesis import given, strategies as st\n@given(x=st.none())\n"
MARK = "import pytest\n@pytest.mark.simulated\n"


@pytest.mark.parametrize(
    ("test", "sentence"),
    [
        ("def test_x(ws):\n    pass\n", "make it `async def`, or ask for ws_sync"),
        ("async def test_x(ws_sync):\n    pass\n", "ask for ws and await its verbs"),
        (GIVEN + "async def test_x(ws, x):\n    pass\n", "simulate(scenario, app) or `async with Harness(app) as ws:`"),
        (GIVEN + "def test_x(ws_sync, x):\n    pass\n", "but ws_sync lives once"),
        (GIVEN + "def test_x(ws_factory, x):\n    pass\n", "but ws_factory lives once"),
        (GIVEN.replace("@", MARK + "@") + "async def test_x(x):\n    pass\n", "call simulate(...)"),
        (MARK + "def test_x():\n    pass\n", "neither async nor with ws_sync"),
        (
            "import pytest, unittest\n@pytest.mark.usefixtures('ws')\n"
            "class TestX(unittest.IsolatedAsyncioTestCase):\n    async def test_x(self):\n        pass\n",
            "which takes no ws",
        ),
        ("async def test_x(ws_factory):\n    ws_factory(3)\n", "expected an ASGI app"),
        ("async def test_x(ws_factory):\n    ws_factory(profile='hypercron')\n", "did you mean 'hypercorn'?"),
        ("async def test_x(ws_factory):\n    ws_factory(timeuot=3)\n", "unexpected keyword argument 'timeuot'"),
    ],
)
def test_misuse_is_a_sentence(test, sentence, run):
    out = run(test)
    assert sentence in out and "/wsharness/" not in out and "another exception" not in out, out


def test_an_async_fixture_of_a_simulated_test_is_refused_by_name(run):
    test = (
        "import pytest\n@pytest.fixture\nasync def db():\n    return 1\n"
        + MARK
        + "async def test_x(ws, db):\n    pass\n"
    )
    out = run(test, "use:asyncio", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    assert "its async fixture 'db' lives on another event loop" in out, out


@pytest.mark.parametrize(
    ("conftest", "sentence"),
    [
        ("", "def ws_app():"),
        (WRONG_APP.format("", "pass"), "expected ws_app to return an app; got None; end it with `return app`"),
        (WRONG_APP.format("", "return 3"), "expected an ASGI app, a callable"),
        (WRONG_APP.format("", "return 'shop.main:app'"), "import it: from shop.main import app"),
        (WRONG_APP.format("", "return make()\nasync def make(): pass"), "write it as `def ws_app():`, not `async def`"),
        (
            WRONG_APP.format("", "return make()\nasync def make(): yield"),
            "write it as `def ws_app():`, not `async def`",
        ),
    ],
)
def test_a_wrong_ws_app_is_a_sentence(conftest, sentence, run):
    out = run("async def test_x(ws):\n    pass\n", conftest=conftest)
    assert sentence in out and "/wsharness/" not in out and "another exception" not in out, out


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        ("def app(): pass", "; if it makes the app, call it"),
        ("async def app(): pass", "; if it makes the app, call it"),
        ("def app(environ, start_response): pass", "; a WSGI app has no WebSockets"),
        ("async def app(websocket): pass", "; if it is an endpoint, give the app that has it as a route"),
        ("def app(scope, receive, send): pass", "; make it async"),
        ("class app:\n    def __init__(self, scope): pass", "guarantee_single_callable if it is of ASGI 2"),
        ("class app:\n    def __init__(self, *a): pass\n    def as_asgi(self): pass", "; write app.as_asgi()"),
    ],
)
def test_what_cannot_be_called_as_an_app_is_a_sentence(app, sentence, run):
    conftest = f"import pytest\n{app}\n@pytest.fixture\ndef ws_app():\n    return app\n"
    out = run("async def test_x(ws):\n    await ws.connect('/')\n", conftest=conftest)
    assert "expected an ASGI app, async def app(scope, receive, send); got " in out and sentence in out, out
    assert "/wsharness/" not in out, out


def test_a_handler_that_is_stuck_is_told_without_the_loops_frames(run):
    conftest = CONFTEST.replace("while (event", "await __import__('asyncio').Event().wait()\n    while (event")
    out = run("async def test_x(ws):\n    await ws.connect('/')\n", "--ws-timeout=0.05", conftest=conftest)
    assert "HandlerStuck" in out and "runners.py" not in out and "entries are hidden" not in out, out


def test_the_app_may_be_named_on_the_command_line(run, pytester):
    pytester.makepyfile(shop_app=CONFTEST)
    pytester.syspathinsert()
    test = "async def test_x(ws):\n    await ws.connect('/')\n"
    assert "1 passed" in run(test, "--ws-app=shop_app:app", conftest="")
    assert "shop_app" in run(test, "--ws-app=shop_app:ap", conftest="")


def test_a_url_is_an_app_too(run):
    test = "def test_x(ws_factory):\n    ws = ws_factory('ws://127.0.0.1:1')\n    assert ws._harness.is_deployed\n"
    assert "1 passed" in run(test, "--ws-profile=daphne")


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    await ws.aclose()\n    await client.expect()\n", "the harness has ended"),
        ("    await ws.aclose()\n    await ws.connect('/')\n", "the harness has ended"),
        ("    await asyncio.gather(client.expect(), client.expect())\n", "already waits"),
        ("    await asyncio.to_thread(lambda: asyncio.run(client.expect()))\n", "another event loop"),
        ("    await asyncio.to_thread(lambda: asyncio.run(ws.connect_many(1, '/')))\n", "another event loop"),
    ],
)
def test_a_wait_that_cannot_end_is_a_sentence(body, sentence, run):
    out = run("import asyncio\nasync def test_x(ws):\n    client = await ws.connect('/')\n" + body)
    assert sentence in out and "_host.runtime" not in out, out


def test_what_goes_wrong_as_harnesses_end_is_told_once_each(run):
    conftest = CONFTEST.replace("while (event", "raise ValueError(scope['path'])\n    while (event")
    test = """
    async def test_x(ws_factory):
        for path in "/a", "/b":
            try:
                await ws_factory(raise_app_exceptions=True).connect(path)
            except ValueError:
                pass
        {}
    """
    out = run(test.format("pass"), conftest=conftest)
    assert "1 failed" in out and "ValueError: /b" in out and "also, in the app: ValueError: /a" in out, out
    out = run(test.format("assert not 'this'"), conftest=conftest)
    told = out.partition("short test summary")[0]  # a wide terminal's summary repeats it
    assert "AssertionError" in told and told.count("also, in the app") == 2, out


def test_an_error_of_the_shutdown_does_not_hide_the_tests_own(run):
    conftest = CONFTEST.replace("lifespan.shutdown.complete", "lifespan.shutdown.failed")
    test = "async def test_x(ws):\n    await ws.connect('/')\n    {}\n"
    assert "TargetError" in run(test.format("pass"), conftest=conftest)
    out = run(test.format("assert not 'this'"), conftest=conftest)
    assert "AssertionError" in out and "also, as the harness ended: TargetError" in out, out


AUTO = ("use:asyncio", "-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")


def test_the_mark_of_a_class_means_its_tests_that_can_be_simulated(run):
    test = "class TestX:\n    async def test_a(self, ws): pass\n    def test_b(self): pass\n"
    assert "2 passed" in run(MARK + test)


def test_where_a_fixture_failed_nothing_is_said_of_the_harness(run):
    test = "(ws):\n    await ws.connect('/')\n    raise ValueError('own')\nasync def test_x(db): pass\n"
    out = run(f"import pytest\n@pytest.fixture\nasync def db{test}", *AUTO)
    assert "own" in out and "1 error" in out and "before the harness could close" not in out, out


@pytest.mark.parametrize(
    "body",
    [
        "    async with Harness(ws_app) as ws:\n        client = await ws.connect('/')\n        await client.expect('x')\n",
        "    async with Harness(five) as ws:\n        await (await ws.connect('/')).expect('x')\n",
        "    async with Harness(ws_app) as ws:\n        await ws.connect('/')\n        pytest.fail('no')\n",
    ],
)
def test_a_harness_of_ones_own_shows_no_frames_of_ours_either(body, run):
    test = (
        "import pytest\nfrom wsharness import Harness\n"
        "async def five(scope, receive, send):\n    await receive()\n    await send({'type': 'websocket.accept'})\n"
        "    await send({'type': 'websocket.send', 'text': 5})\n"
        f"async def test_x(ws_app):\n{body}"
    )
    out = run(test, *AUTO, "--ws-timeout=0.1")
    assert "1 failed" in out and "/wsharness/" not in out and "wsharness_pytest" not in out, out


def test_the_tasks_of_another_harness_are_no_leaks(run):
    test = (
        "async def test_x(ws, ws_factory):\n"
        "    other = ws_factory()\n    await other.connect('/')\n    await ws.connect_many(3, '/')\n"
    )
    assert "1 passed" in run(test, "-W", "error")


def test_a_leak_that_is_an_error_lets_the_others_end(run):
    conftest = CONFTEST.replace("while (event", "__import__('asyncio').ensure_future(beat(send))\n    while (event")
    conftest += "async def beat(send):\n    await __import__('asyncio').sleep(100)\n"
    test = "async def test_x(ws, ws_factory):\n    await ws.connect('/')\n    await ws_factory().connect('/')\n"
    out = run(test, "-W", "error", conftest=conftest)
    assert "1 failed" in out and "LeakedTaskWarning" in out and "before the harness" not in out, out


def test_a_handler_that_looks_up_every_minute_ends_in_virtual_time(run):
    conftest = CONFTEST.replace("while (event", "await __import__('asyncio').sleep(50)\n    while (event")
    test = (
        "(ws):\n    await ws.connect('/')\n@pytest.mark.simulated\ndef test_sync(ws_sync):\n    ws_sync.connect('/')\n"
    )
    assert "2 passed" in run(f"{MARK}async def test_async{test}", conftest=conftest)


def test_simulated_on_trio(run):
    test = """
    import pytest, random, trio
    @pytest.fixture
    def anyio_backend():
        return "trio"
    @pytest.mark.simulated(seed=3{})
    async def test_x(ws, anyio_backend):
        client = await ws.connect("/")
        await trio.sleep(3600)
        await client.send("x")
        await client.expect("x")
        print(random.random())
    """
    assert "1 passed" in run(test.format(""))
    assert "leave out the schedule" in run(test.format(", schedule='random'"))

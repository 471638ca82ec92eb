"""What a report shows of a test with clients."""

import logging

import pytest

from tests.nested import CONFTEST
from tests.nested import run as run
from wsharness_pytest.reporting import ClientLog

FAILS = """
import pytest

@pytest.mark.simulated(seed=5)
async def test_fails(ws, caplog):
    alice = await ws.connect("/", name="alice")
    await alice.send("hi")
    await alice.expect("hi")
    assert [record.ws_connection for record in caplog.records] == ["alice"]
    await alice.expect("ho")
"""


def test_a_failure_shows_transcript_log_and_how_to_run_it_again(run, pytester):
    out = run(FAILS, "--junitxml=junit.xml", "--ws-transcripts=kept/here")
    assert "WebSocket transcript" in out and "alice  → 'hi'" in out, out
    assert "WebSocket log" in out and "alice  WARNING shop: got hi" in out
    assert "run it again" in out and "pytest test_it.py::test_fails --ws-seed 5\n" in out
    assert "client.py" not in out and "running.py" not in out and "base_events" not in out
    assert '<property name="ws_seed" value="5" />' in (pytester.path / "junit.xml").read_text(encoding="utf-8")
    (kept,) = (pytester.path / "kept" / "here").iterdir()
    assert kept.name == "test_it.py-test_fails.ndjson"
    assert '"client": "alice"' in kept.read_text(encoding="utf-8").splitlines()[0]


def test_a_terminal_without_our_signs_shows_others_line_by_line(pytester, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_it=FAILS)
    out = pytester.runpytest_subprocess("-p", "no:django", "-p", "no:cacheprovider").stdout
    out.fnmatch_lines(["E *0.000  alice  > 'hi'", "*- WebSocket transcript -*", "  0.000  alice  > 'hi'"])


def test_full_trace_shows_everything(run):
    assert "client.py" in run(FAILS, "--full-trace")


def test_a_sync_test_shows_its_own_line(run):
    out = run("def test_x(ws_sync):\n    ws_sync.connect('/').expect('x')\n", "--ws-timeout=0.01")
    assert "test_it.py:2: ExpectationError" in out and "base_events" not in out and "sync.py" not in out, out


def test_a_bug_of_the_harness_shows_where_it_is(run):
    test = "def test_x(ws_sync):\n    client = ws_sync.connect('/')\n    client._target._inbox = None\n    client.expect()\n"
    assert "client.py" in run(test)


def test_transcripts_are_written_for_tests_that_pass_and_one_for_each_harness(run, pytester):
    name = "x" * 190
    test = f"import pytest\n@pytest.mark.parametrize('x', ['a/b {name}'], ids=str)\ndef test_ok(ws_factory, x):\n"
    run(
        test + "    ws_factory().connect('/')\n    ws_factory().connect('/')\ndef test_none(): pass\n",
        "--ws-transcripts=t",
    )
    second, first = sorted(path.name for path in (pytester.path / "t").iterdir())
    assert first.startswith("test_it.py-test_ok[a-b-xx") and len(second) < 210
    assert second == first.replace(".ndjson", "-2.ndjson")


def test_a_warning_tells_of_tasks_that_every_connection_leaves_behind(run):
    leaky = """
    import asyncio, pytest
    TASKS = []
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        TASKS.append(asyncio.create_task(asyncio.sleep(1000)))
        await receive()
    @pytest.fixture
    def ws_app():
        return app
    """
    test = "import pytest\n@pytest.mark.simulated\nasync def test_x(ws_factory, ws_app):\n    ws = ws_factory(lifespan='off')\n"
    out = run(
        test + "    await ws.connect_many(3, '/')\n", "-W", "always", conftest=__import__("textwrap").dedent(leaky)
    )
    assert "1 passed" in out and "LeakedTaskWarning: WSH104: 3 tasks of" in out, out


@pytest.mark.parametrize(("client", "lines"), [("", []), ("alice", ["alice  INFO x: 100%d"])])
def test_a_record_that_cannot_be_formatted_breaks_nothing(client, lines):
    log = ClientLog(lambda: client)
    record = logging.LogRecord("x", logging.INFO, "x.py", 1, "100%d", ("many",), None)
    log.emit(record)
    assert record.ws_connection == client
    assert log.lines == lines

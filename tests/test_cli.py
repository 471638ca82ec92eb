import json
import os
import signal
import subprocess
import sys
import time
from importlib import metadata

import pytest

from wsharness import checks, cli, conversations
from wsharness.results import Report

APPS = """
import asyncio

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute


async def greet(websocket):
    await websocket.accept()
    try:
        name = await websocket.receive_text()
    except Exception:
        return
    await websocket.send_text(str(int(name)))


def make():
    return Starlette(routes=[WebSocketRoute("/ws/{room:int}", greet)])


def leave():
    raise SystemExit(4)


class Made(Starlette):
    pass


app = make()
bare = Starlette()
number = 5


async def failing(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def endless(scope, receive, send):
    await asyncio.Event().wait()


async def closed(scope, receive, send):
    assert scope["type"] == "websocket"
    await receive()
    await send({"type": "websocket.close"})
"""
WAITS = """
import pathlib
import time


async def app(scope, receive, send):
    pathlib.Path("waits").touch()
    time.sleep(600)
"""
TYPO = """\
wsharness: 1
name: typo
clients: {alice: {path: /ws/1}}
steps:
  - alice: connect
  - bob: {send: x}
"""
GREETING = """\
wsharness: 1
name: greeting
clients: {alice: {path: /ws/1}}
steps:
  - alice: connect
  - alice: {send: "7"}
  - alice: {expect_close: 1006}
"""


@pytest.fixture
def cli_in(tmp_path, monkeypatch, capfd):
    """Calls the command line in a folder that holds the apps; its exit code, output and errors."""
    name = f"apps_{tmp_path.name.replace('-', '_')}"
    (tmp_path / "afile").touch()
    (tmp_path / f"{name}.py").write_text(APPS, encoding="utf-8")
    monkeypatch.setattr(conversations, "CATALOGUE", conversations.CATALOGUE[:3])
    for kind in ("meetings", "stalls"):
        monkeypatch.setattr(conversations._Conversations, kind, lambda self: ())
    monkeypatch.setattr(conversations, "FEW_VISITS", 2)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["wsharness", *(str(a).replace("apps:", f"{name}:") for a in arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return left.value.code, out, err

    yield call
    sys.modules.pop(name, None)


QUICK = ("--runs", "0", "-n", "2")


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nosuch_module:app"], "no module named 'nosuch_module'"),
        (["apps:ap"], "did you mean 'app'?"),
        (["apps:number"], "a callable; got 5"),
        (["apps:make"], "add --factory"),
        (["apps"], "expected MODULE:APP"),
        (["apps:failing", "--path", "/ws"], "startup failed: no database"),
        (["apps:endless", "--path", "/ws"], "startup did not finish"),
        (["apps:app", "--profile", "uvicron"], "did you mean 'uvicorn'?"),
        (["apps:app", "--header", "x"], "expected --header NAME=VALUE; got 'x'"),
        (["apps:app.py"], "has no attribute 'py'"),
        (["shop.py:app"], "got 'shop.py:app'; did you mean 'shop:app'?"),
        ([".shop:app"], "got '.shop:app'; did you mean 'shop:app'?"),
        (["my apps/shop.py:app"], "did you mean 'shop:app' with --app-dir 'my apps'?"),
        (["apps:Made"], "got a class; name what is made of it, or add --factory"),
        (["apps:app", "--schedule", "wild"], "expected a schedule, one of"),
        (["apps:app", "--report", "pdf=x"], "pdf"),
        (["apps:app", "--report", "json"], "expected --report KIND=FILE, such as html=report.html; got 'json'"),
        (["apps:app", "--report", "json="], "expected --report KIND=FILE"),
        (["apps:app", "--report", "json=."], "'.' is a folder"),
        (["apps:app", "--record", "afile"], "expected --record to be a folder; got the file 'afile'"),
        (["apps:app", "--report", "json=nowhere/x.json"], "there is no folder 'nowhere'"),
        (["apps:app", "-n", "0"], "expected -n with a number from 1 on"),
        (["apps:app", "--hello", "missing.ws.yaml"], "missing.ws.yaml"),
        (["apps:app", "--ignore", "WSH999"], "unknown check 'WSH999'"),
        (["apps:app", "--fail-on", "never"], "expected --fail-on failure or warning; got 'never'"),
    ],
    ids=lambda value: "-".join(value).replace("/", "") if isinstance(value, list) else "says",
)
def test_a_mistake_is_one_sentence_and_exit_code_2(cli_in, arguments, words):
    more = () if "-n" in arguments else QUICK
    code, _, err = cli_in("check", *arguments, *more)
    assert code == 2
    assert words in err and len(err.strip().splitlines()) == 1


def test_what_is_typed_is_said_to_be_a_module_of_the_folder(cli_in, tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "main.py").touch()
    code, _, err = cli_in("check", "shop.main.app")
    assert code == 2 and "did you mean 'shop.main:app'?" in err


def test_what_cannot_be_written_is_said_after_what_was_found(cli_in, tmp_path, monkeypatch):
    (tmp_path / "talk.ws.yaml").write_text(GREETING, encoding="utf-8")
    nowhere = tmp_path / "there"
    nowhere.mkdir()
    monkeypatch.setattr(cli.playing, "run_in_simulation", lambda *_: nowhere.rmdir() or Report("x", 0, "uvicorn"))
    code, out, err = cli_in("run", "talk.ws.yaml", "--app", "apps:app", "--report", "json=there/x.json")
    assert (code, "nothing ran" in out) == (2, True)
    assert err == "error: cannot write 'there/x.json': No such file or directory\n"


@pytest.mark.parametrize(
    "client, sentence",
    [
        ('{path: "/ws\\ud800"}', "expected text that UTF-8 can express; got '/ws\\ud800', with half a pair"),
        (
            "{path: /ws/1, headers: {bad header: x}}",
            "expected a header's name, a word without spaces; got 'bad header'",
        ),
    ],
)
def test_what_no_client_can_ask_for_is_a_mistake_and_no_success(cli_in, tmp_path, client, sentence):
    (tmp_path / "talk.ws.yaml").write_text(GREETING.replace("{path: /ws/1}", client), encoding="utf-8")
    code, _, err = cli_in("run", "talk.ws.yaml", "--app", "apps:app")
    assert code == 2 and sentence in err


@pytest.mark.parametrize("command", ["check", "explore"])
def test_a_path_that_no_client_can_ask_for_is_a_mistake(cli_in, command):
    code, _, err = cli_in(command, "apps:app", "--path", "/\udcc3")
    assert code == 2 and "expected text that UTF-8 can express; got '/\\udcc3'" in err


def test_a_step_that_may_wait_no_time_is_a_mistake(cli_in, tmp_path):
    (tmp_path / "talk.ws.yaml").write_text(GREETING, encoding="utf-8")
    code, _, err = cli_in("run", "talk.ws.yaml", "--app", "apps:app", "--timeout", "0s")
    assert code == 2 and "expected --timeout above 0; got '0s'" in err


def profiles_to(stdout, **environment):
    command = [sys.executable, "-m", "wsharness", "profiles"]
    return subprocess.run(
        command, stdout=stdout, stderr=subprocess.PIPE, encoding="utf-8", env={**os.environ, **environment}
    )


def test_who_reads_no_further_makes_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    done = profiles_to(writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has a full device")
def test_output_that_cannot_be_written_is_one_sentence():
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = profiles_to(full)
    assert (done.returncode, done.stderr) == (3, "error: [Errno 28] No space left on device\n")


def test_a_terminal_that_knows_few_signs_is_shown_others(tmp_path):
    (tmp_path / "talk.ws.yaml").write_text(GREETING, encoding="utf-8")
    (tmp_path / "shop.py").write_text(APPS, encoding="utf-8")
    command = [sys.executable, "-m", "wsharness", "run", "talk.ws.yaml", "--app", "shop:app"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode in (0, 1) and "1 case, 1 run - seed 0" in done.stdout
    assert done.stderr == ""


def test_an_app_that_raises_while_it_is_imported_is_exit_code_2(cli_in, tmp_path):
    (tmp_path / "raises_at_once.py").write_text("raise ValueError('boom')\n", encoding="utf-8")
    code, _, err = cli_in("check", "raises_at_once:app")
    assert code == 2
    assert "raised ValueError: boom" in err and err.count("\n") == 1


def test_an_unknown_option_is_exit_code_2(cli_in):
    assert cli_in("check", "apps:app", "--colour")[0] == 2


@pytest.mark.parametrize("command", ["check", "routes"])
def test_an_app_without_a_route_is_exit_code_5(cli_in, command):
    code, _, err = cli_in(command, "apps:bare")
    assert code == 5, err
    assert "no WebSocket route found" in err and "--path /ws" in err


def test_an_app_that_never_accepts_is_exit_code_5(cli_in):
    code, out, _ = cli_in("check", "apps:closed", "--path", "/ws", *QUICK)
    assert code == 5, out
    assert "WSH304" in out


def test_a_failure_is_exit_code_1_and_its_replay_too(cli_in, tmp_path):
    code, out, _ = cli_in("check", "apps:app", *QUICK, "--record", "found")
    assert code == 1
    assert "WSH101" in out and "ValueError: invalid literal" in out
    [file] = sorted((tmp_path / "found").glob("WSH101*"))
    code, out, _ = cli_in("replay", file)
    assert code == 1
    assert "WSH101" in out


def test_a_failure_that_does_not_show_again_is_exit_code_0(cli_in, tmp_path):
    file = tmp_path / "old.ws.yaml"
    name = next(tmp_path.glob("apps_*.py")).stem
    file.write_text(GREETING + f"run: {{app: '{name}:app', expects: WSH101}}\n", encoding="utf-8")
    code, out, _ = cli_in("replay", file)
    assert code == 0
    assert "WSH101 did not show again" in out


def test_what_is_ignored_is_no_failure_and_a_warning_fails_on_demand(cli_in):
    code, out, _ = cli_in("check", "apps:app", *QUICK, "--ignore", "wsh101")
    assert code == 0, out
    assert cli_in("check", "apps:app", *QUICK, "--warn", "WSH101")[0] == 0
    assert cli_in("check", "apps:app", *QUICK, "--warn", "WSH101", "--fail-on", "warning")[0] == 1


def test_the_same_seed_gives_the_same_bytes(cli_in, tmp_path):
    files = {}
    for turn in ("a", "b"):
        kinds = [part for kind in ("json", "junit", "html") for part in ("--report", f"{kind}={turn}.{kind}")]
        cli_in("check", "apps:app", "--runs", "6", "-n", "2", "--seed", "3", *kinds)
        files[turn] = [(tmp_path / f"{turn}.{kind}").read_bytes() for kind in ("json", "junit", "html")]
    assert files["a"] == files["b"]
    assert json.loads(files["a"][0])


def test_a_factory_makes_the_app(cli_in):
    assert cli_in("routes", "apps:make", "--factory")[:2] == (0, "/ws/{room}  (tried as /ws/1)\n")


def test_a_factory_that_wants_to_exit_is_exit_code_2(cli_in):
    code, _, err = cli_in("check", "apps:leave", "--factory", *QUICK)
    assert code == 2 and "raised SystemExit: 4 at " in err


def test_a_failure_of_a_factorys_app_can_be_replayed(cli_in, tmp_path):
    assert cli_in("check", "apps:make", "--factory", *QUICK, "--record", "found")[0] == 1
    file = next((tmp_path / "found").glob("WSH101-*.ws.yaml"))
    assert cli_in("replay", file)[0] == 1


def test_an_app_whose_lifespan_fails_can_be_checked_without_it(cli_in):
    assert "--lifespan off" in cli_in("check", "apps:failing", "--path", "/ws", *QUICK)[2]
    assert cli_in("check", "apps:failing", "--path", "/ws", "--lifespan", "off", *QUICK)[0] != 2
    assert "expected --lifespan auto, on or off" in cli_in("explore", "apps:failing", "--lifespan", "no")[2]


def listen_to_ctrl_c():
    """What a shell started in the background does not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("command", ["check", "replay"])
def test_a_ctrl_c_ends_it_at_once_and_without_a_traceback(tmp_path, command):
    (tmp_path / "waits.py").write_text(WAITS, encoding="utf-8")
    (tmp_path / "talk.ws.yaml").write_text(GREETING + "run: {app: waits:app}\n", encoding="utf-8")
    what = {"check": ["waits:app", "--path", "/ws/1"], "replay": ["talk.ws.yaml"]}[command]
    command = [sys.executable, "-m", "wsharness", command, *what]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=pipe,
        stderr=pipe,
        encoding="utf-8",
        start_new_session=True,
        preexec_fn=listen_to_ctrl_c,
    ) as process:
        while not (tmp_path / "waits").exists():
            assert process.poll() is None
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        out, err = process.communicate(timeout=300)
    assert (process.returncode, out, err) == (130, "", "")


def test_routes_show_what_is_tried(cli_in):
    code, out, _ = cli_in("routes", "apps:app")
    assert code == 0
    assert "tried as /ws/1" in out


def test_profiles_are_listed(cli_in):
    code, out, _ = cli_in("profiles")
    assert code == 0
    assert {"uvicorn", "hypercorn"} <= {line.split(maxsplit=1)[0] for line in out.splitlines() if line}


OWN = """
import wsharness

@wsharness.check
def nobody_leaves(transcript):
    if any(isinstance(record.event, wsharness.Closed) for record in transcript):
        yield "somebody left"
"""


@pytest.mark.parametrize("command", [("check",), ("explore", "--budget", "10m")])
@pytest.mark.parametrize("name", ["own_checks_of_a_test", "own_checks_of_a_test.py"])
def test_checks_of_ones_own_are_named(cli_in, tmp_path, command, name):
    (tmp_path / "own_checks_of_a_test.py").write_text(OWN, encoding="utf-8")
    options = ("--runs", "5", "-n", "2", "--checks", name, "--ignore", "WSH101", "--record", "found")
    try:
        code, out, _ = cli_in(*command, "apps:app", *options)
        assert (code, "somebody left" in out) == (1, True)
        [file] = [path for path in (tmp_path / "found").iterdir() if path.name.startswith("nobody_leaves")]
        assert f"wsharness replay found/{file.name} --checks {name}" in out
        checks.forget("nobody_leaves")
        sys.modules.pop("own_checks_of_a_test")
        assert cli_in("replay", file, "--checks", name)[0] == 1
        assert cli_in("run", file, "--checks", name)[0] == 1
    finally:
        checks.forget("nobody_leaves")
        sys.modules.pop("own_checks_of_a_test", None)


def test_a_module_of_checks_that_is_not_there(cli_in):
    code, _, err = cli_in("check", "apps:app", *QUICK, "--checks", "no_such_module_of_a_test")
    assert code == 2
    assert "no module named 'no_such_module_of_a_test'" in err


def test_the_version(cli_in):
    code, out, _ = cli_in("--version")
    assert (code, out) == (0, f"wsharness {metadata.version('wsharness')}\n")


def test_a_check_is_explained(cli_in):
    code, out, _ = cli_in("explain", "wsh103")
    assert code == 0
    assert out.startswith("WSH103 busy loop (failure)\n\n")


def test_an_unknown_check_is_not_explained(cli_in):
    code, _, err = cli_in("explain", "WSH999")
    assert code == 2
    assert "known: WSH101" in err


def test_a_mistake_in_a_scenario_has_file_line_and_column(cli_in, tmp_path):
    (tmp_path / "typo.ws.yaml").write_text(TYPO, encoding="utf-8")
    code, _, err = cli_in("run", "typo.ws.yaml", "--app", "apps:app")
    assert code == 2
    assert "typo.ws.yaml:6:5: unknown client 'bob'" in err


def test_a_scenario_runs(cli_in, tmp_path):
    file = tmp_path / "greeting.ws.yaml"
    file.write_text(GREETING, encoding="utf-8")
    code, out, _ = cli_in("run", file, "--app", "apps:app")
    assert code == 1
    assert "WSH501" in out
    file.write_text(GREETING.replace("expect_close: 1006", 'expect: "8"').replace('"8"', "7"), encoding="utf-8")
    assert cli_in("run", file, "--app", "apps:app")[0] == 0


def test_a_scenario_without_an_app_asks_for_it(cli_in, tmp_path):
    (tmp_path / "greeting.ws.yaml").write_text(GREETING, encoding="utf-8")
    code, _, err = cli_in("run", "greeting.ws.yaml")
    assert code == 2
    assert "which app?" in err


# explore


@pytest.fixture
def explore(cli_in, monkeypatch):
    from hypothesis.database import InMemoryExampleDatabase

    from wsharness import exploration

    database = InMemoryExampleDatabase()
    monkeypatch.setattr(exploration, "default_database", lambda: database)
    return lambda *arguments: cli_in("explore", *arguments, *(() if "-n" in arguments else ("-n", "2")))


def test_explore_finds_a_bug_and_writes_what_replays(explore, cli_in, tmp_path):
    (tmp_path / "words.py").write_text(
        "from pydantic import BaseModel\nEXAMPLES = ['1', 'one']\nclass Say(BaseModel):\n    n: int\n", encoding="utf-8"
    )
    more = ("--messages", "words:EXAMPLES", "--messages", "words:Say", "--query", "a=b", "--clients", "1")
    code, out, _ = explore("apps:app", "--runs", "40", "--report", "json=found.json", *more)
    assert code == 1
    assert "ValueError" in out and "in greet" in out
    [failure] = [
        one
        for one in json.loads((tmp_path / "found.json").read_text(encoding="utf-8"))["failures"]
        if one["code"] == "WSH101"
    ]
    assert failure["route"] == "/ws/{room}" or failure["route"] == "/ws/{room:int}"
    [file] = [one for one in (tmp_path / "wsharness-report").iterdir() if one.name.startswith("WSH101")]
    assert cli_in("replay", str(file))[0] == 1
    code, out, _ = explore("apps:app", "--budget", "1ms", "--fail-on", "warning")
    assert code == 1
    assert "ValueError" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--runs", "0"], "expected --runs above 0; got 0; write --runs 1000"),
        (["--budget", "0s"], "expected --budget above 0; got '0s'; write --budget 60s"),
        (["--budget", "60"], "expected --budget with a unit, such as 60s or 5m; got '60'"),
        (["--messages", "apps:nothing"], "no attribute 'nothing'"),
        (["--messages", "apps"], "expected MODULE:NAME such as shop.messages:Say"),
        (["--schedule", "lifo"], "did you mean 'fifo'?"),
        (["--clients", "0"], "expected at least one client"),
        (["--fail-on", "never"], "expected --fail-on failure or warning"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "says",
)
def test_mistakes_in_explore_are_one_sentence(explore, arguments, words):
    code, _, err = explore("apps:app", *arguments)
    assert code == 2
    assert words in err and len(err.strip().splitlines()) == 1


def test_explore_says_when_nothing_ran(explore):
    assert explore("apps:bare", "--runs", "5")[0] == 5
    assert explore("apps:closed", "--runs", "5", "--path", "/ws")[0] == 5
    assert explore("apps:failing", "--runs", "5", "--path", "/ws")[0] == 2

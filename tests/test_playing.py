import json
import sys
import time
from pathlib import Path

import pytest

from tests.wire.servers import PATIENCE, answering, make_certificate, request, serving
from wsharness import cli, harness
from wsharness.deployed import Target
from wsharness.errors import UnreachableError, UsageError
from wsharness.playing import Settings, run_in_simulation, run_on_target
from wsharness.scenario.loading import load, loads
from wsharness.simulation import simulate
from wsharness.targets import load_app

pytestmark = pytest.mark.usefixtures("patiently")
USUAL_LIMIT = harness.FAR_TIMEOUT
SCENARIOS = Path(__file__).parent.parent / "scenarios"
APP = "tests.wire.app:app"
PLACES = [
    ("uvicorn", "bearer"),
    ("uvicorn-legacy", "bearer"),
    ("uvicorn-wsproto", "custom_close"),
    ("hypercorn", "chat"),
    ("daphne", "chat"),
    ("granian", "bearer"),
    ("granian", "custom_close"),
]
MIXED = """
wsharness: 1
name: goes well
clients: {alice: {path: /mixed}, bob: {path: /mixed, ignore: [skip]}}
steps:
  - alice: connect
  - alice: {connect: {accepted: {headers: {x-served: "yes"}}}}
  - bob: {connect: {subprotocols: [a, b], accepted: {subprotocol: b}}}
  - bob: {send: skip}
  - bob: {send_bytes: {hex: 00 ff}}
  - bob: {expect: {$hex: 00 ff}}
  - pause: 10ms
  - alice: {send: {n: 1}, after: 10ms}
  - alice: {wait_for: {n: $int}, within: 40s}
  - alice: {expect_none: 20ms}
  - alice: drop
  - bob: {send: close 4001 enough}
  - bob: {expect_close: {code: 4001, reason: enough}}
---
wsharness: 1
name: goes wrong
clients: {alice: {path: /mixed}}
steps:
  - alice: connect
  - alice: {send: {type: got}}
  - alice: {expect: {type: wanted}}
---
wsharness: 1
name: is turned away
clients: {eve: {path: /deny}}
steps:
  - eve: {connect: {rejected: 403}}
  - eve: {connect: {path: /explain, rejected: {status: 401, headers: {x-why: no token}, body: "who's you"}}}
---
wsharness: 1
name: is let in and should not be
clients: {eve: {path: /open}}
steps:
  - eve: {connect: {rejected: 403}}
"""


@pytest.fixture(scope="module")
def url():
    with serving("uvicorn") as found:
        yield found


def unmet(failures):
    """What was not expected, in words: what a client can tell; the app's inside is nobody's business there."""
    return [one.message.splitlines()[0] for one in failures if one.code == "WSH501"]


def simulated(scenarios, app, profile="uvicorn"):
    app = load_app(app)
    return [message for one in scenarios for message in unmet(simulate(one, app, profile=profile).failures)]


@pytest.mark.parametrize(("server", "name"), PLACES)
def test_scenarios_show_the_same_in_simulation_and_on_a_real_server(server, name):
    scenarios = load(SCENARIOS / f"{name}.ws.yaml")
    app = f"scenarios.apps.{name}:app"
    with serving(server, app) as url:
        deployed = run_on_target(scenarios, Target(url), Settings())
    assert unmet(deployed.failures) == simulated(scenarios, app, server)
    assert len(unmet(deployed.failures)) == len(deployed.failures)
    assert (len(deployed.cases), deployed.profile, deployed.target) == (len(scenarios), "deployed", url)


def test_what_fails_in_simulation_fails_on_a_real_server_with_the_same_words(url):
    scenarios = loads(MIXED)
    deployed = run_on_target(scenarios, Target(url), Settings())
    assert unmet(deployed.failures) == simulated(scenarios, APP)
    wrong, open_ = deployed.failures
    assert [case.codes for case in deployed.cases] == [(), ("WSH501",), (), ("WSH501",)]
    assert wrong.message.startswith(
        "goes wrong, line 26: alice: expected {'type': 'wanted'}; got {\"type\": \"got\"}\n"
    )
    assert "expected the handshake to be rejected with 403; it was accepted" in open_.message
    assert 0 <= wrong.transcript[0].time <= wrong.transcript.end < 60


def test_faults_of_a_file_work_on_a_real_server(url):
    (scenario,) = loads("""
wsharness: 1
clients: {alice: {path: /limited}, bob: {path: /late}}
steps:
  - alice: connect
  - alice: {send: 12345678901}
  - alice: {expect_close: 1006}
  - bob: connect
  - bob: {send: 1}
  - bob: {expect_none: 20ms}
  - bob: {expect: 1}
run: {seed: 7, faults: {alice: {limit_data: 10}, bob: {latency: 0.5}}}
""")
    assert run_on_target([scenario], Target(url), Settings()).failures == []


def test_a_generated_scenario_asks_for_nothing(url):
    (scenario,) = loads("""
wsharness: 1
clients: {alice: {path: /deny}, bob: {path: /closed}}
steps:
  - alice: connect
  - alice: {send: 1}
  - bob: connect
  - bob: {send: close 4000}
  - bob: {send: 1}
run: {expects: WSH101}
""")
    report = run_on_target([scenario], Target(url), Settings(seed=3))
    assert (report.failures, report.seed) == ([], 3)


SLOW = """
wsharness: 1
name: waits
clients: {alice: {path: /quiet}}
steps:
  - alice: {connect: {}, within: 60s}
  - alice: {expect: never}
"""


@pytest.mark.parametrize(
    ("file", "option", "limit"), [("", 0.1, "0.1 s"), ("run: {timeout: 100ms}", None, "0.1 s")], ids=["option", "file"]
)
def test_how_long_a_step_waits(url, file, option, limit):
    report = run_on_target(loads(SLOW + file), Target(url), Settings(timeout=option))
    assert f"expected 'never' within {limit}; no message came" in report.failures[0].message


def test_a_step_waits_for_5_seconds_unless_it_is_told(url, monkeypatch):
    from wsharness.runtime import _AsyncioSignal

    wait_until = _AsyncioSignal.wait_until
    limits = []

    async def noted(self, ready, limit=None):
        limits.append(limit)
        return await wait_until(self, ready, limit)

    monkeypatch.setattr(_AsyncioSignal, "wait_until", noted)
    run_on_target(loads(MIXED)[:1], Target(url), Settings())
    assert (limits[0], USUAL_LIMIT) == (PATIENCE, 5.0)


ONE = "wsharness: 1\nname: {name}\nclients: {{alice: {{path: {path}}}}}\nsteps: [alice: connect]\n"


def test_a_target_that_was_never_reached_is_an_error():
    with pytest.raises(UnreachableError, match="nothing listens"):
        run_on_target(loads(ONE.format(name="one", path="/")), Target("ws://127.0.0.1:9"), Settings())


def test_a_target_that_is_gone_after_it_was_reached_is_a_failure(url):
    """It may be the scenario that ended it: what it showed is not lost."""
    from tests.test_wire import relay

    count = 0

    def talk(connection):
        nonlocal count
        count += 1
        if count == 1:
            relay(connection, *Target(url).address)

    scenarios = loads("---\n".join(ONE.format(name=name, path="/") for name in ("one", "two")))
    with answering(talk) as relayed:
        report = run_on_target(scenarios, Target(relayed), Settings())
    assert [case.codes for case in report.cases] == [(), ("WSH501",)]
    assert "ended the connection without an answer to the handshake" in report.failures[0].message


def test_every_client_brings_along_what_it_is_told(url):
    scenarios = loads("""
wsharness: 1
clients: {alice: {path: /told, headers: {X-A: "1", x-b: "2"}, query: {q: own}}}
steps:
  - alice: connect
  - alice: {send: request}
  - alice: {expect: {query: "q=own&more=1", headers: {$regex: '"x-b", "3"'}}}
""")
    text = scenarios[0]
    assert text.clients["alice"].headers == {"X-A": "1", "x-b": "2"}
    settings = Settings(clients={"headers": {"X-B": "3"}, "query": {"more": "1"}, "subprotocols": ["a"]})
    (changed,) = settings.over(scenarios)
    assert changed.clients["alice"].headers == {"X-A": "1", "X-B": "3"}
    assert changed.clients["alice"].query == {"q": "own", "more": "1"}
    assert changed.clients["alice"].subprotocols == ("a",)


def test_a_simulation_needs_an_app():
    with pytest.raises(UsageError, match="which app"):
        run_in_simulation(loads(SLOW), Settings())


# The command line


@pytest.fixture
def call(tmp_path, monkeypatch, capfd):
    """Calls `wsharness run` on a scenario; its exit code, output and errors."""
    file = tmp_path / "one.ws.yaml"
    file.write_text(ONE.format(name="one", path="/"), encoding="utf-8")

    def call(*arguments, scenario=None):
        if scenario is not None:
            file.write_text(scenario, encoding="utf-8")
        monkeypatch.setattr(sys, "argv", ["wsharness", "run", str(file), *map(str, arguments)])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = capfd.readouterr()
        assert "Traceback" not in out + err
        return left.value.code, out, err

    return call


def test_run_on_a_target(call, url, tmp_path):
    code, out, _ = call("--target", url, "--report", f"json={tmp_path / 'r.json'}", scenario=MIXED)
    assert code == 1
    assert url in out and "profile deployed" in out
    report = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (report["target"], report["profile"], report["counts"]["failures"]) == (url, "deployed", 2)
    assert call("--target", url, "--warn", "WSH501")[0] == 0
    assert call("--target", url, "--ignore", "WSH501", "--timeout", "2s")[0] == 0


def test_how_much_is_printed(call, url):
    assert call("--target", url, "-q", scenario=MIXED)[1] == "2 failures · 4 cases, 4 runs · seed 0\n"
    place = ("--app", APP, "--warn", "WSH501")
    brief, whole = (call(*place, *options)[1] for options in ((), ("-v",)))
    assert len(whole) > len(brief)
    assert "the conversation" in whole


def test_headers_cookies_query_and_subprotocols_for_every_connection(call, url):
    told = (("header", "X-Token=s3"), ("cookie", "a=1"), ("query", "q=2"))
    options = [part for name, value in told for part in (f"--{name}", value)]
    scenario = """
wsharness: 1
clients: {alice: {path: /told}}
steps:
  - alice: {connect: {accepted: {subprotocol: v1}}}
  - alice: {send: request}
  - alice: {expect: {query: q=2}}
  - alice: {send: request}
  - alice: {expect: {$regex: '"x-token", "s3"'}}
  - alice: {send: request}
  - alice: {expect: {$regex: '"cookie", "a=1"'}}
"""
    where = ("--target", url), ("--app", APP)
    for place in where:
        code, out, _ = call(*place, *options, "--subprotocol", "v1", scenario=scenario)
        assert code == 0, out


def test_tls_of_a_target(call, tmp_path):
    cert, key = make_certificate(tmp_path)
    with serving("uvicorn", ssl_certfile=str(cert), ssl_keyfile=str(key)) as url:
        assert call("--target", url, "--ca", cert)[0] == 0
        assert call("--target", url, "--insecure")[0] == 0
        code, _, err = call("--target", url)
    assert code == 3
    assert "certificate that is not trusted" in err and "--ca FILE" in err and err.count("\n") == 1


NO_SERVER = {
    "200": lambda connection: request(connection) and connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    "garbage": lambda connection: connection.sendall(b"220 mail.example ESMTP\r\n") or connection.recv(1 << 16),
    "silence": lambda connection: connection.recv(1 << 20) and connection.recv(1),
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_SERVER)
def test_what_is_no_websocket_server_is_exit_code_3(call, kind):
    began = time.monotonic()
    with answering(NO_SERVER[kind]) as url:
        code, _, err = call("--target", url, "--timeout", "300ms")
    assert code == 3
    assert err.startswith(f"error: {url} ") and err.count("\n") == 1
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("ws://127.0.0.1:9", "nothing listens on 127.0.0.1 port 9"),
        ("ws://nosuch.invalid", "has no address"),
    ],
)
def test_a_target_that_cannot_be_reached_is_exit_code_3(call, no_names, target, words):
    code, _, err = call("--target", target)
    assert code == 3
    assert words in err and err.count("\n") == 1


def test_a_target_that_is_no_websocket_url_is_exit_code_2(call, no_names):
    code, _, err = call("--target", "http://127.0.0.1:9")
    assert code == 2
    assert "write 'ws://127.0.0.1:9'" in err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--insecure", "--app", APP], "are for a deployed server; name it with --target"),
        (["--ca", "x.pem"], "are for a deployed server"),
        (["--proxy", "http://a"], "are for a deployed server"),
        (["--target", "ws://a", "--app", APP], "are for a simulation; leave them out with --target"),
        (["--target", "ws://a", "--profile", "daphne"], "are for a simulation"),
        (["--target", "wss://a", "--ca", "nosuch.pem"], "cannot read certificates from 'nosuch.pem'"),
        (["--target", "ws://a", "--insecure"], "TLS settings are for wss:// targets"),
        (["--target", "ws://a", "--timeout", "5"], "expected --timeout with a unit, such as 60s or 5m; got '5'"),
        (["--target", "ws://a", "--ignore", "WSH999"], "unknown check 'WSH999'"),
        ([], "which app?"),
    ],
)
def test_a_mistake_is_exit_code_2(call, options, words):
    code, _, err = call(*options)
    assert code == 2
    assert words in err and err.count("\n") == 1


RACE = """
wsharness: 1
clients: {alice: {path: /ws}, bob: {path: /ws}}
steps:
  - alice: connect
  - bob: connect
  - pause: 1s
  - alice: {send: note-alice-1}
  - alice: {send: note-alice-2}
  - pause: 1s
run: {app: "APP:app", app_dir: DIR, seed: 1, schedule: {"1": 2}, expects: WSH303}
"""


@pytest.mark.parametrize(
    ("room", "expects", "codes"),
    [("Hasty", "WSH303", ["WSH303"]), ("Room", "WSH303", []), ("Timed", "WSH401", ["WSH401"]), ("Timed", "WSH303", [])],
)
def test_what_no_single_run_shows_is_shown_by_several(tmp_path, room, expects, codes):
    name = f"app_{room.lower()}_{expects.lower()}"
    (tmp_path / f"{name}.py").write_text(f"from tests.rooms import {room}\napp = {room}().app()\n", encoding="utf-8")
    text = RACE.replace("APP", name).replace("DIR", str(tmp_path)).replace("WSH303", expects)
    report = run_in_simulation(loads(text), Settings())
    assert [failure.code for failure in report.failures if failure.code in ("WSH303", "WSH401")] == codes

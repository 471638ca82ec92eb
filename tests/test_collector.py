"""Scenario files as tests."""

from tests.nested import CONFTEST
from tests.nested import run as run


def test_scenario_files_are_tests(run, pytester):
    (pytester.path / "echo.ws.yaml").write_text(
        "wsharness: 1\nname: echo\nclients:\n  a: {path: /}\nsteps:\n"
        "  - a: connect\n  - a: {send: hi}\n  - a: {expect: hi}\n"
        "---\nwsharness: 1\nname: wrong\nclients:\n  a: {path: /}\nsteps:\n"
        "  - a: connect\n  - a: {send: hi}\n  - a: {expect: ho}\n",
        encoding="utf-8",
    )
    pytester.makepyfile(shop_app=CONFTEST)
    pytester.syspathinsert()
    out = run("", "--ws-app", "shop_app:app")
    assert "1 failed, 1 passed" in out, out
    assert "WSH501" in out
    assert "expected 'ho'; got 'hi'" in out


def test_a_typo_in_a_scenario_file_has_a_place(run, pytester):
    (pytester.path / "bad.ws.yaml").write_text(
        "wsharness: 1\nclients:\n  bob: {path: /}\nsteps:\n  - bbo: connect\n  - bob: {expect: x, wihtin: 1s}\n",
        encoding="utf-8",
    )
    out = run("")
    assert "bad.ws.yaml:5:5: unknown client 'bbo'; did you mean 'bob'?" in out, out
    assert "bad.ws.yaml:6:22: unknown key 'wihtin'; did you mean 'within'?" in out, out


def test_a_scenario_file_takes_the_options_of_a_test(run, pytester):
    (pytester.path / "echo.ws.yaml").write_text(
        "wsharness: 1\nclients:\n  a: {path: /}\nsteps:\n  - a: connect\n", encoding="utf-8"
    )
    assert "which app? give --ws-app MODULE:APP" in run("")
    pytester.makepyfile(shop_app=CONFTEST)
    pytester.syspathinsert()
    options = ["--ws-app=shop_app:app", "--ws-seed=5", "--ws-profile=daphne", "--ws-timeout=2", "--ws-schedule=random"]
    assert "1 passed" in run("", *options, "--junitxml=junit.xml")
    assert '<property name="ws_seed" value="5" />' in (pytester.path / "junit.xml").read_text(encoding="utf-8")

"""The JSON report is a stable document."""

import json
from importlib.metadata import PackageNotFoundError

from tests.report import samples
from wsharness.report.json import own_version, render

FAILURE_KEYS = "code title severity route client file line function stack message case seed scenario transcript".split()


def test_the_keys_are_those_of_version_1():
    document = json.loads(render(samples.report()))
    assert list(document) == "version wsharness target seed profile counts failures cases".split()
    assert document["version"] == 1
    assert document["wsharness"] == own_version()
    assert document["counts"] == {"cases": 10, "runs": 200, "failures": 2, "warnings": 2}
    assert [list(failure) for failure in document["failures"]] == [FAILURE_KEYS] * 4
    assert list(document["cases"][0]) == ["name", "route", "profile", "runs", "codes", "duration"]


def test_a_failure_says_where_and_what():
    failure = json.loads(render(samples.report()))["failures"][1]
    assert (failure["code"], failure["severity"]) == ("WSH101", "failure")
    assert (failure["file"], failure["line"], failure["function"]) == ("chat/rooms.py", 31, "Room.broadcast")
    assert failure["stack"][-1] == {
        "file": "starlette/websockets.py",
        "line": 97,
        "function": "WebSocket.send",
    }
    assert failure["transcript"][0]["event"]["event"] == "Connect"
    assert "$(env.AUTHORIZATION)" in failure["scenario"]


def test_a_failure_without_a_stack_has_no_place():
    failure = json.loads(render(samples.report()))["failures"][2]
    assert (failure["file"], failure["line"], failure["function"], failure["stack"]) == (None, None, None, [])


def test_the_same_report_gives_the_same_bytes():
    assert render(samples.report()) == render(samples.report())


def test_hostile_text_is_plain_ascii_and_strict_json():
    def refuse(constant):
        raise AssertionError(constant)

    text = render(samples.hostile_report())
    assert text.isascii()
    document = json.loads(text, parse_constant=refuse)
    assert document["failures"][0]["transcript"][-1]["event"]["data"]["number"] == "nan"


def test_no_secret_gets_out():
    assert samples.SECRET not in render(samples.report())
    assert samples.SECRET not in render(samples.hostile_report())


def test_a_tree_that_is_not_installed_has_no_version(monkeypatch):
    def nothing(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("wsharness.report.json.version", nothing)
    assert json.loads(render(samples.empty_report()))["wsharness"] == "unknown"
    monkeypatch.setattr("wsharness.report.json.version", lambda name: "1.2")
    assert json.loads(render(samples.empty_report()))["wsharness"] == "1.2"


def test_an_empty_report_is_a_document():
    assert json.loads(render(samples.empty_report()))["failures"] == []

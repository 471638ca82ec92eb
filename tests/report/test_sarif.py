"""The SARIF report is what code scanning reads."""

import json
from dataclasses import replace

import pytest

from tests.report import samples
from wsharness.report.sarif import render
from wsharness.results import Report
from wsharness.transcript import Frame


def results(report):
    return json.loads(render(report))["runs"][0]["results"]


def test_the_frame_of_the_document():
    log = json.loads(render(samples.report()))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["WSH101", "WSH103", "WSH112", "WSH304"]
    assert rules[0]["shortDescription"]["text"] == "unhandled exception"
    assert [rule["defaultConfiguration"]["level"] for rule in rules] == [
        "error",
        "error",
        "warning",
        "warning",
    ]
    assert all(rules[found["ruleIndex"]]["id"] == found["ruleId"] for found in log["runs"][0]["results"])


@pytest.mark.parametrize(("version", "told"), [("unknown", None), ("1.2", "1.2")])
def test_the_version_is_told_where_it_is_known(monkeypatch, version, told):
    monkeypatch.setattr("wsharness.report.sarif.own_version", lambda: version)
    driver = json.loads(render(samples.report()))["runs"][0]["tool"]["driver"]
    assert driver.get("semanticVersion") == told


def test_a_result_says_where_and_what():
    found = results(samples.report())[1]
    place = found["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "chat/rooms.py", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 31}
    assert found["level"] == "error"
    assert found["message"]["text"].startswith("RuntimeError: Connection lost\n\n")
    frames = found["stacks"][0]["frames"]
    assert frames[0]["location"]["logicalLocations"][0]["fullyQualifiedName"] == "WebSocket.send"
    assert "uriBaseId" not in frames[0]["location"]["physicalLocation"]["artifactLocation"]


def test_a_result_without_a_place_has_a_message():
    found = results(samples.report())[2]
    assert "locations" not in found
    assert found["message"]["text"] == "route never accepted"


def fingerprint(failure):
    return results(Report("a:b", 0, "uvicorn", [failure]))[0]["partialFingerprints"]


def test_a_bug_keeps_its_fingerprint_when_its_line_moves_and_not_when_it_is_another():
    failure = samples.chat_crash()
    moved = replace(failure, stack=(Frame("chat/rooms.py", 99, "Room.broadcast"),))
    assert fingerprint(failure) == fingerprint(moved)
    assert fingerprint(failure) != fingerprint(replace(failure, kind="KeyError"))


def test_hostile_text_is_ascii_and_urls_are_encoded():
    text = render(samples.hostile_report())
    assert text.isascii()
    uri = results(samples.hostile_report())[0]["stacks"][0]["frames"][1]["location"]["physicalLocation"]
    assert uri["artifactLocation"]["uri"].startswith("%3C/script%3E")

"""The JUnit report is XML that CI systems read."""

import xml.etree.ElementTree as ET

import pytest

from tests.report import samples
from wsharness.checks import CHECKS
from wsharness.report.junit import legal, render
from wsharness.results import CaseResult, Failure, Report

ATTRIBUTES = {
    "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "file"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "skipped", "system-out"},
}


def parse(report):
    text = render(report)
    text.encode()
    return ET.fromstring(text)


def by_name(root, part):
    return [element for element in root.iter("testcase") if part in element.get("name")]


@pytest.mark.parametrize("make", [samples.report, samples.hostile_report, samples.empty_report, samples.passing_report])
def test_the_shape_is_the_common_one(make):
    root = parse(make())
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    for suite in [root, *root]:
        assert int(suite.get("tests")) == len(list(suite.iter("testcase")))
        assert int(suite.get("failures")) == len(list(suite.iter("failure")))
        assert int(suite.get("skipped")) == len(list(suite.iter("skipped")))


def test_a_suite_for_each_route_with_the_seed_in_its_properties():
    root = parse(samples.report())
    assert [suite.get("name") for suite in root] == ["/ws/chat", "/ws/feed", "/ws/echo", "/ws/{room_id}"]
    for suite in root:
        values = {p.get("name"): p.get("value") for p in suite.iter("property")}
        assert values["seed"] == "7"
        assert values["profile"] == "uvicorn"
        assert samples.SECRET not in values["command"]


def test_a_test_case_for_each_check_and_case():
    root = parse(samples.report())
    assert len(list(root.iter("testcase"))) == 10 * len(CHECKS)
    names = [(case.get("classname"), case.get("name")) for case in root.iter("testcase")]
    assert len(set(names)) == len(names)


def test_a_failure_is_reported_once_and_says_all():
    root = parse(samples.report())
    first, second = by_name(root[0], "WSH101")[:2]
    failure = first.find("failure")
    assert failure.get("message") == "WSH101 unhandled exception: RuntimeError: Connection lost"
    for part in ("chat/rooms.py:31 in Room.broadcast", "anyone there?", "seed 7", "drop: connection reset"):
        assert part in failure.text
    assert second.find("failure") is None
    assert "drop-while-broadcasting" in second.find("skipped").get("message")
    assert int(root.get("failures")) == samples.report().counts["failures"]


def test_a_warning_passes_and_is_told():
    case = by_name(parse(samples.report()), "binary-for-text: WSH112")[0]
    assert case.find("failure") is None
    assert case.find("system-out").text.startswith("warning: KeyError: 'text'")


def test_two_failures_of_one_check_in_one_case_are_two_test_cases():
    one, two = (Failure("WSH101", "t", "m", route="/r", case="c", kind=kind) for kind in "ab")
    cases = by_name(parse(Report("a:b", 0, "uvicorn", [one, two], [CaseResult("c", "/r", "uvicorn")])), "WSH101")
    assert [case.get("name") for case in cases] == [
        "c: WSH101 unhandled exception",
        "c: WSH101 unhandled exception (2)",
    ]


def test_a_failure_of_no_listed_case_is_not_lost():
    failure = Failure("XYZ1", "own check", "m", route="/r", case="nowhere")
    root = parse(Report("a:b", 0, "uvicorn", [failure]))
    assert [case.get("name") for case in root.iter("testcase") if len(case)] == ["nowhere: XYZ1"]


def test_a_scenario_files_suite_names_the_file():
    cases = [
        CaseResult("chat/a.ws.yaml::Bob", "", "uvicorn"),
        CaseResult("chat/a.ws.yaml::Eve", "", "uvicorn"),
    ]
    suites = list(parse(Report("a:b", 0, "uvicorn", [], cases)))
    assert [(suite.get("name"), suite.get("file")) for suite in suites] == [("chat/a.ws.yaml", "chat/a.ws.yaml")]


def test_several_profiles_are_several_suites():
    cases = [CaseResult("c", "/r", profile) for profile in ("uvicorn", "daphne")]
    suites = list(parse(Report("a:b", 0, "all", [], cases)))
    assert [suite.get("name") for suite in suites] == ["/r (uvicorn)", "/r (daphne)"]


def test_each_second_is_counted_once():
    root = parse(samples.report())
    assert sum(float(case.get("time")) for case in root.iter("testcase")) == float(root.get("time")) == 12.5


def test_what_xml_cannot_write_is_escaped():
    assert legal("a\x00\x1b\ud800\ufffe\n\té\U0001f600") == "a\\x00\\x1b\\ud800\\ufffe\n\té\U0001f600"

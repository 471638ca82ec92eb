"""The GitHub report is workflow commands, one to a line."""

import re

from tests.report import samples
from wsharness.report.github import MOST, render
from wsharness.results import Failure, Report


def test_a_failure_annotates_the_line_that_is_wrong():
    lines = render(samples.report()).splitlines()
    assert lines[0].startswith(
        "::error file=chat/rooms.py,line=31,title=WSH101 unhandled exception::RuntimeError: Conn"
    )
    assert [re.match(r"::(\w+)", line)[1] for line in lines] == ["error"] * 2 + ["warning"] * 2 + ["notice"]
    assert lines[-1] == "::notice title=wsharness::2 failures, 2 warnings · 10 cases, 200 runs · seed 7"


def test_a_failure_without_a_place_is_told_without():
    assert "::warning title=WSH304 route never accepted::route /ws/{room_id}" in render(samples.report())


def test_nothing_can_end_a_line_or_a_property():
    failure = Failure("WSH101", "a,b:c%\r\n::error::x", "1%\n::error::y\r", route="/")
    lines = render(Report("a:b", 0, "uvicorn", [failure])).splitlines()
    assert (
        lines[0] == "::error title=WSH101 a%2Cb%3Ac%25%0D%0A%3A%3Aerror%3A%3Ax::1%25%0A::error::y%0D%0Aroute /, seed 0"
    )
    assert len(lines) == 2


def test_no_more_than_github_shows():
    failures = [Failure("WSH101", "t", "m", kind=str(number)) for number in range(MOST + 3)]
    lines = render(Report("a:b", 0, "uvicorn", failures)).splitlines()
    assert len(lines) == MOST + 2
    assert lines[-2] == "::notice title=wsharness::3 more failures: the other reports have them all"


def test_hostile_text_stays_on_its_line():
    lines = render(samples.hostile_report()).split("\n")
    assert [line[:8] for line in lines if line] == ["::error ", "::error ", "::notice"]

"""Each failure belongs to one case."""

from wsharness.report.matching import cases_of, failures_of
from wsharness.results import CaseResult, Failure, Report


def report(failure, *cases):
    return Report("a:b", 0, "uvicorn", [failure], list(cases))


def owners(report):
    cases = cases_of(report)
    return [case.name + case.route for case in cases if failures_of(case, cases, report.failures)]


def test_name_route_and_profile_decide():
    failure = Failure("WSH101", "t", "m", route="/b", case="drop")
    assert owners(report(failure, CaseResult("drop", "/a", "uvicorn"), CaseResult("drop", "/b", "uvicorn"))) == [
        "drop/b"
    ]


def test_a_name_that_is_unique_is_enough():
    failure = Failure("WSH101", "t", "m", route="/ws?user=a", case="chat.ws.yaml")
    assert owners(report(failure, CaseResult("chat.ws.yaml", "", "uvicorn"))) == ["chat.ws.yaml"]


def test_a_failure_of_no_case_gets_one():
    failure = Failure("WSH101", "t", "m", route="/c", case="drop")
    found = report(failure, CaseResult("drop", "/a", "uvicorn"), CaseResult("drop", "/b", "uvicorn"))
    assert owners(found) == ["drop/c"]
    assert len(found.cases) == 2

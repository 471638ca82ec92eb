import pickle

import pytest

from wsharness.errors import CheckFailed
from wsharness.results import CaseResult, Failure, Report, Result, describe, distinct
from wsharness.transcript import Frame

OUTER = Frame("fastapi/routing.py", 10, "app", user=False)
MINE = Frame("shop.py", 20, "handler")
HELPER = Frame("shop.py", 30, "helper")
INNER = Frame("starlette/websockets.py", 40, "send", user=False)


def failure(code="WSH101", message="boom", **about):
    return Failure(code, "a title", message, **about)


def test_the_frame_is_the_innermost_of_the_users_own():
    assert failure(stack=(OUTER, MINE, HELPER, INNER)).frame is HELPER


def test_without_a_users_frame_it_is_the_innermost():
    assert failure(stack=(OUTER, INNER)).frame is INNER
    assert failure().frame is None


def test_one_place_and_class_is_one_bug():
    first = failure(kind="KeyError", stack=(OUTER, MINE), client="alice", seed=1)
    same = failure(kind="KeyError", stack=(MINE, INNER), client="bob", seed=2, message="other words")
    assert first.key == same.key == ("WSH101", "KeyError", "shop.py", 20)
    assert distinct([first, same]) == [first]


@pytest.mark.parametrize(
    "other",
    [
        failure("WSH106", kind="KeyError", stack=(MINE,)),
        failure(kind="ValueError", stack=(MINE,)),
        failure(kind="KeyError", stack=(HELPER,)),
    ],
)
def test_another_code_class_or_place_is_another_bug(other):
    first = failure(kind="KeyError", stack=(MINE,))
    assert distinct([first, other]) == [first, other]


def test_without_a_place_the_route_tells_bugs_apart():
    assert failure(route="/a").key != failure(route="/b").key


def test_a_failure_is_described_on_one_line():
    assert describe(failure(stack=(MINE,))) == "WSH101 shop.py:20 in handler: boom"
    assert describe(failure()) == "WSH101: boom"


def test_a_result_without_failures_passes():
    Result().check()


def test_warnings_do_not_fail_a_result():
    Result(failures=[failure(severity="warning")]).check()


def test_failures_are_raised_with_all_of_the_result():
    result = Result(failures=[failure(), failure("WSH104", stack=(MINE,)), failure("WSH112", severity="warning")])
    with pytest.raises(CheckFailed, match="2 failures") as raised:
        result.check()
    assert raised.value.result is result
    assert "WSH104 shop.py:20" in str(raised.value) and "WSH112" not in str(raised.value)


def test_failures_come_before_what_the_driver_raised_and_keep_it_as_their_cause():
    error = ZeroDivisionError()
    with pytest.raises(CheckFailed) as raised:
        Result(failures=[failure()], error=error).check()
    assert raised.value.__cause__ is error
    with pytest.raises(ZeroDivisionError):
        Result(error=error).check()


def test_a_report_counts_cases_runs_failures_and_warnings():
    cases = [CaseResult("a", "/ws", "uvicorn", 20), CaseResult("b", "/ws", "uvicorn", 3)]
    report = Report("shop:app", 0, "uvicorn", [failure(), failure("WSH112", severity="warning")], cases)
    assert report.counts == {"cases": 2, "runs": 23, "failures": 1, "warnings": 1}


def test_a_failure_survives_the_way_between_processes():
    first = failure(stack=(OUTER, MINE), route="/ws")
    assert pickle.loads(pickle.dumps(first)) == first

import pickle

import pytest

from wsharness import errors
from wsharness.errors import ConnectionClosed, ConnectionLost, ConnectionRejected, ScenarioError, describe_code
from wsharness.events import Closed, Lost, Rejected


def classes():
    return [value for value in vars(errors).values() if isinstance(value, type) and value.__module__ == errors.__name__]


def test_all_but_the_busy_loop_are_one_tree():
    assert [kind.__name__ for kind in classes() if not issubclass(kind, errors.WSHarnessError)] == ["BusyLoop"]


def test_an_apps_except_exception_cannot_swallow_a_busy_loop():
    assert not issubclass(errors.BusyLoop, Exception)


@pytest.mark.parametrize("kind", [errors.ExpectationError, errors.HandlerStuck, errors.CheckFailed])
def test_what_a_test_expected_in_vain_is_an_assertion_error(kind):
    assert issubclass(kind, AssertionError)


@pytest.mark.parametrize("kind", [errors.TargetError, errors.ScenarioError, errors.UnsupportedError])
def test_what_the_caller_wrote_wrong_is_a_usage_error(kind):
    assert issubclass(kind, errors.UsageError)


def test_an_unreachable_target_is_no_usage_error():
    assert not issubclass(errors.UnreachableError, errors.UsageError)


def test_a_scenario_error_has_one_line_a_problem():
    error = ScenarioError(["a.ws.yaml:1:2: x", "a.ws.yaml:3:4: y"])
    assert str(error).splitlines() == error.problems


def test_a_rejection_shows_status_body_and_what_the_app_meant():
    error = ConnectionRejected(Rejected(403, (("x", "y"),), b"go away", 4001, "no"))
    assert (error.status, error.headers, error.body) == (403, (("x", "y"),), b"go away")
    assert (error.app_code, error.app_reason) == (4001, "no")
    assert "HTTP 403" in str(error) and "b'go away'" in str(error) and "4001" in str(error)


def test_a_rejection_without_more_is_one_short_sentence():
    assert str(ConnectionRejected(Rejected(500))) == "the handshake was rejected with HTTP 500"


def test_a_long_body_is_cut():
    assert len(str(ConnectionRejected(Rejected(500, body=b"x" * 10_000)))) < 300


def test_a_close_names_code_and_reason():
    error = ConnectionClosed(Closed(1008, "no"))
    assert (error.code, error.reason) == (1008, "no")
    assert str(error) == "the server closed the connection with 1008 (policy violation) 'no'"


def test_a_lost_connection_has_the_code_that_no_frame_carries():
    error = ConnectionLost(Lost())
    assert error.code == 1006
    assert "without a close frame (1006)" in str(error)


@pytest.mark.parametrize("code, text", [(1000, "1000 (normal closure)"), (4001, "4001"), (1004, "1004"), (-1, "-1")])
def test_a_code_is_named_where_it_has_a_name(code, text):
    assert describe_code(code) == text


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRejected(Rejected(403, body=b"x")),
        ConnectionClosed(Closed(4000, "x")),
        ConnectionLost(Lost()),
        ScenarioError(["a:1:1: x"]),
        errors.CheckFailed("1 failure", None),
    ],
)
def test_errors_survive_the_way_between_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)

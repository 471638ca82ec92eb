"""wsharness/app/exceptions.py: types that catch as FastAPI's and Starlette's do."""

import pytest
import starlette.exceptions
import starlette.websockets

from wsharness.app import exceptions


def test_http_and_websocket_exceptions_are_starlettes() -> None:
    error = exceptions.HTTPException(401, detail={"a": 1}, headers={"x": "y"})
    assert isinstance(error, starlette.exceptions.HTTPException)
    assert (error.status_code, error.detail, error.headers) == (401, {"a": 1}, {"x": "y"})
    assert exceptions.HTTPException(404).detail == "Not Found"
    closing = exceptions.WebSocketException(code=1008, reason="no")
    assert isinstance(closing, starlette.exceptions.WebSocketException)
    assert (closing.code, closing.reason) == (1008, "no")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (exceptions.FastAPIError, RuntimeError),
        (exceptions.DependencyScopeError, exceptions.FastAPIError),
        (exceptions.DependencyCycleError, RecursionError),
        (exceptions.AnnotationError, exceptions.FastAPIError),
        (exceptions.DeclarationError, AssertionError),
        (exceptions.DependencyError, TypeError),
        (exceptions.EndpointError, TypeError),
        (exceptions.WebSocketUseError, RuntimeError),
        (exceptions.WebSocketDisconnected, starlette.websockets.WebSocketDisconnected),
    ],
)
def test_errors_of_use_are_what_is_raised_elsewhere(ours: type, theirs: type) -> None:
    assert issubclass(ours, theirs)


FAULT = {"type": "missing", "loc": ("query", "a"), "msg": "Field required", "input": None}


def test_a_validation_error_says_where_the_endpoint_is() -> None:
    place = exceptions.Endpoint(function="endpoint", path="WS /a", file="app.py", line=3)
    error = exceptions.WebSocketRequestValidationError([FAULT], endpoint_ctx=place)
    assert error.errors() == [FAULT]
    assert (error.endpoint_function, error.endpoint_line) == ("endpoint", 3)
    assert str(error).splitlines() == [
        "1 validation error:",
        f"  {FAULT}",
        '  File "app.py", line 3, in endpoint',
        "    WS /a",
    ]


def test_a_validation_error_may_know_the_path_alone_or_nothing() -> None:
    known = exceptions.RequestValidationError([FAULT, FAULT], body=b"x", endpoint_ctx={"path": "GET /a"})
    assert known.body == b"x"
    assert str(known).startswith("2 validation errors:")
    assert str(known).endswith("  Endpoint: GET /a")
    assert "Endpoint" not in str(exceptions.RequestValidationError([FAULT]))

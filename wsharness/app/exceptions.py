"""Every exception of wsharness.app: FastAPI's names, and subclasses that say what to write instead.

HTTPException               an HTTP answer; before accept it becomes a denial response
WebSocketException          closes the connection with a close code
ValidationException         parameters did not validate; `errors()` lists how
├── RequestValidationError              HTTP: answered with 422
└── WebSocketRequestValidationError     WebSocket: closed with 1008 before accept
FastAPIError (RuntimeError) the application is declared in a way that cannot work
├── DependencyScopeError    a generator that lives longer depends on one that ends earlier
├── DependencyCycleError    a dependency needs itself (also a RecursionError)
└── AnnotationError         pydantic cannot validate what a parameter is annotated with
DeclarationError            a parameter, path or router is declared in a way that cannot work (AssertionError)
DependencyError             Depends() names nothing that can be called (TypeError)
EndpointError               an endpoint or dependency cannot serve this kind of connection (TypeError)
WebSocketUseError           the connection is not in the state the call needs (RuntimeError)
└── WebSocketDisconnected   it is not open; Starlette's exception of that name
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

from starlette import exceptions, websockets


class HTTPException(exceptions.HTTPException):
    """An HTTP answer to raise; on a WebSocket that is not accepted yet, a denial response."""

    def __init__(self, status_code: int, detail: Any = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status_code=status_code, detail=detail, headers=headers)


class WebSocketException(exceptions.WebSocketException):
    """Raised by a handler or dependency to close the connection with a close code."""


class Endpoint(TypedDict, total=False):
    """Where the endpoint stands that a validation error belongs to."""

    function: str
    path: str
    file: str
    line: int


class ValidationException(Exception):
    """What was received does not validate; `errors()` holds one dictionary for each fault."""

    def __init__(self, errors: Sequence[Any], *, endpoint_ctx: Endpoint | None = None) -> None:
        super().__init__(errors)
        self._errors = errors
        self.endpoint_ctx = endpoint_ctx
        place = endpoint_ctx or Endpoint()
        self.endpoint_function: str | None = place.get("function")
        self.endpoint_path: str | None = place.get("path")
        self.endpoint_file: str | None = place.get("file")
        self.endpoint_line: int | None = place.get("line")

    def errors(self) -> Sequence[Any]:
        """One dictionary a fault, as pydantic words them: type, loc, msg, input."""
        return self._errors

    def __str__(self) -> str:
        count = len(self._errors)
        lines = [f"{count} validation error{'' if count == 1 else 's'}:"]
        lines += [f"  {error}" for error in self._errors]
        if self.endpoint_file and self.endpoint_line and self.endpoint_function:
            lines.append(f'  File "{self.endpoint_file}", line {self.endpoint_line}, in {self.endpoint_function}')
            if self.endpoint_path:
                lines.append(f"    {self.endpoint_path}")
        elif self.endpoint_path:
            lines.append(f"  Endpoint: {self.endpoint_path}")
        return "\n".join(lines)


class RequestValidationError(ValidationException):
    """The parameters or the body of an HTTP request do not validate."""

    def __init__(self, errors: Sequence[Any], *, body: Any = None, endpoint_ctx: Endpoint | None = None) -> None:
        super().__init__(errors, endpoint_ctx=endpoint_ctx)
        self.body = body


class ResponseValidationError(ValidationException):
    """Nothing here raises it, there are no response models; code that handles it keeps its import."""

    def __init__(self, errors: Sequence[Any], *, body: Any = None, endpoint_ctx: Endpoint | None = None) -> None:
        super().__init__(errors, endpoint_ctx=endpoint_ctx)
        self.body = body


class WebSocketRequestValidationError(ValidationException):
    """The parameters of a WebSocket connection do not validate."""


class FastAPIError(RuntimeError):
    """The application is declared in a way that cannot work."""


class DependencyScopeError(FastAPIError):
    """A generator that ends with the request depends on one that ends with the function."""


class DependencyCycleError(FastAPIError, RecursionError):
    """A dependency needs itself."""


class AnnotationError(FastAPIError):
    """The annotation of a parameter is nothing pydantic can validate."""


class FastAPIDeprecationWarning(UserWarning):
    """An argument is FastAPI's old name for another one."""


class DeclarationError(AssertionError):
    """A parameter, path or router is declared in a way that cannot work."""


class DependencyError(TypeError):
    """Depends() names nothing that can be called."""


class EndpointError(TypeError):
    """An endpoint or dependency cannot serve this kind of connection."""


class WebSocketUseError(RuntimeError):
    """The connection is not in the state the call needs."""


class WebSocketDisconnected(WebSocketUseError, websockets.WebSocketDisconnected):
    """The connection is not open: not accepted yet, or closed already."""

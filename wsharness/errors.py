"""Every exception of wsharness, one tree.

WSHarnessError
├── UsageError                what the caller wrote cannot work; says what to write instead (exit code 2)
│   ├── TargetError           MODULE:APP cannot be imported, called or started
│   ├── NoRouteError          the app has no WebSocket route (exit code 5)
│   ├── ScenarioError         a scenario file is wrong; one line a problem
│   └── UnsupportedError      something a simulation cannot simulate (sockets, subprocesses)
├── UnreachableError          a target server does not answer as a WebSocket server (exit code 3)
├── WebSocketError            the connection is not what the call needs; carries what the client saw
│   ├── ConnectionRejected    the handshake was answered with another status than 101
│   ├── ConnectionClosed      the server closed with a close frame
│   └── ConnectionLost        the connection ended without one (1006)
└── ExpectationError          also an AssertionError: the app did not do what was expected
    ├── HandlerStuck          the app's handler did not end after its client left
    ├── LoopBlocked           the app computes or waits in one step, and gives the event loop no turn
    └── CheckFailed           checks failed; `.result` holds everything
"""

from typing import Any

from wsharness.events import CloseCode, Closed, Headers, Lost, Rejected


class WSHarnessError(Exception):
    """Base of everything wsharness raises by itself."""


class UsageError(WSHarnessError):
    """What the caller wrote cannot work; the message says what to write instead."""


class TargetError(UsageError):
    """The app named by MODULE:APP cannot be imported, called or started."""


class NoRouteError(UsageError):
    """The app has no WebSocket route and none was named: nothing can run."""


class ScenarioError(UsageError):
    """A scenario file is wrong: `problems` holds one `file:line:column: sentence` each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it with what it was made of: runs send it from their process."""
        return type(self), (self.problems,)


class UnsupportedError(UsageError):
    """The app did something that a simulation cannot simulate."""


class UnreachableError(WSHarnessError):
    """The target does not answer as a WebSocket server."""


class WebSocketError(WSHarnessError):
    """The connection is not in the state the call needs."""


class ConnectionRejected(WebSocketError):
    """The handshake was answered with an HTTP status other than 101."""

    def __init__(self, event: Rejected) -> None:
        super().__init__(event)
        self.event = event

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.event.status

    @property
    def headers(self) -> Headers:
        """The response's headers, in order."""
        return self.event.headers

    @property
    def body(self) -> bytes:
        """The response's body."""
        return self.event.body

    @property
    def app_code(self) -> int | None:
        """The close code the app gave; no client ever sees it."""
        return self.event.app_code

    @property
    def app_reason(self) -> str | None:
        """The close reason the app gave; no client ever sees it."""
        return self.event.app_reason

    def __str__(self) -> str:
        text = f"the handshake was rejected with HTTP {self.status}"
        if self.body:
            text += f" and the body {self.body[:200]!r}"
        if self.app_code is not None:
            text += f" (the app closed with {self.app_code} before it accepted; a client sees only the status)"
        return text


class ConnectionClosed(WebSocketError):
    """The server closed the connection with a close frame."""

    def __init__(self, event: Closed) -> None:
        super().__init__(event)
        self.event = event

    @property
    def code(self) -> int:
        """The close code."""
        return self.event.code

    @property
    def reason(self) -> str:
        """The close reason."""
        return self.event.reason

    def __str__(self) -> str:
        reason = f" {self.reason!r}" if self.reason else ""
        return f"the server closed the connection with {describe_code(self.code)}{reason}"


class ConnectionLost(WebSocketError):
    """The connection ended without a close frame."""

    def __init__(self, event: Lost) -> None:
        super().__init__(event)
        self.event = event

    @property
    def code(self) -> int:
        """The close code a client library reports: 1006."""
        return self.event.code

    def __str__(self) -> str:
        return "the connection was lost without a close frame (1006)"


class ExpectationError(WSHarnessError, AssertionError):
    """The app did not do what the test expected."""


class HandlerStuck(ExpectationError):
    """The app's handler did not end after its client left."""


class LoopBlocked(ExpectationError):
    """The app computes or waits in one step, and gives the event loop no turn."""


class CheckFailed(ExpectationError):
    """Checks failed; `result` holds the failures and the transcript."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it with what it was made of: runs send it from their process."""
        return CheckFailed, (str(self), self.result)


class BusyLoop(BaseException):
    """Raised inside an app that never lets the event loop run, to get out of it."""

    text: str = ""
    brief: str = ""
    """What it says, where the place is told beside it."""

    def __str__(self) -> str:
        return super().__str__() or self.text


def describe_code(code: int) -> str:
    """The close code with its registered name, where it has one."""
    try:
        name = CloseCode(code).name.lower().replace("_", " ")
    except ValueError:
        return str(code)
    return f"{code} ({name})"

"""What is reported of a run: failures and results, picklable data."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias

from wsharness.errors import CheckFailed
from wsharness.transcript import Frame, Stack, Transcript

Severity: TypeAlias = Literal["failure", "warning"]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is wrong with the app: what, where, and the scenario that shows it.

    Two failures are the same bug when their `key`s are equal.
    """

    code: str
    """A stable check code: WSH101."""
    title: str
    message: str
    severity: Severity = "failure"
    route: str = ""
    client: str = ""
    kind: str = ""
    """What tells two bugs of one code at one place apart: the exception's class."""
    stack: Stack = ()
    """From the outermost frame to the innermost, frameworks included."""
    index: int = 0
    """Where in the transcript it showed."""
    case: str = ""
    """The conformance case or scenario that showed it."""
    seed: int = 0
    profile: str = "uvicorn"
    scenario: str = ""
    """The YAML text that replays it."""
    transcript: Transcript = field(default_factory=Transcript, compare=False, repr=False)

    @property
    def frame(self) -> Frame | None:
        """The innermost frame of the user's own code, else the innermost of all."""
        for frame in reversed(self.stack):
            if frame.user:
                return frame
        return self.stack[-1] if self.stack else None

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What makes two failures one bug: code, kind, file and line."""
        frame = self.frame
        return (self.code, self.kind, frame.file if frame else self.route, frame.line if frame else 0)


@dataclass(slots=True)
class CaseResult:
    """One case that ran: its name, its route and the codes it showed."""

    name: str
    route: str
    profile: str
    runs: int = 0
    codes: tuple[str, ...] = ()
    duration: float = 0.0
    """In virtual seconds."""


@dataclass(slots=True)
class Result:
    """What a run showed."""

    name: str = ""
    seed: int = 0
    profile: str = "uvicorn"
    schedule: dict[int, int] = field(default_factory=dict)
    """The deviations from fifo: contested step → which ready task."""
    failures: list[Failure] = field(default_factory=list)
    transcript: Transcript = field(default_factory=Transcript)
    error: BaseException | None = None
    """What the driving function raised, where it was not one of the app's failures."""

    def check(self) -> None:
        """Raise CheckFailed if there are failures (warnings do not count)."""
        bad = [failure for failure in self.failures if failure.severity == "failure"]
        if bad:
            lines = [describe(failure) for failure in bad]
            kind = _error_class(bad[0].key)
            error = kind("\n".join([f"{len(bad)} failure{'s' * (len(bad) > 1)}", *lines]), self)
            raise error from self.error
        if self.error is not None:
            raise self.error


@lru_cache(maxsize=1024)
def _error_class(key: tuple[str, str, str, int]) -> type[CheckFailed]:  # noqa: ARG001 (one class for each)
    """A class for each bug: by it Hypothesis tells them apart, and reports and shrinks each."""
    return type(
        CheckFailed.__name__, (CheckFailed,), {"__module__": CheckFailed.__module__, "__doc__": CheckFailed.__doc__}
    )


@dataclass(slots=True)
class Report:
    """Everything one command found, for `report.render`."""

    target: str
    seed: int
    profile: str
    failures: list[Failure] = field(default_factory=list)
    cases: list[CaseResult] = field(default_factory=list)
    command: str = ""
    """The command line that repeats it."""
    replay_options: str = ""
    """What `wsharness replay` needs beside a failure's file."""

    @property
    def counts(self) -> dict[str, int]:
        """How many cases, runs, failures and warnings."""
        failures = sum(failure.severity == "failure" for failure in self.failures)
        return {
            "cases": len(self.cases),
            "runs": sum(case.runs for case in self.cases),
            "failures": failures,
            "warnings": len(self.failures) - failures,
        }


def describe(failure: Failure) -> str:
    """One line: code, place and message."""
    frame = failure.frame
    where = f" {frame.file}:{frame.line} in {frame.function}" if frame else ""
    return f"{failure.code}{where}: {failure.message}"


def distinct(failures: Iterable[Failure]) -> list[Failure]:
    """The first failure of each bug, in the order they were found."""
    seen: dict[tuple[str, str, str, int], Failure] = {}
    for failure in failures:
        seen.setdefault(failure.key, failure)
    return list(seen.values())

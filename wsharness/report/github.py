"""The GitHub report: workflow commands, which become annotations of the lines that are wrong."""

from collections.abc import Iterator

from wsharness.narration import elide, render_transcript
from wsharness.report.console import count, summary
from wsharness.report.masking import mask_report
from wsharness.results import Failure, Report

MOST = 10  # errors, and as many warnings: GitHub shows no more of one step
STEPS, LONGEST = 15, 4000  # of a conversation, and characters of an annotation

_COMMANDS = {"failure": "error", "warning": "warning"}
_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def render(report: Report) -> str:
    """Render the report as `::error` and `::warning` commands; a last notice has the totals."""
    report = mask_report(report)
    return "".join(line + "\n" for line in _lines(report)).encode("utf-8", "backslashreplace").decode()


def _lines(report: Report) -> Iterator[str]:
    for severity in _COMMANDS:
        found = [failure for failure in report.failures if failure.severity == severity]
        yield from (_annotation(failure) for failure in found[:MOST])
        if len(found) > MOST:
            rest = f"{count(len(found) - MOST, f'more {severity}')}: the other reports have them all"
            yield f"::notice title=wsharness::{_escape(rest, _DATA)}"
    yield f"::notice title=wsharness::{_escape(summary(report), _DATA)}"


def _annotation(failure: Failure) -> str:
    frame = failure.frame
    place = {"file": frame.file, "line": str(frame.line)} if frame else {}
    properties = {**place, "title": f"{failure.code} {failure.title}"}
    listed = ",".join(f"{name}={_escape(value, _PROPERTY)}" for name, value in properties.items())
    return f"::{_COMMANDS[failure.severity]} {listed}::{_escape(_text(failure), _DATA)}"


def _text(failure: Failure) -> str:
    conversation = render_transcript(failure.transcript, mark=failure.index, limit=STEPS)
    facts = [f"route {failure.route}", f"case {failure.case}" if failure.case else "", f"seed {failure.seed}"]
    head = [failure.message, ", ".join(fact for fact in facts if fact)]
    return elide("\n".join([*(line for line in head if line), conversation]).rstrip(), LONGEST)


def _escape(text: str, table: dict[str, str]) -> str:
    return "".join(table.get(char, char) for char in text)

"""`wsharness demo`: the example applications, checked, and what is found compared with what is known."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

from wsharness import conformance, conversations, targets
from wsharness.errors import UsageError
from wsharness.report import console, render
from wsharness.results import Failure, Report

EXPECTED = Path("scenarios/apps/expected.json")
"""What is known of each example: app, profile, code, exception class, file and function."""
EXAMPLES = (
    ("echo", "uvicorn"),
    ("path_parameters", "uvicorn"),
    ("bearer", "uvicorn"),
    ("json_messages", "uvicorn"),
    ("chat", "uvicorn"),
    ("query", "uvicorn"),
    ("safe", "uvicorn"),
    ("safe", "hypercorn"),
    ("custom_close", "uvicorn"),
)
RUNS = 60
Finding: TypeAlias = tuple[str, str, str, str, str, str]
"""App, profile, code, exception class, file, function."""


Say: TypeAlias = Callable[[str], object]
Save: TypeAlias = Callable[[Iterable[Failure], Path], dict[tuple[str, str, str, int], str]]


def main(folder: Path, say: Say, save: Save, parallel: int) -> int:
    """Check every example, write the reports, say what was found; 0 if it is exactly what is known."""
    if not EXPECTED.exists():
        raise UsageError(
            f"the demo needs the example apps: run it in a clone of the repository, where {EXPECTED} is; "
            "for your own app: wsharness check MODULE:APP"
        )
    folder.mkdir(parents=True, exist_ok=True)
    whole = Report("scenarios.apps", 0, "uvicorn")
    found: list[Finding] = []
    for app, profile in EXAMPLES:
        report = check(app, profile, parallel)
        say(f"{app} on {profile}: {console.summary(report)}")
        found += findings(app, profile, report.failures)
        whole.cases += report.cases
        whole.failures += report.failures
    files = save(whole.failures, folder)
    (folder / "report.html").write_text(render("html", whole), encoding="utf-8")
    say(console.render(whole, files=files))
    say(f"report: {folder / 'report.html'}")
    return compare(found, load_expected(EXPECTED), say)


def check(app: str, profile: str, parallel: int) -> Report:
    """Check one example."""
    target = f"scenarios.apps.{app}:app"
    options = conversations.Options(target=target, profile=profile, runs=RUNS, parallel=parallel)
    return conformance.check(targets.load_app(target), options)


def findings(app: str, profile: str, failures: Iterable[Failure]) -> list[Finding]:
    """What a report says, without what may change from release to release of a framework: lines, messages."""
    rows = []
    for failure in failures:
        frame = failure.frame
        place = (frame.file, frame.function) if frame else ("", "")
        rows.append((app, profile, failure.code, failure.kind if frame else "", *place))
    return sorted(rows)


def load_expected(file: Path) -> list[Finding]:
    """The committed list."""
    rows = json.loads(file.read_text(encoding="utf-8"))
    return sorted(
        (row["app"], row["profile"], row["code"], row["exception"], row["file"], row["function"]) for row in rows
    )


def to_rows(found: Iterable[Finding]) -> str:
    """A list of findings as the committed file has it."""
    keys = ("app", "profile", "code", "exception", "file", "function")
    rows = ",\n".join("  " + json.dumps(dict(zip(keys, row, strict=True))) for row in sorted(found))
    return f"[\n{rows}\n]\n"


def compare(found: list[Finding], expected: list[Finding], say: Say) -> int:
    """Say what is missing and what is new; 0 if neither."""
    missing = Counter(expected) - Counter(found)
    new = Counter(found) - Counter(expected)
    for word, rows in (("missing", missing), ("not known", new)):
        for row in rows.elements():
            say(f"{word}: {' '.join(part for part in row if part)}")
    if not missing and not new:
        say(f"found what is known: {len(found)} distinct failures and warnings in {len(EXAMPLES)} checks")
    return int(bool(missing or new))

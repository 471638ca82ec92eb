"""What `wsharness check` finds of the known bugs, and what it wrongly says of the twins that have none.

It is told the route, with the query a good client gives, and nothing else: the same options for all. Bugs that end in
no exception come with an invariant, as their authors would register it.
"""

from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from tests.bugs import load
from wsharness import checks, conformance
from wsharness.conversations import Options

STAGES = (60, 400, 1200, 4800)
"""Random conversations, beside about two hundred systematic ones, until the bug is found."""
TWIN_RUNS = 300


@dataclass
class Row:
    """One bug: which of its codes were found within how many runs, and what was said of its twin."""

    name: str
    title: str
    found: list[str] = field(default_factory=list)
    runs: int = 0
    others: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    """Failures of the twin, and warnings of the kind that the bug is."""
    warnings: list[str] = field(default_factory=list)

    @property
    def cells(self):
        alarms = ", ".join(self.alarms) or "-"
        return (self.name, self.title, ", ".join(self.found) or "missed", str(self.runs), alarms)


def check(name, app, runs, parallel):
    """A report on one app."""
    path, _, query = load(name).PATH.partition("?")
    options = Options(target=name, paths=(path,), query=tuple(parse_qsl(query)), runs=runs, parallel=parallel)
    return conformance.check(app, options)


@contextmanager
def own_invariant(bug):
    """The invariant of a bug that ends in no exception, registered as its author would."""
    if bug.INVARIANT:
        checks.invariant(getattr(bug, bug.INVARIANT))
    try:
        yield
    finally:
        checks.forget(bug.INVARIANT)


def measure(name, stages=STAGES, twin_runs=TWIN_RUNS, parallel=2):
    """Check one app and its twin."""
    with own_invariant(load(name)):
        return _measure(name, stages, twin_runs, parallel)


def _measure(name, stages, twin_runs, parallel):
    bug = load(name)
    wanted = {*bug.EXPECTS, *([bug.INVARIANT] if bug.INVARIANT else [])}
    row = Row(name, bug.TITLE)
    for runs in stages:
        report = check(name, bug.broken(), runs, parallel)
        row.runs = report.counts["runs"]
        row.found = sorted({failure.code for failure in report.failures} & wanted)
        row.others = sorted({describe(failure) for failure in report.failures if failure.code not in wanted})
        if row.found:
            break
    twin = check(name, bug.correct(), twin_runs, parallel)
    row.alarms = sorted({describe(f) for f in twin.failures if f.severity == "failure" or f.code in wanted})
    row.warnings = sorted({describe(f) for f in twin.failures if describe(f) not in row.alarms})
    return row


def describe(failure):
    """A failure in a few words."""
    frame = failure.frame
    return f"{failure.code} {failure.kind}".strip() + (f" in {frame.function}" if frame else "")


def table(rows):
    """The rows as Markdown, and the sum of them."""
    heads = ("app", "its bug", "found as", "runs", "said of the twin")
    lines = ["| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *(row.cells for row in rows))]
    found = sum(bool(row.found) for row in rows)
    alarms = sum(bool(row.alarms) for row in rows)
    share = round(100 * found / len(rows))
    return "\n".join([*lines, "", f"Found {found} of {len(rows)} ({share} %); false alarms on {alarms} of the twins."])

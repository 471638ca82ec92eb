"""The JSON report, version 1: docs/reports.md describes every key."""

import json
import math
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from wsharness.report.masking import mask_report
from wsharness.results import CaseResult, Failure, Report
from wsharness.transcript import to_json

VERSION = 1


def render(report: Report) -> str:
    """Render one JSON document: stable order, ASCII only, nothing of the clock or the machine."""
    document = to_document(mask_report(report))
    return json.dumps(document, indent=2, ensure_ascii=True, allow_nan=False) + "\n"


def to_document(report: Report) -> dict[str, Any]:
    """The report as JSON's own types."""
    return {
        "version": VERSION,
        "wsharness": own_version(),
        "target": report.target,
        "seed": report.seed,
        "profile": report.profile,
        "counts": report.counts,
        "failures": [_failure(failure) for failure in report.failures],
        "cases": [_case(case) for case in report.cases],
    }


def own_version() -> str:
    """The installed version of wsharness; `unknown` in a source tree that is not installed."""
    try:
        return version("wsharness")
    except PackageNotFoundError:
        return "unknown"


def _failure(failure: Failure) -> dict[str, Any]:
    frame = failure.frame
    return {
        "code": failure.code,
        "title": failure.title,
        "severity": failure.severity,
        "route": failure.route,
        "client": failure.client,
        "file": frame.file if frame else None,
        "line": frame.line if frame else None,
        "function": frame.function if frame else None,
        "stack": [{"file": f.file, "line": f.line, "function": f.function} for f in failure.stack],
        "message": failure.message,
        "case": failure.case,
        "seed": failure.seed,
        "scenario": failure.scenario,
        "transcript": [_finite(to_json(record)) for record in failure.transcript],
    }


def _case(case: CaseResult) -> dict[str, Any]:
    return {
        "name": case.name,
        "route": case.route,
        "profile": case.profile,
        "runs": case.runs,
        "codes": list(case.codes),
        "duration": round(case.duration, 9),
    }


def _finite(value: Any) -> Any:
    """JSON has no NaN and no infinity: they become text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value

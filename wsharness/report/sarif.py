"""The SARIF 2.1.0 report: failures as results of rules, for code scanning."""

import hashlib
import json
from typing import Any
from urllib.parse import quote

from wsharness.checks import CHECKS
from wsharness.narration import render_transcript
from wsharness.report.json import own_version
from wsharness.report.masking import mask_report
from wsharness.results import Failure, Report
from wsharness.transcript import Frame

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
STEPS = 30  # of a conversation
_LEVELS = {"failure": "error", "warning": "warning"}


def render(report: Report) -> str:
    """Render the report as one SARIF log with one run."""
    # fingerprints identify a bug over time, so they are taken before anything is masked
    fingerprints = [_fingerprint(failure) for failure in report.failures]
    report = mask_report(report)
    rules = [_rule(code, report) for code in sorted({failure.code for failure in report.failures})]
    order = {rule["id"]: number for number, rule in enumerate(rules)}
    results = [
        _result(failure, order[failure.code], fingerprint)
        for failure, fingerprint in zip(report.failures, fingerprints, strict=True)
    ]
    driver = {"name": "wsharness", "semanticVersion": own_version(), "rules": rules}
    if driver["semanticVersion"] == "unknown":
        del driver["semanticVersion"]
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": {"target": report.target, "seed": report.seed, "profile": report.profile},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(code: str, report: Report) -> dict[str, Any]:
    check = CHECKS.get(code)
    title = check.title if check else next(f.title for f in report.failures if f.code == code)
    explanation = check.explanation if check else title
    severity = check.severity if check else "failure"
    return {
        "id": code,
        "shortDescription": {"text": title},
        "fullDescription": {"text": explanation},
        "help": {"text": f"wsharness explain {code}"},
        "defaultConfiguration": {"level": _LEVELS[severity]},
    }


def _result(failure: Failure, rule: int, fingerprint: str) -> dict[str, Any]:
    result: dict[str, Any] = {
        "ruleId": failure.code,
        "ruleIndex": rule,
        "level": _LEVELS[failure.severity],
        "message": {"text": _message(failure)},
        "partialFingerprints": {"wsharnessFailure/v1": fingerprint},
        "properties": {
            "route": failure.route,
            "client": failure.client,
            "case": failure.case,
            "seed": failure.seed,
            "profile": failure.profile,
            "scenario": failure.scenario,
        },
    }
    if failure.frame:
        result["locations"] = [_location(failure.frame)]
    if failure.stack:
        frames = [{"location": _location(frame)} for frame in reversed(failure.stack)]  # SARIF: innermost first
        result["stacks"] = [{"message": {"text": "the app's stack"}, "frames": frames}]
    return result


def _message(failure: Failure) -> str:
    conversation = render_transcript(failure.transcript, mark=failure.index, limit=STEPS)
    return "\n\n".join(part for part in (failure.message or failure.title, conversation) if part)


def _location(frame: Frame) -> dict[str, Any]:
    artifact = {"uri": quote(frame.file, errors="backslashreplace")}
    if frame.user:
        artifact["uriBaseId"] = "%SRCROOT%"
    return {
        "physicalLocation": {"artifactLocation": artifact, "region": {"startLine": max(1, frame.line)}},
        "logicalLocations": [{"fullyQualifiedName": frame.function, "kind": "function"}],
    }


def _fingerprint(failure: Failure) -> str:
    """What makes two failures one bug, without the line: code above it may grow."""
    frame = failure.frame
    parts = [
        failure.code,
        failure.kind,
        frame.file if frame else failure.route,
        frame.function if frame else "",
    ]
    return hashlib.sha256("\0".join(parts).encode("utf-8", "backslashreplace")).hexdigest()

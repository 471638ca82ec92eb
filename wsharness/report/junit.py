"""The JUnit report: a suite for each route or scenario file, a test case for each check and case."""

import re
from collections.abc import Iterable
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from wsharness.checks import CHECKS
from wsharness.narration import place, render_transcript
from wsharness.report.masking import mask_report
from wsharness.report.matching import cases_of, failures_of
from wsharness.results import CaseResult, Failure, Report

STEPS = 40  # of the conversation
_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SCENARIO_FILE = re.compile(r"[^\s:]+\.ws\.ya?ml")


def render(report: Report) -> str:
    """Render the report as JUnit's XML; times are virtual seconds."""
    report = mask_report(report)
    report.cases = cases_of(report)
    root = Element("testsuites", name="wsharness")
    for name, cases in _suites(report).items():
        _Suite(root, name, cases, report)
    for key in ("tests", "failures", "errors", "skipped"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    root.set("time", _seconds(sum(case.duration for case in report.cases)))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _suites(report: Report) -> dict[str, list[CaseResult]]:
    suites: dict[str, list[CaseResult]] = {}
    for case in report.cases:
        suites.setdefault(_suite_of(case, report), []).append(case)
    return suites


def _suite_of(case: CaseResult, report: Report) -> str:
    file = _SCENARIO_FILE.match(case.name)
    name = file[0] if file else case.route or report.target
    profiles = {other.profile for other in report.cases}
    return f"{name} ({case.profile})" if len(profiles) > 1 else name


class _Suite:
    """Writes one `testsuite`."""

    def __init__(self, root: Element, name: str, cases: list[CaseResult], report: Report) -> None:
        self._report = report
        self._element = SubElement(root, "testsuite", name=legal(name))
        file = _SCENARIO_FILE.match(name)
        self._class = legal(name)
        if file:
            self._element.set("file", legal(file[0]))
        self._properties(cases)
        for case in cases:
            self._case(case)
        self._count(cases)

    def _properties(self, cases: list[CaseResult]) -> None:
        profiles = ", ".join(dict.fromkeys(case.profile for case in cases))
        values = {"seed": str(self._report.seed), "profile": profiles, "target": self._report.target}
        if self._report.command:
            values["command"] = self._report.command
        properties = SubElement(self._element, "properties")
        for name, value in values.items():
            SubElement(properties, "property", name=name, value=legal(value))

    def _case(self, case: CaseResult) -> None:
        duration = case.duration  # belongs to the case, so only the first of its checks carries it
        found = failures_of(case, self._report.cases, self._report.failures)
        for code in sorted({*CHECKS, *case.codes, *(failure.code for failure in found)}):
            own = [failure for failure in found if failure.code == code]
            for number, failure in enumerate(own or [None], start=1):
                element = self._testcase(case, code, number, duration)
                duration = 0.0
                if failure is not None:
                    _write_failure(element, failure)
                elif code in case.codes:
                    _write_elsewhere(element, code, self._report.failures)

    def _testcase(self, case: CaseResult, code: str, number: int, duration: float) -> Element:
        title = CHECKS[code].title if code in CHECKS else ""
        again = f" ({number})" if number > 1 else ""
        name = f"{case.name or 'run'}: {code} {title}".rstrip() + again
        return SubElement(self._element, "testcase", classname=self._class, name=legal(name), time=_seconds(duration))

    def _count(self, cases: list[CaseResult]) -> None:
        tests = self._element.findall("testcase")
        self._element.set("tests", str(len(tests)))
        self._element.set("failures", str(len(self._element.findall("testcase/failure"))))
        self._element.set("errors", "0")
        self._element.set("skipped", str(len(self._element.findall("testcase/skipped"))))
        self._element.set("time", _seconds(sum(case.duration for case in cases)))


def _write_failure(element: Element, failure: Failure) -> None:
    if failure.severity == "warning":
        SubElement(element, "system-out").text = legal(f"warning: {_body(failure)}")
        return
    message = f"{failure.code} {failure.title}: {failure.message}"
    SubElement(element, "failure", message=legal(message), type=legal(failure.code)).text = legal(_body(failure))


def _write_elsewhere(element: Element, code: str, failures: Iterable[Failure]) -> None:
    """A bug is reported once: the other cases that ran into it have neither passed nor failed."""
    first = next((failure for failure in failures if failure.code == code), None)
    if first is not None and first.severity == "failure":
        told = f"{code} was found here too; it is reported once, under {first.route} {first.case}"
        SubElement(element, "skipped", message=legal(told))


def _body(failure: Failure) -> str:
    where = [f"at {place(failure.frame)}"] if failure.frame else []
    conversation = render_transcript(failure.transcript, mark=failure.index, limit=STEPS)
    stack = [f"  {place(frame)}" for frame in failure.stack]
    parts = [
        "\n".join([failure.message, *where, f"seed {failure.seed}, profile {failure.profile}"]),
        conversation,
        "\n".join(["stack, innermost last:", *stack]) if stack else "",
        failure.scenario,
    ]
    return "\n\n".join(part.rstrip() for part in parts if part)


def _seconds(duration: float) -> str:
    return f"{duration:.6f}"


def legal(text: str) -> str:
    """Escape what XML 1.0 has no way to write: controls, lone surrogates, two noncharacters."""
    return _ILLEGAL.sub(lambda found: found[0].encode("unicode_escape").decode(), text)

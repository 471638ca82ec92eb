"""Which case each failure belongs to."""

from wsharness.results import CaseResult, Failure, Report


def cases_of(report: Report) -> list[CaseResult]:
    """The report's cases, and one more for each failure that belongs to none of them."""
    cases = list(report.cases)
    for failure in report.failures:
        if _owner(failure, cases) is None:
            cases.append(CaseResult(failure.case, failure.route, failure.profile, 0, (failure.code,)))
    return cases


def failures_of(case: CaseResult, cases: list[CaseResult], failures: list[Failure]) -> list[Failure]:
    """The failures that are reported under a case, in the report's order."""
    return [failure for failure in failures if _owner(failure, cases) is case]


def _owner(failure: Failure, cases: list[CaseResult]) -> CaseResult | None:
    named = [case for case in cases if (case.name, case.profile) == (failure.case, failure.profile)]
    exact = [case for case in named if case.route == failure.route]
    if exact:
        return exact[0]
    # a scenario file's case has no route of its own, its failures have that of the client
    return named[0] if len(named) == 1 else None

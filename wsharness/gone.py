"""Runs that did not come back: what they say of the app."""

from wsharness import checks, probes
from wsharness.results import Failure
from wsharness.workers import Gone, Hung


def failure(gone: Gone, case: str = "") -> Failure:
    """A run that had to be ended from outside, or that ended its process."""
    if isinstance(gone, Hung):
        return checks.CHECKS["WSH103"].failure(gone.message, case=case)
    stack = probes.without_own(probes.frame_at(*site) for site in gone.sites)
    return checks.CHECKS["WSH113"].failure(gone.message, stack=stack, kind=gone.how, case=case)

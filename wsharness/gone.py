"""Runs that did not come back: what they say of the app."""

from wsharness import checks, probes
from wsharness.results import Failure
from wsharness.transcript import Connect, Direction, Fact, Record, Transcript
from wsharness.workers import Gone, Hung


def failure(gone: Gone, case: str = "") -> Failure:
    """A run that had to be ended from outside, or that ended its process."""
    if isinstance(gone, Hung):
        return checks.CHECKS["WSH103"].failure(gone.message, case=case)
    stack = probes.without_own(probes.frame_at(*site) for site in gone.sites)
    last = gone.transcript[-1:]
    client = last[0].client if last else ""
    end = Record(gone.transcript.end, client, Direction.FACT, Fact("process ended", gone.message, stack))
    paths = {record.client: record.event.path for record in gone.transcript if isinstance(record.event, Connect)}
    return checks.CHECKS["WSH113"].failure(
        gone.message,
        stack=stack,
        kind=gone.how,
        case=case,
        client=client,
        route=paths.get(client, ""),
        index=len(gone.transcript),
        transcript=Transcript([*gone.transcript, end]),
    )

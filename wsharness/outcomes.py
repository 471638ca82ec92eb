"""What came of a conversation, for its clients: what two runs of it are compared by."""

import math
from typing import TypeAlias

from wsharness.events import Accepted, Closed, Message, Rejected
from wsharness.transcript import Direction, Dropped, Leave, Transcript

CRASHES = "makes the app raise"
Outcome: TypeAlias = tuple[str, ...]
"""What came of a conversation, for its clients, as long as they stayed."""


def outcome(transcript: Transcript) -> Outcome:
    """What the clients saw before the moment in which they left, where one turn of the loop more or less decides.

    Where the app crashed, only the crashes: each server ends those in its own way.
    """
    left: dict[str, float] = {}
    for record in transcript:
        if isinstance(record.event, (Leave, Dropped)):
            left.setdefault(record.client, record.time)
    seen = [
        f"{record.client} {_outcome_of(record.event)}"
        for record in transcript
        if record.direction is Direction.SERVER and record.time < left.get(record.client, math.inf)
    ]
    crashes = [
        f"{record.client} {CRASHES} {record.event.data.get('exception', 'an exception')}"  # type: ignore[union-attr]
        for record in transcript.facts("crashed")
    ]
    return tuple(crashes or seen)


def _outcome_of(event: object) -> str:
    if isinstance(event, Rejected):
        return f"sees HTTP {event.status}"
    if isinstance(event, Message):
        return f"receives {event.data!r}"
    if isinstance(event, Closed):
        return f"sees close code {event.code:d}"
    return "is accepted" if isinstance(event, Accepted) else "loses the connection"


def shown_outcome(text: str, limit: int = 80) -> str:
    """One thing of an outcome, short enough for a sentence."""
    return text if len(text) <= limit else f"{text[: limit - 3]}..."


def ever_accepted(transcript: Transcript) -> bool:
    """Whether any connection was accepted."""
    return any(type(record.event) is Accepted for record in transcript)

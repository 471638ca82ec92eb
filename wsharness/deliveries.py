"""What each client receives that another one sent: marked messages, and what a run loses, doubles or reorders."""

import re
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, TypeAlias

from wsharness.events import Closed, Lost, Message, Rejected
from wsharness.transcript import Dropped, Fact, Leave, Record, Sent, Transcript

MARK: re.Pattern[str] = re.compile(r"note-[a-z]+-[1-9]|(?<!\d)47[1-9]\d{3}(?!\d)", re.IGNORECASE)
"""What tells messages apart, whatever an app writes around it: a text, or a number where only that will do."""

Deliveries: TypeAlias = Mapping[tuple[str, str], tuple[str, ...]]
"""(receiver, sender) → the marks of the sender's messages, as they came."""


def text_mark(client: str, number: int) -> str:
    """The mark of a client's message of that number, from 1 to 9."""
    return f"note-{client}-{number}"


def number_mark(client: int, number: int) -> str:
    """The same as digits, for the client of that number, from 1 to 9."""
    return f"47{client}00{number}"


def played(transcript: Transcript, leavers: Container[str]) -> Transcript | None:
    """The records until everybody is sent home, which is when the first goes who was not to leave.

    None if the app crashed until then or was stopped: what happens then follows from that.
    """
    records = Transcript()
    for record in transcript:
        if isinstance(record.event, (Leave, Dropped)) and _name(record) not in leavers:
            break
        if isinstance(record.event, Fact) and _is_end(record.event):
            return None
        records.append(record)
    return records


ENDS = ("handler stuck", "busy loop", "process ended", "never retrieved", "rule broken", "unanswered")


def _is_end(fact: Fact) -> bool:
    return fact.kind in ENDS or (fact.kind == "crashed" and not fact.data.get("harmless"))


def _name(record: Record) -> str:
    """The client's name, of a connection's."""
    return record.client.partition("#")[0]


def deliveries(transcript: Transcript, leavers: Container[str]) -> Deliveries | None:
    """Who received whose messages, but for those who left; None for a run that cannot tell.

    A run in which the app crashed, or ended a connection whose client wanted to stay, delivers less for that reason.
    """
    senders: dict[str, str] = {}
    received: dict[tuple[str, str], list[str]] = {}
    records = played(transcript, leavers)
    for record in records or ():
        event, client = record.event, record.client
        if isinstance(event, Sent):
            senders |= dict.fromkeys(_marks(event.data), client)
        elif _name(record) in leavers:
            continue
        elif isinstance(event, (Rejected, Closed, Lost)):
            return None
        elif isinstance(event, Message):
            for mark in _marks(event.data):
                if senders.get(mark, client) != client:
                    received.setdefault((client, senders[mark]), []).append(mark)
    return None if records is None else {pair: tuple(marks) for pair, marks in received.items()}


def _marks(data: str | bytes) -> list[str]:
    """The marks in a message, each once."""
    text = data if isinstance(data, str) else data.decode(errors="replace")
    return list(dict.fromkeys(found.lower() for found in MARK.findall(text)))


@dataclass(frozen=True, slots=True)
class Mistake:
    """One message that a client should have received otherwise."""

    kind: Literal["lost", "doubled", "reordered"]
    receiver: str
    sender: str
    mark: str
    before: str = ""
    """The later message that came first."""

    def told(self, bad: str, good: str) -> str:
        """The mistake in a sentence: which message, from whom to whom, under which schedule and not under which."""
        came, should = {
            "lost": ("never comes", "does"),
            "doubled": ("comes more than once", "comes once"),
            "reordered": (f"comes after {self.before!r}", "comes before it"),
        }[self.kind]
        whose = f"{self.mark!r}, which {self.sender} sent,"
        return f"{self.kind}: {whose} {came} to {self.receiver} under {bad}; it {should} under {good}"


def mistakes(found: Deliveries, orders: Sequence[Deliveries]) -> Iterator[Mistake]:
    """Where a run differs from what came of its steps one after another, in every order there is.

    What depends on the order of the steps says nothing: who may speak, who is in the room.
    """
    for pair in sorted(set().union(*orders)):
        receiver, sender = pair
        came = found.get(pair, ())
        always = [order.get(pair, ()) for order in orders]
        count, counts = Counter(came), [Counter(marks) for marks in always]
        kept = [mark for mark in dict.fromkeys(always[0]) if len({one[mark] for one in counts}) == 1]
        for mark in kept:
            if not count[mark]:
                yield Mistake("lost", receiver, sender, mark)
            elif count[mark] > counts[0][mark] == 1:
                yield Mistake("doubled", receiver, sender, mark)
        for first, second in combinations([mark for mark in kept if count[mark]], 2):
            if all(marks.index(first) < marks.index(second) for marks in always) and (
                came.index(second) < came.index(first)
            ):
                yield Mistake("reordered", receiver, sender, first, second)

"""Checks: pure functions from a transcript to failures, with stable codes."""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from wsharness.errors import UsageError
from wsharness.events import Accepted, Closed, Message, Rejected
from wsharness.profiles import PROFILES
from wsharness.results import Failure, Severity, distinct
from wsharness.transcript import Connect, Direction, Dropped, Fact, Leave, Reading, Record, Stack, Transcript

CheckFunction: TypeAlias = Callable[[Transcript], Iterator[Failure]]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that can be wrong with an app."""

    code: str
    title: str
    explanation: str
    """What it means, why it hurts and what to do, for `wsharness explain`."""
    severity: Severity = "failure"

    def failure(self, message: str, **where: Any) -> Failure:
        """A failure of this check."""
        return Failure(self.code, self.title, message, self.severity, **where)


_CATALOGUE = (
    Check(
        "WSH101",
        "unhandled exception",
        "An exception left the handler. The server logs it and drops the connection: the client sees 1006 or 1011 "
        "without a reason, and whatever the handler kept for it (a place in a list, a lock) stays behind unless a "
        "finally clause clears it. Catch what a client can cause where it is caused, answer with an error message "
        "or a close code, and put clean-up into finally. SystemExit and KeyboardInterrupt even end the process of "
        "hypercorn and daphne, with every connection.",
    ),
    Check(
        "WSH102",
        "handler still running after its client left",
        "The client has left and the handler goes on: it does not look at `receive`, so it never learns of the "
        "disconnect, and one such handler stays behind for each client. Receive in one task and work in another, "
        "and end both when `receive` says websocket.disconnect.",
    ),
    Check(
        "WSH103",
        "busy loop",
        "The handler goes round without ever letting the event loop run: every other connection of the process "
        "stands still. Usual cause: `except Exception` inside `while True` swallows the disconnect, and `receive` "
        "or `send` on a dead connection returns or raises at once. Catch WebSocketDisconnect outside the loop. Or one "
        "step waits for something outside, such as a lock of `threading` or `time.sleep`: take asyncio's, or a thread.",
    ),
    Check(
        "WSH104",
        "leaked task",
        "A task created while a connection was served is alive after it ended, one more for each connection. "
        "Cancel it in a finally clause, or run it in a task group that ends with the handler.",
    ),
    Check(
        "WSH105",
        "deadlock",
        "The client has left, no timer is running, and the handler waits on something that nobody can set any "
        "more. Take locks in one order, never hold one across `receive`, and give waits a limit.",
    ),
    Check(
        "WSH106",
        "disconnect not handled",
        "WebSocketDisconnect left the handler after its own client had gone. Servers log it as an error and nobody "
        "is hurt; code after the receive loop does not run. Catch WebSocketDisconnect around the loop.",
        "warning",
    ),
    Check(
        "WSH107",
        "connection kept after it ended",
        "The handler has returned, yet its `receive` or `send` can still be reached: a manager's list, a set or a "
        "task holds the dead connection, memory grows, and the next broadcast sends to it. Remove it in a finally "
        "clause.",
    ),
    Check(
        "WSH108",
        "unbounded growth while a client does not read",
        "A client has stopped reading, and what is to be sent to it is kept without a limit: one slow phone fills "
        "the server's memory. Give its queue a size and, when it is full, drop old messages or close the connection.",
    ),
    Check(
        "WSH109",
        "handshake never answered",
        "The app neither accepted nor closed: clients hang until somebody's time-out. Accept or close on every "
        "path, before anything that can take long.",
    ),
    Check(
        "WSH110",
        "exception in a background task",
        "A task died of an exception that nobody retrieved: the work it did has silently stopped. Await it, or "
        "run it in a task group.",
    ),
    Check(
        "WSH111",
        "grows with every connection",
        "Something grew by as much with each of more than a thousand connections that came and went, and was not "
        "given back hours later: the process grows until it is killed. Take out in a finally clause what the "
        "connection put in, or give it a limit.",
        "warning",
    ),
    Check(
        "WSH112",
        "a message of the other kind ends the handler",
        "A binary message where text is read (or the reverse) raises inside the framework's receive method: KeyError, "
        "Falcon's PayloadTypeError. True of every plain `receive_text` loop: any client can end its own handler so. "
        "Read with `receive()` and look at both keys, or catch the exception and close with 1003.",
        "warning",
    ),
    Check(
        "WSH113",
        "the server's process ends",
        "What one client did ended the process that serves them all: os._exit, a signal, a crash in a C extension, or "
        "SystemExit or KeyboardInterrupt in a task, which no server holds back. Everybody is disconnected, and anyone "
        "can do it again. Close the connection instead, and leave ending to whoever runs the server.",
    ),
    Check(
        "WSH201",
        "ASGI event malformed or out of order",
        "The app sent an event that the ASGI specification does not allow, or not then: a websocket.send with "
        "neither text nor bytes, a second accept, a send before the accept. One server raises, another drops it "
        "silently. Send exactly one of text and bytes, and accept once before anything else.",
    ),
    Check(
        "WSH202",
        "send after close",
        "The app sent or closed on a connection that it had closed itself. One server raises, another drops it "
        "silently; what was to be said is lost. Say it before the close, close in one place, and end the tasks "
        "that send.",
    ),
    Check(
        "WSH203",
        "close code or close reason not allowed",
        "A close frame can carry the codes 1000-1003, 1007-1014 and 3000-4999, and a reason of at most 123 bytes "
        "of UTF-8 (RFC 6455 section 7.4 and 5.5). With anything else the server raises instead of closing, and the "
        "client is lost. Use a code of 4000-4999 of your own, and cut a reason that holds what users wrote.",
    ),
    Check(
        "WSH204",
        "text that cannot be encoded",
        "The app sent text with a lone surrogate, which UTF-8 cannot express: json.loads makes one of '\\ud800' "
        "in any client's message. The send raises, for everyone it was meant for. Refuse such text where it comes "
        "in, or send with json.dumps's default ensure_ascii=True.",
    ),
    Check(
        "WSH205",
        "rejection code the client never sees",
        "A close before the accept rejects the handshake with HTTP 403: its close code and reason reach nobody. "
        "Accept first and close then, where clients are to tell reasons apart, or send a denial response with a "
        "status of its own.",
        "warning",
    ),
    Check(
        "WSH206",
        "ended without closing",
        "The handler returned while its client was connected, without a close: the client sees 1006 from one "
        "server, 1011 or 1005 from another, and from a third nothing at all. Close with a code at every end.",
        "warning",
    ),
    Check(
        "WSH301",
        "one slow reader holds up the others",
        "A client that does not read makes the app's send to it block, and the app sends to the others after it or "
        "waits with them: one phone in a tunnel stops the room. Give each connection a task and a bounded queue of "
        "its own, or a time limit to each send.",
        "warning",
    ),
    Check(
        "WSH302",
        "connection rejected with 5xx",
        "The handshake was answered with a server error: clients and load balancers take it for an outage and try "
        "again. Validate what the request brings (query, headers, subprotocols) and reject with a 4xx status, or "
        "accept and close with a code.",
    ),
    Check(
        "WSH303",
        "messages lost, doubled or reordered between schedules",
        "What one client said reaches another in one order of the tasks and not in another, or twice, or after what "
        "was said later, though it would reach it if everything were done one after the other, in whatever order. "
        "Usual cause: an await between looking at what clients share and acting on it, a loop over a list that "
        "changes meanwhile, a task for each message. Look and act without an await between, iterate over a copy, "
        "and give each connection one queue and one task that sends.",
        "warning",
    ),
    Check(
        "WSH304",
        "route never accepted",
        "Nothing that was tried made the route accept a connection, so nothing behind the handshake was tested. "
        "Say what it needs: --header, --cookie, --query, --param, --subprotocol, or --hello FILE.ws.yaml.",
        "warning",
    ),
    Check(
        "WSH305",
        "the app needs what a simulation has not",
        "A socket, a subprocess or a signal handler was refused: what the app does with a database, a message broker "
        "or another service was not tested, nor what comes after it. Put a fake in its place (a dependency override, "
        "an in-memory backend) in a module that imports the app, and check the app from there.",
        "warning",
    ),
    Check(
        "WSH401",
        "same seed, different transcript",
        "Two runs of one conversation with the same seed, each from the state right after the import, went apart: the "
        "app depends on something that the simulation does not hold still, and what it shows may not show again. "
        "Usual causes: time.monotonic or perf_counter in a message, a file or database that outlives the run, the "
        "process's id, a thread of the app's own. Take the time from the loop or from time.time, and what is outside "
        "the process from a fixture.",
    ),
    Check(
        "WSH402",
        "behaves differently under another profile",
        "The same conversation ends otherwise on some servers than on others: a client sees another close code, or "
        "none, or the handler fails where elsewhere it goes on. A warning where clients see something else; a failure "
        "where only some servers end in one. Usual cause: a handler that returns without a close, a send to a client "
        "that has left, a close code or accept header that one server does not take. The page on servers says which.",
        "warning",
    ),
    Check(
        "WSH501",
        "expectation not met",
        "A step of the scenario expected something else than what the app did.",
    ),
)
CHECKS: dict[str, Check] = {check.code: check for check in _CATALOGUE}


def get_check(code: str) -> Check:
    """The check of that code; UsageError if there is none."""
    try:
        return CHECKS[code if code in CHECKS else code.upper()]
    except KeyError:
        raise UsageError(f"unknown check {code!r}; known: {', '.join(CHECKS)}") from None


EXIT = f"; it ends the process of {' and '.join(one.name for one in PROFILES.values() if one.exit_ends_process)}"
"""What becomes of SystemExit and KeyboardInterrupt in a handler."""


def crashes(transcript: Transcript) -> Iterator[Failure]:
    """WSH101, 106, 112 and 305: what left a handler as an exception."""
    for index, record, fact in _facts(transcript, "crashed"):
        exception = str(fact.data.get("exception", ""))
        if fact.data.get("rule"):
            continue  # what its own send did wrong is reported as such
        if fact.data.get("harmless") and "Disconnected" in exception and not any(frame.user for frame in fact.stack):
            continue  # a framework that closes a connection which is gone
        if fact.data.get("refused"):
            yield _failure("WSH305", str(fact.data["refused"]), record, index, fact.stack)
            continue
        code = "WSH101"
        if fact.data.get("harmless"):
            code = "WSH106"
        elif _is_other_kind(exception, fact):
            code = "WSH112"
        short = exception.rpartition(".")[2]
        message = f"{short}: {_first_line(fact.message)}" if fact.message else short
        message += EXIT if exception in ("SystemExit", "KeyboardInterrupt") else ""
        yield _failure(code, message, record, index, fact.stack, kind=exception)


def _is_other_kind(exception: str, fact: Fact) -> bool:
    """Whether a framework's own code refused a message for its kind, each in its words."""
    if not fact.stack or fact.stack[-1].user:
        return False
    function = fact.stack[-1].function.rpartition(".")[2]
    if exception == "KeyError":
        return function.startswith(("receive", "iter_")) or fact.message in ("'text'", "'bytes'")
    return any(
        exception == name and function.startswith(start) and words in fact.message for name, start, words in _OTHER_KIND
    )


_OTHER_KIND = (  # of Falcon, of Starlette's WebSocketEndpoint, of Channels where receive takes text_data only
    ("falcon.errors.PayloadTypeError", "receive", "Missing "),
    ("RuntimeError", "decode", "Expected "),
    (
        "TypeError",
        "websocket_receive",
        "unexpected keyword argument 'bytes_data'",
    ),  # Channels: receive(self, text_data)
    ("TypeError", "websocket_receive", "unexpected keyword argument 'text_data'"),
)


def stuck_handlers(transcript: Transcript) -> Iterator[Failure]:
    """WSH102 and 105: handlers that did not end after their client left."""
    for index, record, fact in _facts(transcript, "handler stuck"):
        code = "WSH105" if fact.data.get("deadlock") else "WSH102"
        yield _failure(code, f"still {fact.message}", record, index, fact.stack)


def busy_loops(transcript: Transcript) -> Iterator[Failure]:
    """WSH103: handlers that never let the loop run."""
    for index, record, fact in _facts(transcript, "busy loop"):
        yield _failure("WSH103", fact.message, record, index, fact.stack)


def ended_processes(transcript: Transcript) -> Iterator[Failure]:
    """WSH113: what left the loop, and the process with it."""
    for index, record, fact in _facts(transcript, "process ended"):
        yield _failure("WSH113", fact.message, record, index, fact.stack)


def leaked_tasks(transcript: Transcript) -> Iterator[Failure]:
    """WSH104: as many tasks of one coroutine alive at the end as connections that were accepted, two or more."""
    accepted = sum(type(record.event) is Accepted for record in transcript)
    facts = list(_facts(transcript, "task leaked"))
    count = Counter(fact.data.get("coroutine") for _, _, fact in facts)
    seen = set()
    for index, record, fact in facts:
        name = fact.data.get("coroutine")
        if name in seen or count[name] < max(2, accepted):
            continue
        seen.add(name)
        message = f"{count[name]} tasks of {name} still run after {accepted} connections ended"
        if fact.data.get("created"):
            message += f"; they were created at {fact.data['created']}"
        yield _failure("WSH104", message, record, index, fact.stack, kind=str(name))


def kept_connections(transcript: Transcript) -> Iterator[Failure]:
    """WSH107: ended connections that something still holds."""
    for index, record, fact in _facts(transcript, "kept"):
        yield _failure("WSH107", fact.message, record, index, fact.stack, kind=str(fact.data.get("holder", "")))


def unanswered(transcript: Transcript) -> Iterator[Failure]:
    """WSH109: handshakes that nothing answered while the client waited."""
    for index, record, fact in _facts(transcript, "unanswered"):
        yield _failure("WSH109", fact.message, record, index, fact.stack)


def dead_tasks(transcript: Transcript) -> Iterator[Failure]:
    """WSH110: tasks whose exception nobody retrieved."""
    for index, record, fact in _facts(transcript, "never retrieved"):
        if fact.data.get("refused"):
            yield _failure("WSH305", str(fact.data["refused"]), record, index, fact.stack)
            continue
        yield _failure("WSH110", fact.message, record, index, fact.stack, kind=str(fact.data.get("exception", "")))


def growing_queues(transcript: Transcript) -> Iterator[Failure]:
    """WSH108: what grew with the messages while a client did not read."""
    for index, record, fact in _facts(transcript, "queue grew"):
        data = fact.data
        message = f"{data['length']} entries wait for {data['connection']}, who does not read, in {fact.message}"
        yield _failure("WSH108", message, record, index, fact.stack)


MANY_CONNECTIONS = 1000


def growing_state(transcript: Transcript) -> Iterator[Failure]:
    """WSH111: what grew by as much with each of many connections that came and went."""
    for index, record, fact in _facts(transcript, "grows"):
        if fact.data["connections"] >= MANY_CONNECTIONS:
            message = f"{fact.data['length']} entries after {fact.data['connections']} connections: {fact.message}"
            yield _failure("WSH111", message, record, index, fact.stack, kind=str(fact.data["holder"]))


LONG = 30.0
"""Virtual seconds without a message, after which a slow reader is to blame if what waited comes when it reads."""


def slow_readers(transcript: Transcript) -> Iterator[Failure]:
    """WSH301: others got nothing while one client did not read, and everything the moment it did."""
    for resumed, record in enumerate(transcript):
        if not (isinstance(record.event, Reading) and record.event.on):
            continue
        got = {
            later.client
            for later in transcript[resumed:]
            if later.time == record.time and _is_message(later) and later.client != record.client
        }
        before = [one for one in transcript[:resumed] if record.time - LONG < one.time]
        held = sorted(got - {one.client for one in before if _is_message(one)})
        if held and record.time >= LONG:
            blocked = [one for one in _facts(transcript, "send blocked") if one[1].client == record.client]
            stack = blocked[0][2].stack if blocked else ()
            message = f"{', '.join(held)} got nothing while {record.client} did not read, and all at once when it did"
            yield _failure("WSH301", message, record, resumed, stack)


def _is_message(record: Record) -> bool:
    return type(record.event) is Message


_RULES = {
    "shape": "WSH201",
    "order": "WSH201",
    "after close": "WSH202",
    "close code": "WSH203",
    "close reason": "WSH203",
    "encoding": "WSH204",
    "unseen": "WSH205",
}


def broken_rules(transcript: Transcript) -> Iterator[Failure]:
    """WSH201 to 205: what the app sent and may not send, or not then."""
    for index, record, fact in _facts(transcript, "rule broken"):
        rule = str(fact.data.get("rule"))
        yield _failure(_RULES[rule], fact.message, record, index, fact.stack, kind=rule)


def silent_ends(transcript: Transcript) -> Iterator[Failure]:
    """WSH206: handlers that returned from an open connection without a close."""
    for index, record, fact in _facts(transcript, "ended open"):
        yield _failure("WSH206", fact.message, record, index, fact.stack)


def server_errors(transcript: Transcript) -> Iterator[Failure]:
    """WSH302: rejections with 5xx where no exception says why."""
    crashed = {record.client for _, record, _ in _facts(transcript, "crashed")}
    for index, record in enumerate(transcript):
        event = record.event
        if isinstance(event, Rejected) and event.status >= 500 and record.client not in crashed:  # noqa: PLR2004
            yield _failure("WSH302", f"the handshake was answered with HTTP {event.status}", record, index, ())


def invariants(transcript: Transcript) -> Iterator[Failure]:
    """The user's invariants, which a step broke."""
    for index, record, fact in _facts(transcript, "invariant broken"):
        name = str(fact.data.get("name"))
        yield replace(Failure(name, CHECKS[name].title, fact.message), index=index, client=record.client, kind=name)


def expectations(transcript: Transcript) -> Iterator[Failure]:
    """WSH501: steps that expected something else."""
    for index, record, fact in _facts(transcript, "not expected"):
        yield _failure("WSH501", fact.message, record, index, fact.stack, kind=str(fact.data.get("step", "")))


_FUNCTIONS: tuple[CheckFunction, ...] = (
    crashes,
    stuck_handlers,
    busy_loops,
    ended_processes,
    leaked_tasks,
    kept_connections,
    unanswered,
    dead_tasks,
    growing_queues,
    growing_state,
    slow_readers,
    broken_rules,
    silent_ends,
    server_errors,
    invariants,
    expectations,
)


_own: dict[str, CheckFunction] = {}


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a check of one's own, a function of the transcript: `@wsharness.check`.

    It yields messages, one for each thing that is wrong, or raises AssertionError. Its name is its code.
    """

    def run_one(transcript: Transcript) -> Iterator[Failure]:
        for message in _messages(function, transcript):
            yield Failure(name, title, message, index=max(0, len(transcript) - 1), kind=message)

    name = function.__name__
    title = (function.__doc__ or name.replace("_", " ")).strip().splitlines()[0]
    CHECKS[name] = Check(name, title, (function.__doc__ or title).strip())
    _own[name] = run_one
    return function


_invariants: dict[str, Callable[[Any], Any]] = {}


def invariant(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register what must hold of an app after every step, as a function of the app: `@wsharness.invariant`.

    It raises AssertionError, or yields messages, where it does not hold.
    """
    check(function)
    _invariants[function.__name__] = function
    del _own[function.__name__]
    return function


def forget(name: str) -> None:
    """Take back what was registered under a name."""
    for registry in (CHECKS, _own, _invariants):
        registry.pop(name, None)


def broken_invariants(app: Any) -> Iterator[tuple[str, str]]:
    """Which of the registered invariants do not hold of an app now: name and message."""
    for name, function in _invariants.items():
        for message in _messages(function, app):
            yield name, message


def _messages(function: Callable[..., Any], subject: Any) -> Iterator[str]:
    try:
        for message in function(subject) or ():
            yield str(message)
    except AssertionError as error:
        yield str(error) or "it does not hold"


def run(transcript: Transcript, *, profile: str = "uvicorn", functions: Iterable[CheckFunction] = ()) -> list[Failure]:
    """Run every check over a transcript: distinct failures, in the order of the transcript."""
    every = (*_FUNCTIONS, *_own.values(), *functions)
    found = [failure for function in every for failure in function(transcript)]
    routes = {record.client: record.event.path for record in transcript if isinstance(record.event, Connect)}
    for number, failure in enumerate(found):
        found[number] = replace(
            failure,
            transcript=transcript,
            profile=profile,
            route=failure.route or routes.get(failure.client, ""),
        )
    return distinct(sorted(found, key=lambda failure: (failure.index, failure.code)))


def apply_severity(
    failures: Iterable[Failure], *, ignore: Iterable[str] = (), warn: Iterable[str] = ()
) -> list[Failure]:
    """Leave out the ignored codes and turn others into warnings."""
    ignored = {get_check(code).code for code in ignore}
    warned = {get_check(code).code for code in warn}
    return [
        replace(failure, severity="warning") if failure.code in warned else failure
        for failure in failures
        if failure.code not in ignored
    ]


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
        f"{record.client} {CRASHES} {fact.data.get('exception', 'an exception')}"
        for _, record, fact in _facts(transcript, "crashed")
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


def was_rejected(transcript: Transcript) -> Rejected | None:
    """The first rejection, if there was one."""
    return next((record.event for record in transcript if isinstance(record.event, Rejected)), None)


def client_left(transcript: Transcript, client: str) -> bool:
    """Whether that client closed or dropped."""
    return any(isinstance(record.event, (Leave, Dropped)) for record in transcript.of(client))


_FACT = Direction.FACT  # looked up once: every check goes through every record


def _facts(transcript: Transcript, kind: str) -> Iterator[tuple[int, Record, Fact]]:
    for index, record in enumerate(transcript):
        if record.direction is _FACT and record.event.kind == kind:  # type: ignore[union-attr]  # a FACT's is a Fact
            yield index, record, record.event  # type: ignore[misc]


def _failure(code: str, message: str, record: Record, index: int, stack: Stack, *, kind: str = "") -> Failure:
    return CHECKS[code].failure(message, client=record.client, index=index, stack=stack, kind=kind)


def _first_line(text: str, limit: int = 200) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= limit else line[: limit - 1] + "…"

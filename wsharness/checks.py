"""Checks: pure functions from a transcript to failures, with stable codes."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from wsharness.codes import CODES, Check
from wsharness.errors import UsageError
from wsharness.events import Accepted, Closed, Lost, Message, Rejected
from wsharness.profiles import PROFILES
from wsharness.results import Failure, distinct
from wsharness.transcript import Connect, Direction, Dropped, Fact, Leave, Reading, Record, Stack, Transcript

CheckFunction: TypeAlias = Callable[[Transcript], Iterator[Failure]]


CHECKS: dict[str, Check] = {check.code: check for check in CODES}


def get_check(code: str) -> Check:
    """The check of that code; UsageError if there is none."""
    try:
        return CHECKS[code if code in CHECKS else code.upper()]
    except KeyError:
        raise UsageError(f"unknown check {code!r}; known: {', '.join(CHECKS)}") from None


EXIT = f"; it ends the process of {' and '.join(one.name for one in PROFILES.values() if one.exit_ends_process)}"
"""What becomes of SystemExit and KeyboardInterrupt in a handler."""


_FUNCTIONS: list[tuple[str | type, CheckFunction]] = []


def _where_there_is(what: str | type) -> Callable[[CheckFunction], CheckFunction]:
    """Have a check look at transcripts with such facts or events: most have none, and every run is checked."""

    def register(function: CheckFunction) -> CheckFunction:
        _FUNCTIONS.append((what, function))
        return function

    return register


@_where_there_is("crashed")
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


@_where_there_is("handler stuck")
def stuck_handlers(transcript: Transcript) -> Iterator[Failure]:
    """WSH102 and 105: handlers that did not end after their client left."""
    for index, record, fact in _facts(transcript, "handler stuck"):
        code = "WSH105" if fact.data.get("deadlock") else "WSH102"
        yield _failure(code, f"still {fact.message}", record, index, fact.stack)


@_where_there_is("busy loop")
def busy_loops(transcript: Transcript) -> Iterator[Failure]:
    """WSH103: handlers that never let the loop run."""
    for index, record, fact in _facts(transcript, "busy loop"):
        yield _failure("WSH103", fact.message, record, index, fact.stack)


@_where_there_is("process ended")
def ended_processes(transcript: Transcript) -> Iterator[Failure]:
    """WSH113: what left the loop, and the process with it."""
    for index, record, fact in _facts(transcript, "process ended"):
        yield _failure("WSH113", fact.message, record, index, fact.stack)


@_where_there_is("task leaked")
def leaked_tasks(transcript: Transcript) -> Iterator[Failure]:
    """WSH104: tasks of one coroutine alive at the end, other than one that all connections share.

    They are one for each connection that was accepted, two or more; or one more for each time that a client came for
    the same; or one works for a single connection.
    """
    accepted = sum(type(record.event) is Accepted for record in transcript)
    leaks: dict[str, list[tuple[int, Record, Fact]]] = {}
    for found in _facts(transcript, "task leaked"):
        leaks.setdefault(str(found[2].data.get("coroutine")), []).append(found)
    for name, facts in leaks.items():
        own = [one for one in facts if one[2].data.get("own")]
        if len(facts) < max(2, accepted) and not own and not _left_again(transcript, [fact for _, _, fact in facts]):
            continue
        index, record, fact = (own or facts)[0]
        several = len(facts) > 1
        message = f"{len(facts)} tasks of {name} still run" if several else f"a task of {name} still runs"
        message += f" after {accepted} connections ended" if accepted > 1 else " after its connection ended"
        if fact.data.get("created"):
            message += f"; {'they were' if several else 'it was'} created at {fact.data['created']}"
        yield _failure("WSH104", message, record, index, fact.stack, kind=name)


def _left_again(transcript: Transcript, facts: Iterable[Fact]) -> bool:
    """Whether a client left a task each time that it came with the same request: what is shared is made once."""
    paths = {record.client: record.event.path for record in transcript if isinstance(record.event, Connect)}
    by = {str(fact.data["connection"]) for fact in facts if "connection" in fact.data}
    came = Counter((name.partition("#")[0], paths.get(name)) for name in by)
    return any(times > 1 for times in came.values())


@_where_there_is("kept")
def kept_connections(transcript: Transcript) -> Iterator[Failure]:
    """WSH107: ended connections that something still holds."""
    for index, record, fact in _facts(transcript, "kept"):
        yield _failure("WSH107", fact.message, record, index, fact.stack, kind=str(fact.data.get("holder", "")))


@_where_there_is("unanswered")
def unanswered(transcript: Transcript) -> Iterator[Failure]:
    """WSH109: handshakes that nothing answered while the client waited."""
    for index, record, fact in _facts(transcript, "unanswered"):
        yield _failure("WSH109", fact.message, record, index, fact.stack)


@_where_there_is("never retrieved")
def dead_tasks(transcript: Transcript) -> Iterator[Failure]:
    """WSH110: tasks whose exception nobody retrieved."""
    for index, record, fact in _facts(transcript, "never retrieved"):
        if fact.data.get("refused"):
            yield _failure("WSH305", str(fact.data["refused"]), record, index, fact.stack)
            continue
        yield _failure("WSH110", fact.message, record, index, fact.stack, kind=str(fact.data.get("exception", "")))


MANY_MESSAGES = 1000


@_where_there_is("queue grew")
def growing_queues(transcript: Transcript) -> Iterator[Failure]:
    """WSH108: what grew with each of many messages while a client did not read."""
    for index, record, fact in _facts(transcript, "queue grew"):
        data = fact.data
        if data["messages"] >= MANY_MESSAGES:
            message = f"{data['length']} entries wait for {data['connection']}, who does not read, in {fact.message}"
            yield _failure("WSH108", message, record, index, fact.stack)


MANY_CONNECTIONS = 1000


@_where_there_is("grows")
def growing_state(transcript: Transcript) -> Iterator[Failure]:
    """WSH111: what grew by as much with each of many connections that came and went."""
    for index, record, fact in _facts(transcript, "grows"):
        if fact.data["connections"] >= MANY_CONNECTIONS:
            message = f"{fact.data['length']} entries after {fact.data['connections']} connections: {fact.message}"
            yield _failure("WSH111", message, record, index, fact.stack, kind=str(fact.data["holder"]))


HOUR = 3600.0
"""Virtual seconds without anybody, after which a limit of visits in a time is over."""


@_where_there_is(Connect)
def turned_away(transcript: Transcript) -> Iterator[Failure]:
    """WSH114: the last visit of many alike ended at once, after a long time in which nobody was there."""
    if transcript.end < HOUR:
        return
    visits = [index for index, record in enumerate(transcript) if type(record.event) is Connect]
    last = visits[-1] if len(visits) > 2 else 0  # noqa: PLR2004 (who is let in once may have had a ticket)
    if not last or transcript[last].time - transcript[last - 1].time < HOUR:
        return
    alike = {transcript[index].client for index in visits if transcript[index].event == transcript[last].event}
    ends = _ends(transcript)
    how = ends.get(transcript[last].client, "")
    let_in = sum(not ends.get(client) for client in alike - {transcript[last].client})
    if how and let_in > 1:
        message = f"{how}, hours after everybody has left, though let in {let_in} times before"
        yield _failure("WSH114", message, transcript[last], len(transcript) - 1, ())


def _ends(transcript: Transcript) -> dict[str, str]:
    """How each client's visit ended: how the server ended it, or empty where the client was first."""
    ends: dict[str, str] = {}
    for record in [one for one in transcript if type(one.event) in _COMES_OR_GOES]:  # of many, these are few
        event = record.event
        if isinstance(event, Connect):
            ends.pop(record.client, None)
        elif isinstance(event, Rejected):
            ends.setdefault(record.client, f"rejected with HTTP {event.status}")
        elif isinstance(event, (Closed, Lost)):
            ends.setdefault(record.client, f"closed with {event.code}")
        else:
            ends.setdefault(record.client, "")
    return ends


_COMES_OR_GOES = frozenset((Connect, Rejected, Closed, Lost, Leave, Dropped))


LONG = 30.0
"""Virtual seconds without a message, after which a slow reader is to blame if what waited comes when it reads."""


@_where_there_is(Reading)
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
    "subprotocol": "WSH207",
}


@_where_there_is("rule broken")
def broken_rules(transcript: Transcript) -> Iterator[Failure]:
    """WSH201 to 205 and 207: what the app sent and may not send, or not then."""
    for index, record, fact in _facts(transcript, "rule broken"):
        rule = str(fact.data.get("rule"))
        yield _failure(_RULES[rule], fact.message, record, index, fact.stack, kind=rule)


@_where_there_is("ended open")
def silent_ends(transcript: Transcript) -> Iterator[Failure]:
    """WSH206: handlers that returned from an open connection without a close."""
    for index, record, fact in _facts(transcript, "ended open"):
        yield _failure("WSH206", fact.message, record, index, fact.stack)


@_where_there_is(Rejected)
def server_errors(transcript: Transcript) -> Iterator[Failure]:
    """WSH302: rejections with 5xx where no exception says why."""
    crashed = {record.client for _, record, _ in _facts(transcript, "crashed")}
    for index, record in enumerate(transcript):
        event = record.event
        if isinstance(event, Rejected) and event.status >= 500 and record.client not in crashed:  # noqa: PLR2004
            yield _failure("WSH302", f"the handshake was answered with HTTP {event.status}", record, index, ())


@_where_there_is("invariant broken")
def invariants(transcript: Transcript) -> Iterator[Failure]:
    """The user's invariants, which a step broke."""
    for index, record, fact in _facts(transcript, "invariant broken"):
        name = str(fact.data.get("name"))
        yield replace(Failure(name, CHECKS[name].title, fact.message), index=index, client=record.client, kind=name)


@_where_there_is("not expected")
def expectations(transcript: Transcript) -> Iterator[Failure]:
    """WSH501: steps that expected something else."""
    for index, record, fact in _facts(transcript, "not expected"):
        yield _failure("WSH501", fact.message, record, index, fact.stack, kind=str(fact.data.get("step", "")))


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
    there = transcript.kinds()
    usual = (function for what, function in _FUNCTIONS if what in there)
    found = [failure for function in (*usual, *_own.values(), *functions) for failure in function(transcript)]
    if not found:
        return []
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

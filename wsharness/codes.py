"""What can be wrong with an app, by code: what it means, why it hurts and what to do."""

from dataclasses import dataclass
from typing import Any

from wsharness.results import Failure, Severity


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


CODES: tuple[Check, ...] = (
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
        "A task created while a connection was served is alive after it ended: it works for that connection, or there "
        "is one more each time a client comes. Cancel it in a finally clause, or run it in a task group that ends with "
        "the handler. A worker that the first connection starts and all share is no leak.",
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
        "WebSocketDisconnect left the handler after its own client had gone, or Starlette's RuntimeError after an "
        "earlier send had found it gone. Servers log it as an error and nobody is hurt; code after the receive loop "
        "does not run. Catch WebSocketDisconnect around the loop, and RuntimeError where broadcasts swallow it.",
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
        "A task died of an exception that nobody retrieved, or a callback of the loop's, such as a timer's, raised "
        "one: the work it did has silently stopped. Await the task, or run it in a task group; cancel a timer with "
        "what it is for.",
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
        "WSH114",
        "turned away though nobody is there",
        "A client that was let in before is rejected, or sent away, hours after everybody has left: what a connection "
        "takes, such as a place of a limited number or a name, is not given back when it ends in an unusual way. In "
        "the end nobody gets in. Give it back in a finally clause.",
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
        "WSH207",
        "subprotocol that was not offered",
        "The app accepted with a subprotocol that its client had not offered. Browsers and client libraries fail such "
        "a connection (RFC 6455 section 4.1) and see no reason, uvicorn and granian take it for open, hypercorn raises "
        "in the app, daphne never answers. Choose from scope['subprotocols']; a client that offers none the app "
        "speaks is accepted without one, or rejected.",
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

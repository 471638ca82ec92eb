"""How real servers differ, as data: one Profile a server configuration."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

from wsharness.errors import UsageError


class State(Enum):
    """Where a connection stands, as the server sees it."""

    if not TYPE_CHECKING:
        __hash__ = object.__hash__  # an enum's own looks up its name, in Python

    HANDSHAKE = "before the answer"
    RESPONSE = "within a denial response"
    REFUSED = "after a close before accept"
    DENIED = "after a denial response"
    BROKEN = "after an accept that failed"
    ABANDONED = "the client left before the answer"
    LOST = "answered after the client left"
    OPEN = "open"
    CLOSING = "after the app's close"
    STUCK = "after a close that failed"
    LEAVING = "in the turn in which the client left"
    FAILED = "in the turn in which the server failed the connection"
    GONE = "after the client left"
    SEEN = "after the app received the disconnect"
    CLOSED = "after the app's close and the reply"


Outcome: TypeAlias = Literal["does", "fails", "refuses", "raises", "OSError", "nothing"]
"""What an app's `send` does: its work, fail at it with an OSError, refuse it (raise, if there is a message in it),
raise, raise OSError, or nothing."""
Rule: TypeAlias = Mapping[str, Outcome]
KINDS = ("accept", "send", "close", "start", "body", "other", "untyped")
"""The ASGI events an app may send; start and body are those of the denial response, `untyped` has no type."""


def rule(
    does: str = "",
    *,
    nothing: str = "",
    os_error: str = "",
    fails: str = "",
    refuses: str = "",
    otherwise: Outcome = "raises",
) -> Rule:
    """A rule for every kind, from lists of kinds."""
    named: dict[str, Outcome] = dict.fromkeys(KINDS, otherwise)
    named |= dict.fromkeys(does.split(), "does")
    named |= dict.fromkeys(nothing.split(), "nothing")
    named |= dict.fromkeys(os_error.split(), "OSError")
    named |= dict.fromkeys(fails.split(), "fails")
    named |= dict.fromkeys(refuses.split(), "refuses")
    return MappingProxyType(named)


RAISES = rule()
NOTHING = rule(otherwise="nothing")
OS_ERROR = rule(otherwise="OSError")


def rules(given: Mapping[State, Rule], *, otherwise: Rule = RAISES) -> Mapping[State, Rule]:
    """A rule for every state."""
    return MappingProxyType({state: given.get(state, otherwise) for state in State})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Profile:
    """One server's behaviour, measured; the state machine in `server` reads it and knows no server by name.

    It equals only itself: to compare sixty fields is no way to look something up.
    """

    name: str
    server: str
    """The server and how it was started."""
    sends: Mapping[State, Rule] = field(repr=False)
    """What an app's `send` does, by state and kind of ASGI event."""

    # The scope
    spec_version: str | None = "2.4"
    """`asgi.spec_version`."""
    complete_scope: bool = True
    """The scope has `http_version`, `scheme`, `state` and `extensions`."""
    extensions: tuple[str, ...] = ("websocket.http.response",)
    addresses: Literal["(host, port)", "[host, port]", "(host, 'port')"] = "(host, port)"
    prefixes_path: bool = False
    """The root path is put before `path` and `raw_path`."""
    headers: Literal["as sent", "joined", "grouped"] = "as sent"
    """What becomes of headers sent more than once: kept, joined by commas, or regrouped by name."""
    hidden_headers: Literal["none", "subprotocol", "underscore"] = "none"
    """Headers the app does not see: `sec-websocket-protocol`, or names with an underscore."""
    subprotocols: Literal["all", "last header"] = "all"
    parses_target: bool = False
    """The path is what a URL parser makes of it: `;parameters` and `//host` are taken off."""
    raw_bytes_in_path: Literal["400", "decoded"] = "400"
    latin1_header: Literal["kept", "500"] = "kept"

    # The handshake
    unoffered_subprotocol: Literal["sent", "raises", "no answer"] = "sent"
    sends_empty_subprotocol: bool = True
    subprotocol_first: bool = False
    """The answer's subprotocol stands before the app's own headers."""
    accept_headers: Literal["sent", "lower-cased", "no sec-websocket-protocol", "dropped"] = "sent"
    bad_header: Literal["raises", "raises, no answer", "400", "nothing"] = "raises, no answer"
    """A line break in an accept header."""
    header_names: Literal["any", "tokens", "lower-case tokens"] = "any"
    """Which names an accept header may have."""
    answers_next_turn: bool = False
    """The handshake's answer is written a turn after the app gave it."""
    handshake_timeout: float | None = None
    """Seconds after which the server gives up an app that has not answered."""
    early_leave: bool = True
    """An app that has not answered is told that its client left."""
    early_loss_code: int = 1006
    denial_headers: Literal["optional", "required at start", "required at body"] = "optional"
    str_headers: bool = False
    """Header names and values may be `str`."""
    header_charset: Literal["latin-1", "utf-8"] = "latin-1"
    """How the header text that the app gave as latin-1 bytes is written."""
    unique_header: str | None = None
    """A header the server writes itself: an accept that has it too is answered with 500."""
    statuses: Literal["any", "100-599", "200-599", "known", "known, 200-599"] = "any"
    """Which statuses a denial response may have; `known`: those with a name."""
    denial_header_check: Literal["none", "at start", "at body", "400"] = "none"
    """When a denial response's header that cannot be sent raises; `400`: it does not, the client sees 400."""
    bodiless: Literal["sent", "dropped", "raises"] = "sent"
    """A body for a status that has none: 204 and 304."""
    denial_body: Literal["required", "optional", "one", "one, required"] = "required"
    """The body event's `body` may be missing; `one`: and `more_body` raises."""
    denial_streams: bool = False
    """The denial's status is sent before its body is complete."""
    start_commits: bool = True
    """After `http.response.start` only a body may follow."""
    plain_http_types: bool = False
    """`http.response.start` and `.body` are taken for the denial response's."""
    started_end: Literal["lost", "status", "500", "403"] = "lost"
    """What a client sees when the app ends after `http.response.start`."""
    unanswered_return: int | None = 500
    unanswered_raise: int | None = 500
    early_again: int | None = None
    """The code of the disconnects that `receive` goes on yielding where there was no accept."""
    refuses_at_end: bool = False
    """A close before accept is answered when the app ends; until then it may accept after all."""
    refused_events: tuple[int, ...] = ()
    """Codes of the disconnects after a close before accept."""
    denied_events: tuple[int, ...] = ()
    """Codes of the disconnects after a complete denial response."""
    refused_gone: int | None = None
    """The code of the disconnect when the client leaves that saw its handshake refused."""

    # What the app sends
    payload: Literal["by key", "by type", "bytes first", "truthy", "coerced", "exact"] = "exact"
    """How `text` and `bytes` are read: see `shapes`."""
    looks: Literal["to send", "until the client is gone", "always"] = "to send"
    """When an event's payload or close code is looked at, and may raise, even where nothing comes of it."""
    max_outbound: int | None = None
    yields: bool = False
    """`send`, and `receive` with an event ready, let the loop turn."""
    write_limit: int | None = 4 * 1024 * 1024
    """Bytes a client may leave unread before the app's send blocks."""

    # What the client sends
    both_keys: bool = False
    """`websocket.receive` has both `text` and `bytes`, one of them None."""
    reads: Literal["ahead", "until a message", "in receive"] = "ahead"
    read_ahead: int | None = None
    """Messages the server reads ahead of the app."""
    max_size: int | None = 16 * 1024 * 1024
    size_unit: Literal["bytes", "characters", "bytes of a frame"] = "bytes"
    too_big: Literal["1009 told", "1009", "lost", "empty close"] = "1009"
    violation: Literal["close told", "close", "lost told", "lost", "empty close"] = "close"
    """A protocol error: what the client sees, and whether the app is told its code."""
    bad_segment: Literal["handled so far", "messages lost", "pongs lost"] = "handled so far"
    """What becomes of the frames that arrive in one segment with a protocol error, and before it."""
    concurrent_receive: Literal["waits", "raises"] = "waits"
    unknown_close_codes: tuple[int, ...] = ()
    """Allowed close codes that are taken for a protocol error."""
    close_in_fragments: Literal["taken", "violation"] = "taken"
    """A close frame before the last fragment of a message."""
    pongs_while_closing: bool = False
    """Pings are answered after the app's close."""

    # The client leaves
    told_code: Literal["sent", "1006"] = "sent"
    """The disconnect's code after a client's close frame."""
    told_no_code: int | None = 1005
    """The disconnect's code after a close frame without one."""
    told_reason: bool = True
    """The disconnect after a close frame has a `reason`."""
    echo: Literal["same", "1000"] = "same"
    lost_code: int | None = 1006
    """The disconnect's code when the connection was lost; None: only `end_code` is told."""
    lost_reason: bool = False
    end_code: int | None = None
    """A disconnect with this code follows when the TCP connection has ended."""
    end_turn: bool = False
    """The end takes effect a turn after its cause."""
    half_close_held: bool = False
    """A connection on which the client stopped sending stays until the app ends."""
    again: int | None = None
    """The code of the disconnects that `receive` goes on yielding."""
    marks_seen: bool = False
    """A `send` after the app received the disconnect does otherwise than one before."""
    kills_after: float | None = None
    """Seconds after the client left in which the app must end, or it is cancelled."""

    # The app closes
    close_codes: Literal["on the wire", "1000, 3000-4999", "0-65535", "0-65535 by int()", "any"] = "on the wire"
    """Which close codes the app's close takes; others raise."""
    close_without_code: Literal["1000", "empty", "raises"] = "1000"
    """A close whose code is None: sent as 1000, or without a code."""
    close_rewrites: bool = False
    """1005, 1006 and 1015 are sent as 1000."""
    close_reason: Literal["checked", "cut", "sent", "dropped"] = "checked"
    """A reason of more than 123 bytes raises, is cut, or is sent; `dropped`: none is sent."""
    failed_close: Literal["open", "closing", "stuck"] = "open"
    """Where a close that raised leaves the connection."""
    own_close_told: Literal["at once", "on reply", "again"] = "on reply"
    """After the app's close: a disconnect at once, on the client's reply, or those of `again`."""
    own_close_code: Literal["own", "1000", "reply"] = "1000"
    close_waits: bool = False
    """The app's close returns when the client has replied."""
    close_while_receiving: Literal["goes ahead", "waits", "ends it"] = "goes ahead"
    """An app's close while another task waits in `receive`; `ends it`: the receive yields a disconnect at once."""
    close_timeout: float | None = 10.0
    """Seconds the server waits for the client's reply to its close frame; None: until the app ends."""
    data_after_close: Literal["no", "to a waiting receive", "yes"] = "no"
    """Whether messages that arrive between the app's close and the client's reply still reach the app."""

    # The app ends
    return_event: Literal["lost", "open", "empty close"] | int = "lost"
    """What a client sees when the app returns after accept."""
    raise_event: Literal["lost", "open", "empty close"] | int = "lost"
    exit_ends_process: bool = False
    """SystemExit or KeyboardInterrupt in a handler ends the server, and every connection with it."""
    poll: float | None = None
    """Seconds between two looks at apps that have ended."""
    poll_offset: float = 0.0
    """Seconds from a connection's opening to the first look: the server's process knows no other clock."""
    timer_lead: float = 0.0
    """Seconds by which timeouts come early on average."""

    # Keepalive and shutdown
    ping_interval: float | None = 20.0
    ping_timeout: float | None = 20.0
    ping_first: bool = False
    """The first ping is sent with the accept."""
    ping_poll: float | None = None
    """Seconds between two looks at when a ping is due."""
    ping_failure: Literal["1011", "lost"] = "1011"
    shutdown: Literal["1012", "lost", "lost, cancelled", "1011, cancelled"] = "1012"
    shutdown_after: float = 0.0
    """Seconds the server gives its apps when it is told to stop."""


_UVICORN_OPEN = rule("send close")
UVICORN = Profile(
    name="uvicorn",
    server="uvicorn --ws websockets-sansio (what --ws auto picks)",
    sends=rules(
        {
            State.HANDSHAKE: rule("accept close start"),
            State.RESPONSE: rule("body"),
            State.OPEN: _UVICORN_OPEN,
            State.LEAVING: rule(nothing="close", fails="send"),
            State.ABANDONED: OS_ERROR,
            State.GONE: OS_ERROR,
            State.CLOSED: OS_ERROR,
        }
    ),
    prefixes_path=True,
    accept_headers="lower-cased",
    bad_header="raises",
    refused_events=(1006, 1005),
    denied_events=(1006, 1006),
    payload="by key",
    reads="until a message",
    too_big="1009 told",
    violation="close told",
    bad_segment="messages lost",
    lost_code=None,
    end_code=1005,
    end_turn=True,
    own_close_told="at once",
    own_close_code="own",
    sends_empty_subprotocol=False,
    statuses="100-599",
    pongs_while_closing=True,
    close_without_code="empty",
    denial_header_check="at body",
    close_in_fragments="violation",
)
UVICORN_LEGACY = Profile(
    name="uvicorn-legacy",
    server="uvicorn --ws websockets",
    sends=rules(
        {
            State.HANDSHAKE: rule("accept close start"),
            State.RESPONSE: rule("body"),
            State.REFUSED: rule(nothing="body"),
            State.DENIED: rule(nothing="body"),
            State.OPEN: _UVICORN_OPEN,
            State.ABANDONED: rule("accept close start"),
            State.LOST: rule(os_error="send"),
            State.GONE: rule("close", os_error="send"),
        }
    ),
    prefixes_path=True,
    latin1_header="500",
    bad_header="400",
    answers_next_turn=True,
    started_end="status",
    refused_events=(1006,),
    denied_events=(1006,),
    early_again=1006,
    payload="by type",
    read_ahead=32,
    concurrent_receive="raises",
    lost_reason=True,
    again=1005,
    marks_seen=True,
    failed_close="stuck",
    own_close_told="again",
    close_waits=True,
    subprotocol_first=True,
    statuses="known",
    close_without_code="raises",
    denial_header_check="400",
    header_charset="utf-8",
    unique_header="date",
    data_after_close="to a waiting receive",
)
UVICORN_WSPROTO = Profile(
    name="uvicorn-wsproto",
    server="uvicorn --ws wsproto",
    sends=rules(
        {
            State.HANDSHAKE: rule("accept close start"),
            State.RESPONSE: rule("body"),
            State.BROKEN: rule(os_error="send", fails="close"),
            State.OPEN: _UVICORN_OPEN,
            State.LEAVING: rule(os_error="send", fails="close"),
            State.FAILED: rule("close", nothing="send"),
            State.ABANDONED: OS_ERROR,
            State.GONE: OS_ERROR,
            State.CLOSED: OS_ERROR,
        }
    ),
    prefixes_path=True,
    hidden_headers="subprotocol",
    unoffered_subprotocol="raises",
    denial_headers="required at start",
    denial_streams=True,
    started_end="status",
    refused_events=(1006, 1005),
    denied_events=(1006, 1005),
    payload="by type",
    reads="until a message",
    too_big="1009 told",
    violation="lost told",
    lost_code=None,
    end_code=1005,
    end_turn=True,
    close_codes="0-65535",
    close_rewrites=True,
    close_reason="cut",
    failed_close="closing",
    own_close_told="at once",
    own_close_code="own",
    subprotocol_first=True,
    statuses="200-599",
    header_names="tokens",
    unknown_close_codes=(1014,),
    close_without_code="empty",
    denial_header_check="at start",
    bodiless="raises",
    str_headers=True,
)
HYPERCORN = Profile(
    name="hypercorn",
    server="hypercorn",
    sends=rules(
        {
            State.HANDSHAKE: rule("accept close start body"),
            State.RESPONSE: rule("body"),
            State.OPEN: rule("send close"),
            State.CLOSING: rule(nothing="close"),
            State.ABANDONED: NOTHING,
            State.GONE: NOTHING,
            State.CLOSED: NOTHING,
        }
    ),
    spec_version="2.3",
    subprotocols="last header",
    unoffered_subprotocol="raises",
    accept_headers="no sec-websocket-protocol",
    denial_headers="required at body",
    denial_body="optional",
    denial_streams=True,
    refused_gone=1000,
    half_close_held=True,
    start_commits=False,
    started_end="500",
    payload="bytes first",
    both_keys=True,
    read_ahead=10,
    size_unit="characters",
    violation="lost",
    told_code="1006",
    told_no_code=1006,
    told_reason=False,
    close_codes="0-65535 by int()",
    close_rewrites=True,
    close_reason="cut",
    failed_close="closing",
    close_timeout=None,
    data_after_close="yes",
    return_event=1011,
    raise_event=1011,
    exit_ends_process=True,
    ping_interval=None,
    ping_timeout=None,
    ping_first=True,
    shutdown="1011, cancelled",
    shutdown_after=3.0,
    subprotocol_first=True,
    header_names="tokens",
    unknown_close_codes=(1014,),
    close_without_code="raises",
    denial_header_check="at body",
    bodiless="dropped",
)
DAPHNE = Profile(
    name="daphne",
    server="daphne",
    sends=rules(
        {
            State.HANDSHAKE: rule("accept close", nothing="start body other"),
            State.BROKEN: rule(nothing="start body other"),
            State.OPEN: rule("send close", nothing="start body other"),
            State.CLOSING: rule(nothing="close start body other", refuses="send"),
        },
        otherwise=NOTHING,
    ),
    spec_version=None,
    complete_scope=False,
    extensions=(),
    addresses="[host, port]",
    headers="joined",
    hidden_headers="underscore",
    parses_target=True,
    unoffered_subprotocol="no answer",
    accept_headers="dropped",
    bad_header="nothing",
    handshake_timeout=5.0,
    denial_body="optional",
    unanswered_return=None,
    refused_events=(1006,),
    payload="truthy",
    max_outbound=1024 * 1024,
    write_limit=None,
    max_size=1024 * 1024,
    too_big="lost",
    violation="lost",
    told_no_code=None,
    told_reason=False,
    echo="1000",
    kills_after=10.0,
    close_codes="1000, 3000-4999",
    close_reason="dropped",
    own_close_code="reply",
    close_timeout=1.0,
    data_after_close="yes",
    return_event="open",
    raise_event=1011,
    exit_ends_process=True,
    poll=1.0,
    timer_lead=0.5,
    ping_timeout=30.0,
    ping_poll=2.0,
    ping_failure="lost",
    shutdown="lost, cancelled",
    bad_segment="pongs lost",
    looks="until the client is gone",
    unknown_close_codes=(1014,),
)
_GRANIAN_ENDED = rule(nothing="send close")
GRANIAN = Profile(
    name="granian",
    server="granian --interface asgi",
    sends=rules(
        {
            State.HANDSHAKE: rule("accept close start body", nothing="send"),
            State.RESPONSE: rule("accept close body", nothing="send"),
            State.REFUSED: rule("accept body", nothing="send close start"),
            State.OPEN: rule("send close"),
        },
        otherwise=_GRANIAN_ENDED,
    ),
    spec_version="2.3",
    extensions=("http.response.pathsend", "websocket.http.response"),
    addresses="(host, 'port')",
    headers="grouped",
    raw_bytes_in_path="decoded",
    accept_headers="dropped",
    bad_header="nothing",
    early_leave=False,
    denial_headers="required at start",
    denial_body="one",
    plain_http_types=True,
    started_end="403",
    unanswered_return=403,
    unanswered_raise=403,
    refuses_at_end=True,
    refused_events=(1005,),
    payload="coerced",
    yields=True,
    reads="in receive",
    size_unit="bytes of a frame",
    too_big="empty close",
    violation="empty close",
    told_reason=False,
    lost_code=1005,
    again=1005,
    close_codes="any",
    close_reason="sent",
    own_close_told="again",
    close_while_receiving="waits",
    close_timeout=0.0,
    return_event="empty close",
    raise_event="empty close",
    ping_interval=None,
    ping_timeout=None,
    shutdown="lost",
    looks="always",
    half_close_held=True,
    denial_header_check="at start",
    header_names="tokens",
    bodiless="dropped",
)
STRICT = Profile(
    name="strict",
    server="none: raises wherever any server does, or the ASGI specification says so",
    sends=rules(
        {
            State.HANDSHAKE: rule("accept close start"),
            State.RESPONSE: rule("body"),
            State.OPEN: rule("send close"),
            State.LEAVING: OS_ERROR,
            State.ABANDONED: OS_ERROR,
            State.GONE: OS_ERROR,
            State.SEEN: OS_ERROR,
            State.CLOSED: OS_ERROR,
        }
    ),
    spec_version="2.5",
    unoffered_subprotocol="raises",
    accept_headers="no sec-websocket-protocol",
    bad_header="raises",
    max_outbound=1024 * 1024,
    max_size=1024 * 1024,
    too_big="1009 told",
    violation="close told",
    concurrent_receive="raises",
    close_codes="1000, 3000-4999",
    own_close_code="reply",
    refused_events=(1006,),
    denied_events=(1006,),
    header_names="lower-case tokens",
    statuses="known, 200-599",
    denial_headers="required at start",
    denial_body="one, required",
    looks="always",
    failed_close="closing",
    close_without_code="raises",
    denial_header_check="at start",
    bodiless="raises",
    close_in_fragments="violation",
)
PROFILES: dict[str, Profile] = {
    profile.name: profile for profile in (UVICORN, UVICORN_LEGACY, UVICORN_WSPROTO, HYPERCORN, DAPHNE, GRANIAN, STRICT)
}


def get_profile(name: "str | Profile") -> Profile:
    """The profile of that name; UsageError with the nearest name if there is none."""
    if isinstance(name, Profile):
        return name
    if name not in PROFILES:
        near = difflib.get_close_matches(name, PROFILES, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(PROFILES)}"
        raise UsageError(f"unknown profile {name!r}; {hint}")
    return PROFILES[name]

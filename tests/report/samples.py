"""Reports to render: a chat that crashes, a busy loop, hostile text, binary, a huge payload, secrets."""

from dataclasses import replace

from wsharness.events import Accepted, Closed, Lost, Message, Rejected
from wsharness.results import CaseResult, Failure, Report
from wsharness.transcript import (
    Connect,
    Direction,
    Dropped,
    Fact,
    Frame,
    Leave,
    Reading,
    Record,
    Sent,
    Transcript,
)

EVIL = "</script></pre><script>window.pwned=1</script><img src=x onerror=window.pwned=1>\"'&]]>"
ODD = "é 漢字 \u202etfel \x00\x07\x1b[31mred\x1b[0m \ufffe \U0001f600 \ud800 lone \x85 \u2028"
SECRET = "s3cr3t-value-0815"

CHAT_STACK = (
    Frame("fastapi/routing.py", 388, "websocket_session", user=False),
    Frame("starlette/routing.py", 103, "app", user=False),
    Frame("chat/app.py", 52, "chat"),
    Frame("chat/rooms.py", 31, "Room.broadcast"),
    Frame("starlette/websockets.py", 97, "WebSocket.send", user=False),
)

CHAT_YAML = """\
wsharness: 1
name: a broadcast meets a member who has just gone
clients:
  alice: {path: '/ws/chat?user=alice', headers: {Authorization: Bearer s3cr3t-value-0815}}
  bob: {path: /ws/chat, query: {user: bob}}
  carol: {path: /ws/chat, query: {user: carol}}
steps:
  - alice: connect
  - bob: connect
  - carol: connect
  - alice: {send: {type: say, text: hi}}
  - bob: drop
  - alice: {send: {type: say, text: anyone there?}}
run: {app: 'chat.app:app', profile: uvicorn, seed: 7, expects: WSH101}
"""


class Script:
    """Writes a transcript as the harness does: both ends of everything that crosses the link."""

    def __init__(self):
        self.time = 0.0
        self.transcript = Transcript()

    def add(self, client, direction, event, time=None):
        self.transcript.append(Record(self.time if time is None else time, client, direction, event))
        return self

    def connect(self, client, path, headers=(), subprotocols=(), chosen=None):
        self.add(client, Direction.CLIENT, Connect(path, headers, subprotocols))
        self.add(client, Direction.RECEIVE, {"type": "websocket.connect"})
        self.add(client, Direction.SEND, {"type": "websocket.accept", "subprotocol": chosen, "headers": []})
        return self.add(client, Direction.SERVER, Accepted(chosen))

    def send(self, client, data, read=True):
        self.add(client, Direction.CLIENT, Sent(data))
        kind = "text" if isinstance(data, str) else "bytes"
        return self.add(client, Direction.RECEIVE, {"type": "websocket.receive", kind: data}) if read else self

    def get(self, client, data, seen=True, after=0.0):
        kind = "text" if isinstance(data, str) else "bytes"
        self.add(client, Direction.SEND, {"type": "websocket.send", kind: data})
        return self.add(client, Direction.SERVER, Message(data), self.time + after) if seen else self

    def fact(self, client, kind, message, stack, **data):
        return self.add(client, Direction.FACT, Fact(kind, message, stack, data))

    def wait(self, seconds):
        self.time += seconds
        return self


def chat_transcript():
    script = Script()
    auth = (("host", "testserver"), ("authorization", f"Bearer {SECRET}"))
    script.connect("alice", f"/ws/chat?user=alice&token={SECRET}", auth, ("chat.v1",), "chat.v1")
    script.wait(0.1).connect("bob", "/ws/chat?user=bob").connect("carol", "/ws/chat?user=carol")
    script.wait(0.15).send("alice", '{"type": "say", "text": "hi", "token": "abcdefgh"}')
    for name in ("alice", "bob", "carol"):
        script.get(name, '{"type": "said", "from": "alice", "text": "hi"}', after=0.02)
    script.wait(30).add("bob", Direction.CLIENT, Dropped(reset=True))
    script.send("alice", '{"type": "say", "text": "anyone there?"}')
    script.get("alice", '{"type": "said", "from": "alice", "text": "anyone there?"}')
    script.get("bob", '{"type": "said", "from": "alice", "text": "anyone there?"}', seen=False)
    script.fact("alice", "crashed", "Connection lost", CHAT_STACK, exception="builtins.RuntimeError", left=False)
    script.add("alice", Direction.SERVER, Lost())
    script.add("bob", Direction.RECEIVE, {"type": "websocket.disconnect", "code": 1006})
    script.wait(1).add("carol", Direction.CLIENT, Leave(1000, "bye"))
    script.add("carol", Direction.RECEIVE, {"type": "websocket.disconnect", "code": 1000, "reason": "bye"})
    return script.transcript


def index_of(transcript, kind):
    return next(i for i, r in enumerate(transcript) if isinstance(r.event, Fact) and r.event.kind == kind)


def chat_crash():
    transcript = chat_transcript()
    return Failure(
        "WSH101",
        "unhandled exception",
        "RuntimeError: Connection lost",
        route="/ws/chat",
        client="alice",
        kind="builtins.RuntimeError",
        stack=CHAT_STACK,
        index=index_of(transcript, "crashed"),
        case="drop-while-broadcasting",
        seed=7,
        scenario=CHAT_YAML,
        transcript=transcript,
    )


def busy_loop(turns=600):
    stack = (
        Frame("chat/feed.py", 19, "feed"),
        Frame("starlette/websockets.py", 60, "receive_text", user=False),
    )
    script = Script().connect("alice", "/ws/feed")
    for number in range(turns):
        script.send("alice", f'{{"n": {number}}}').wait(0.001).get("alice", f'{{"n": {number}}}')
    script.add("alice", Direction.CLIENT, Dropped())
    script.fact("alice", "busy loop", "100,000 turns without the clock or the transcript moving", stack)
    return Failure(
        "WSH103",
        "busy loop",
        "100,000 turns without the clock or the transcript moving",
        route="/ws/feed",
        client="alice",
        stack=stack,
        index=len(script.transcript) - 1,
        case="drop-after-1",
        scenario="wsharness: 1\nname: busy\nclients: {alice: {path: /ws/feed}}\nsteps:\n  - alice: drop\n",
        transcript=script.transcript,
    )


def warning():
    script = Script().connect("eve", "/ws/feed").send("eve", b"\x00\xff\xfe")
    frames = (
        Frame("chat/feed.py", 22, "feed"),
        Frame("starlette/websockets.py", 127, "receive_text", user=False),
    )
    script.fact("eve", "crashed", "'text'", frames, exception="KeyError")
    script.add("eve", Direction.SERVER, Closed(1011, ""))
    return Failure(
        "WSH112",
        "a message of the other kind ends the handler",
        "KeyError: 'text'",
        "warning",
        route="/ws/feed",
        client="eve",
        kind="KeyError",
        stack=frames,
        index=len(script.transcript) - 2,
        case="binary-for-text",
        transcript=script.transcript,
    )


def hostile():
    """Markup, controls, lone surrogates, a megabyte, binary, malformed ASGI events."""
    script = Script().connect(EVIL[:20] + "#2", f"/ws/{EVIL}", (("x-note", ODD),), (ODD,))
    name = EVIL[:20] + "#2"
    script.send(name, EVIL).send(name, ODD).send(name, "x" * (1 << 20), read=False).send(name, bytes(range(256)) * 64)
    script.send(name, "").send(name, b"").get(name, f'{{"html": "{EVIL}"}}', after=0.25)
    script.add(name, Direction.CLIENT, Reading(on=False)).add(name, Direction.CLIENT, Reading(on=True))
    for event in (
        {"type": "websocket.send", "text": 5, "bytes": object},
        {"type": "websocket.close", "code": EVIL, "reason": 7},
        {"type": EVIL, "headers": 3, "\ud800": ODD},
        {"type": "websocket.accept", "headers": [(b"set-cookie", b"sid=" + SECRET.encode()), "x"]},
        {},
    ):
        script.add(name, Direction.SEND, event)
    script.add(name, Direction.SERVER, Rejected(500, (("x", ODD),), EVIL.encode(), 1008, ODD))
    frames = (Frame(f"{EVIL}.py", 1, ODD), Frame("<string>", 2, "<lambda>"))
    script.fact("", "crashed", ODD + EVIL, frames, exception=EVIL, number=float("nan"))
    return Failure(
        "WSH201",
        f"ASGI event malformed {EVIL}",
        f"{EVIL}\n{ODD}\n\texpected {{'a': 1}}; got 5",
        route=f"/ws/{EVIL}",
        client=name,
        kind=EVIL,
        stack=frames,
        index=len(script.transcript) - 1,
        case=ODD + EVIL,
        scenario=f"# {EVIL}\n{ODD}\n\t: [",
        transcript=script.transcript,
    )


def bare():
    """A failure that knows next to nothing."""
    return Failure("WSH304", "route never accepted", "", "warning", route="/ws/{room_id}", case="close-1001")


def cases():
    rows = [
        ("/ws/chat", "drop-while-broadcasting", ("WSH101",)),
        ("/ws/chat", "drop-after-1", ("WSH101",)),
        ("/ws/chat", "close-1001", ()),
        ("/ws/feed", "drop-after-1", ("WSH103",)),
        ("/ws/feed", "binary-for-text", ("WSH112",)),
        ("/ws/feed", "close-1001", ()),
        ("/ws/echo", "drop-after-1", ()),
        ("/ws/echo", "binary-for-text", ()),
        ("/ws/echo", "malformed-json", ()),
        ("/ws/{room_id}", "close-1001", ("WSH304",)),
    ]
    return [CaseResult(name, route, "uvicorn", 20, codes, 1.25) for route, name, codes in rows]


def report():
    return Report(
        "chat.app:app",
        7,
        "uvicorn",
        [warning(), chat_crash(), bare(), busy_loop()],
        cases(),
        f"wsharness check chat.app:app --seed 7 --header 'Authorization: Bearer {SECRET}'",
    )


def hostile_report():
    bug = hostile()
    odd_case = CaseResult(ODD + EVIL, f"/ws/{EVIL}", EVIL, 1, ("WSH201",), 0.0)
    return Report(EVIL + ODD, 0, EVIL, [bug, replace(bug, kind="another")], [odd_case, *cases()], ODD)


def empty_report():
    return Report("chat.app:app", 0, "uvicorn")


def passing_report():
    return Report("chat.app:app", 0, "uvicorn", [], [CaseResult("close-1001", "/ws/echo", "uvicorn", 20)])

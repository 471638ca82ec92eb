"""What every Connection keeps, on both transports, with a link in front of each and without one."""

import asyncio
import json

import pytest

from tests.wire.app import app
from tests.wire.servers import PATIENCE, serving, until
from wsharness import wire
from wsharness.connection import Connection
from wsharness.deployed import Target
from wsharness.errors import UnreachableError
from wsharness.events import Accepted, Closed, Lost, Message, Rejected
from wsharness.inprocess import InProcessServer
from wsharness.link import Faults, Link
from wsharness.profiles import get_profile
from wsharness.runtime import current_runtime
from wsharness.scope import Handshake
from wsharness.transcript import Direction, Transcript
from wsharness.wire import WireConnection, WireServer

CHUNKS = 400  # of 64 KiB: more than sockets and servers hold


@pytest.fixture(scope="module")
def url():
    with serving("uvicorn") as found:
        yield found


class World:
    """Clients of one server, and what each of them saw."""

    def __init__(self, transport: str, url: str) -> None:
        self.runtime = current_runtime()
        self.transcript = Transcript()
        given = {"runtime": self.runtime, "transcript": self.transcript, "on_end": self.on_end}
        self.linked = transport.startswith("link")
        if transport.endswith("wire"):
            self.server = WireServer(Target(url), **given)
        else:
            self.server = InProcessServer(app, profile=get_profile("uvicorn"), lifespan="off", **given)
        self.seen = {}
        self.errors = []

    def on_end(self, connection, error):
        if error is not None and connection.name != "failing":
            self.errors.append(error)

    def begin(self, name, path=None, **handshake) -> Connection:
        events = self.seen[name] = []

        def connect(on_event):
            return self.server.connect(name, Handshake(path or f"/{name}", **handshake), on_event)[0]

        if self.linked:
            return Link(name, events.append, connect, Faults())
        return connect(events.append)

    async def open(self, name, path=None, **handshake) -> Connection:
        connection = self.begin(name, path, **handshake)
        await until(lambda: self.seen[name])
        return connection

    async def ask(self, connection, text):
        """What the app answers to one who listens to nothing else."""
        events = self.seen[connection.name]
        count = len(events)
        await connection.send(text)
        await until(lambda: len(events) > count)
        return json.loads(events[-1].data)

    async def ask_until(self, connection, text, ready):
        async with asyncio.timeout(PATIENCE):
            while not ready(answer := await self.ask(connection, text)):
                await asyncio.sleep(0.01)
        return answer

    async def end_of(self, name):
        return await self.ask_until(await self.open("asking"), f"end {name}", lambda end: end is not None)


@pytest.fixture(params=["in-process", "wire", "link in-process", "link wire"])
async def world(request):
    url = request.getfixturevalue("url") if request.param.endswith("wire") else ""
    world = World(request.param, url)
    yield world
    if isinstance(world.server, WireServer):
        await world.server.stop()
    assert world.errors == []


async def test_the_first_event_is_the_answer(world):
    await world.open("first", subprotocols=("chat.v1", "chat.v2"))
    (accepted,) = world.seen["first"]
    assert isinstance(accepted, Accepted)
    assert accepted.subprotocol == "chat.v2"
    assert dict(accepted.headers)["x-served"] == "yes"


async def test_a_rejection_is_the_only_event(world):
    await world.open("denied", "/deny")
    connection = await world.open("explained", "/explain")
    await connection.send("goes nowhere")
    await asyncio.sleep(0.05)
    (denied,), (explained,) = world.seen["denied"], world.seen["explained"]
    assert (denied.status, denied.body) == (403, b"")
    assert (explained.status, explained.body) == (401, b"who's you")
    assert isinstance(explained, Rejected)
    assert dict(explained.headers)["x-why"] == "no token"


async def test_an_app_that_fails_in_the_handshake_is_a_500(world):
    await world.open("failing", "/fail")
    (event,) = world.seen["failing"]
    assert (type(event), event.status) == (Rejected, 500)


async def test_the_request_arrives_as_it_was_made(world):
    connection = await world.open(
        "asks", "/a%20b/%C3%A9", query=b"q=1&q=%2B", headers=((b"x-token", b"s3"), (b"x-token", b"t4"))
    )
    told = await world.ask(connection, "request")
    assert (told["path"], told["query"]) == ("/a b/é", "q=1&q=%2B")
    assert [value for key, value in told["headers"] if key == "x-token"] == ["s3", "t4"]
    assert [value for key, value in told["headers"] if key == "sec-websocket-extensions"] == []


async def test_messages_arrive_whole_and_in_order(world):
    connection = await world.open("echo")
    sent = ["", "é", b"", b"\x00\xff", "x" * 300_000, b"y" * 300_000, *map(str, range(50))]
    for data in sent:
        await connection.send(data)
    await until(lambda: len(world.seen["echo"]) > len(sent))
    assert [event.data for event in world.seen["echo"][1:]] == sent


async def test_the_servers_close_comes_last_with_its_code_and_reason(world):
    connection = await world.open("closed")
    await connection.send("before")
    await connection.send("close 4001 bye é")
    await until(lambda: Closed(4001, "bye é") in world.seen["closed"])
    await connection.send("goes nowhere")
    await connection.close()
    await connection.drop()
    await connection.drop(reset=True)
    await asyncio.sleep(0.05)
    assert world.seen["closed"][1:] == [Message("before"), Closed(4001, "bye é")]


async def test_an_end_without_a_close_frame_is_lost(world):
    connection = await world.open("abandoned")
    await connection.send("return")
    await until(lambda: world.seen["abandoned"][1:])
    assert world.seen["abandoned"][1:] == [Lost()]


@pytest.mark.parametrize(
    ("code", "reason", "told"),
    [(1000, "", [1000, ""]), (4999, "é" * 61, [4999, "é" * 61]), (None, "", [1005, ""])],
    ids=["1000", "4999", "none"],
)
async def test_a_close_reaches_the_app_and_is_echoed(world, code, reason, told):
    connection = await world.open(f"leaving{code}")
    await world.ask(connection, '"before"')
    await connection.close(code, reason)
    assert await world.end_of(f"leaving{code}") == told
    await until(lambda: isinstance(world.seen[f"leaving{code}"][-1], Closed))
    assert world.seen[f"leaving{code}"][-1].code == told[0]


@pytest.mark.parametrize("reset", [False, True], ids=["fin", "rst"])
async def test_a_drop_reaches_the_app_and_nothing_follows(world, reset, monkeypatch):
    monkeypatch.setattr(wire, "CLOSE_LIMIT", 1000)  # it is not a time-out that ends it
    name = f"dropping{reset}"
    connection = await world.open(name)
    await world.ask(connection, '"before"')
    await connection.drop(reset=reset)
    assert await world.end_of(name) == [1005, ""]  # what uvicorn makes of it
    assert world.seen[name][1:] == [Message('"before"')]


async def test_a_client_that_leaves_before_the_answer_sees_nothing(world):
    connection = world.begin("impatient", "/silent")
    await asyncio.sleep(0.05)
    await connection.drop()
    await asyncio.sleep(0.05)
    assert world.seen["impatient"] == []


async def test_only_the_answer_arrives_while_the_client_is_stalled(world):
    connection = world.begin("sleeper")
    connection.stall()
    await until(lambda: world.seen["sleeper"])
    await connection.send("flood 1")
    await world.ask_until(await world.open("asking"), "sent sleeper", lambda sent: sent == 1)
    assert [type(event) for event in world.seen["sleeper"]] == [Accepted]
    connection.resume()
    await until(lambda: len(world.seen["sleeper"]) == 2)
    connection = world.begin("sleeper denied", "/deny")
    connection.stall()
    await until(lambda: world.seen["sleeper denied"])


async def test_a_client_may_stall_at_a_message(world):
    connection = await world.open("abrupt")
    events = world.seen["abrupt"]

    class Stalling(list):
        def append(self, event):
            events.append(event)
            connection.stall()

    connection.on_event = Stalling().append
    await connection.send("flood 8")
    await world.ask_until(await world.open("asking"), "sent abrupt", lambda sent: sent == 8)
    assert len(events) == 2
    connection.on_event = events.append
    connection.resume()
    await until(lambda: len(events) == 9)


async def test_a_stalled_client_answers_no_close_frame(world):
    connection = await world.open("deaf")
    connection.stall()
    await connection.send("close 4000 over")
    asking = await world.open("asking")
    for _ in range(20):
        await world.ask(asking, "sent deaf")
    assert len(world.seen["deaf"]) == 1
    if isinstance(connection, WireConnection):
        assert not connection.ended
    connection.resume()
    await until(lambda: world.seen["deaf"][-1] == Closed(4000, "over"))


async def test_silence_is_the_apps_fault_unless_there_may_be_no_server(world):
    connection = world.begin("waiting", "/silent")
    expected = UnreachableError if isinstance(connection, WireConnection) else type(None)
    assert isinstance(connection.silence(1.0), expected)
    await world.open("answered")
    assert connection.silence(1.0) is None
    await connection.close()


async def test_a_stalled_client_makes_the_server_wait_until_it_goes_on(world):
    slow = await world.open("slow")
    asking = await world.open("asking")
    slow.stall()
    slow.stall()
    await slow.send(f"flood {CHUNKS}")
    reached = await blocked(world, asking)
    assert 0 < reached < CHUNKS
    assert len(world.seen["slow"]) == 1
    slow.resume()
    slow.resume()
    await until(lambda: len(world.seen["slow"]) == CHUNKS + 1)
    assert await world.ask_until(asking, "sent slow", lambda sent: sent == CHUNKS)


async def blocked(world, asking):
    """How many messages the app had sent when its send blocked: the count stands still."""
    counts = [-1]
    async with asyncio.timeout(PATIENCE):
        while not counts[-1] or len(set(counts[-20:])) > 1 or len(counts) < 20:
            counts.append(await world.ask(asking, "sent slow"))
            await asyncio.sleep(0.01)
    return counts[-1]


async def test_a_stalled_client_can_leave(world):
    slow = await world.open("leaver")
    slow.stall()
    await slow.send("flood 1")
    await world.ask_until(await world.open("asking"), "sent leaver", lambda sent: sent == 1)
    await slow.drop(reset=True)
    assert await world.end_of("leaver") == [1005, ""]
    slow.resume()
    assert len(world.seen["leaver"]) == 1


async def test_the_transcript_says_what_the_client_did_and_saw(world):
    connection = await world.open("told")
    await world.ask(connection, '"hi"')
    connection.stall()
    connection.resume()
    await connection.close(1000, "done")
    await until(lambda: isinstance(world.seen["told"][-1], Closed))
    records = [
        f"{record.direction.value} {type(record.event).__name__}"
        for record in world.transcript.of("told")
        if record.direction in (Direction.CLIENT, Direction.SERVER)
    ]
    assert records == [
        "client Connect",
        "server Accepted",
        "client Sent",
        "server Message",
        "client Reading",
        "client Reading",
        "client Leave",
        "server Closed",
    ]
    assert json.loads(world.transcript.to_ndjson().splitlines()[0])["event"]["path"] == "/told"

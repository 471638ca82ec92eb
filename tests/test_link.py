import asyncio
import dataclasses
import math

import pytest

from wsharness.connection import Connection
from wsharness.errors import UsageError
from wsharness.events import Accepted, Closed, Lost, Message, Rejected
from wsharness.harness import Harness
from wsharness.link import KEEPALIVE, WINDOW, Faults, Link
from wsharness.request import Request
from wsharness.runner import run


class Far(Connection):
    """A far end that notes what arrives and when."""

    def __init__(self, on_event):
        super().__init__("far", on_event)
        self.got = []
        self.suspend = False

    def note(self, *what):
        self.got.append((round(asyncio.get_running_loop().time(), 6), *what))

    async def send(self, data):
        if self.suspend:
            await asyncio.sleep(1 / (1 + int(data)))
        self.note(data)

    async def close(self, code=1000, reason=""):
        self.note("close", code, reason)

    async def drop(self, *, reset=False):
        self.note("drop", reset)

    def stall(self):
        self.note("stall")

    def resume(self):
        self.note("resume")


class World:
    def __init__(self, faults=None, seed=0, accepted=True):
        self.seen = []
        self.link = Link("alice", self.on_event, Far, faults, seed=seed)
        self.far = self.link.inner
        self.say = self.far.on_event
        if accepted:
            self.say(Accepted())

    def on_event(self, event):
        self.seen.append((round(asyncio.get_running_loop().time(), 6), event))

    def texts(self):
        return [(when, event.data) for when, event in self.seen if isinstance(event, Message)]


def simulated(drive, faults=None, **options):
    async def main():
        world = World(faults, **options)
        await drive(world)
        return world

    return run(main)


async def talk(world):
    for number in range(5):
        await world.link.send(f"up{number}")
        world.say(Message(f"down{number}"))
    await asyncio.sleep(100)


def test_a_link_without_faults_delivers_at_once():
    async def drive(world):
        await world.link.send("a")
        world.say(Message("b"))
        assert world.far.got == [(0, "a")]
        assert world.seen == [(0, Accepted()), (0, Message("b"))]
        await world.link.close(1001, "bye")
        assert world.far.got[-1] == (0, "close", 1001, "bye")

    simulated(drive)


def test_latency_delays_both_ways_and_the_handshake_twice():
    world = simulated(talk, Faults(latency=0.25))
    assert world.far.got == [(0.25, f"up{number}") for number in range(5)]
    assert world.seen[0] == (0.5, Accepted())
    assert [data for _, data in world.texts()] == [f"down{number}" for number in range(5)]


def test_jitter_varies_the_delay_but_never_the_order():
    async def drive(world):
        await asyncio.sleep(5)
        for number in range(30):
            await world.link.send(str(number))
            world.say(Message(str(number)))
            await asyncio.sleep(0.01)
        await asyncio.sleep(5)

    worlds = [simulated(drive, Faults(latency=0.1, jitter=0.1), seed=seed) for seed in range(5)]
    for world in worlds:
        assert [data for _, data in world.far.got] == [str(number) for number in range(30)]
        assert [data for _, data in world.texts()] == [str(number) for number in range(30)]
        delays = [when - 5 - 0.01 * int(data) for when, data in world.texts()]
        assert -1e-6 <= min(delays) < max(delays) < 0.2 + 1e-6
    assert len({tuple(world.far.got) for world in worlds}) == 5


def test_the_same_seed_gives_the_same_delays():
    faults = Faults(latency=0.1, jitter=0.1)
    one, two = (simulated(talk, faults, seed=3) for _ in range(2))
    assert (one.seen, one.far.got) == (two.seen, two.far.got)


def test_bandwidth_takes_time_for_bytes():
    async def drive(world):
        for _ in range(3):
            await world.link.send(b"x" * 100)
            world.say(Message("ä" * 50))
        await asyncio.sleep(10)

    world = simulated(drive, Faults(bandwidth=100))
    assert [when for when, _ in world.far.got] == [1, 2, 3]
    assert [when for when, _ in world.texts()] == [1, 2, 3]


def test_a_narrow_link_makes_the_server_wait_and_lets_it_go_on():
    async def drive(world):
        for _ in range(3):
            world.say(Message(b"x" * (WINDOW // 2)))
        assert world.far.got == [(0, "stall")] or world.far.got == []
        world.say(Message(b"x"))
        await asyncio.sleep(WINDOW)

    world = simulated(drive, Faults(bandwidth=1000))
    assert [what for _, what in world.far.got] == ["stall", "resume"]
    assert len(world.texts()) == 4


def test_a_stalled_client_sees_nothing_until_it_resumes():
    async def drive(world):
        world.say(Message("before"))
        world.link.stall()
        await asyncio.sleep(5)
        assert world.texts() == []
        world.link.resume()
        await asyncio.sleep(5)

    world = simulated(drive, Faults(latency=1))
    assert world.texts() == [(5, "before")]
    assert [what for _, what in world.far.got] == ["stall", "resume"]


def test_the_fault_stall_begins_after_the_handshake_and_ends_in_mid_run():
    async def drive(world):
        await asyncio.sleep(1)
        world.say(Message("late"))
        await world.link.send("up")
        await asyncio.sleep(1)
        assert world.seen == [(0, Accepted())]
        world.link.change(stall=False)
        await asyncio.sleep(1)

    world = simulated(drive, Faults(stall=True))
    assert world.texts() == [(2, "late")]
    assert world.far.got == [(0, "stall"), (1, "up"), (2, "resume")]


def test_a_reset_reaches_both_ends_and_loses_what_is_on_its_way():
    async def drive(world):
        await asyncio.sleep(2.5)
        await world.link.send("lost")
        world.say(Message("lost"))
        await asyncio.sleep(50)
        world.say(Message("late"))

    world = simulated(drive, Faults(latency=1, reset_peer=1))
    assert world.seen == [(2, Accepted()), (3, Lost())]
    assert world.far.got == [(4, "drop", True)]


def test_a_reset_planned_in_mid_run_can_be_called_off():
    async def drive(world):
        world.link.change(reset_peer=10)
        await asyncio.sleep(5)
        world.link.change(reset_peer=None)
        await asyncio.sleep(20)
        world.link.change(reset_peer=0)
        await asyncio.sleep(1)

    assert simulated(drive).seen == [(0, Accepted()), (25, Lost())]


def test_limit_data_loses_the_connection_after_so_many_bytes():
    async def drive(world):
        for _ in range(4):
            await world.link.send("1234")
        await asyncio.sleep(1)

    world = simulated(drive, Faults(limit_data=10))
    assert world.far.got == [(0, "1234"), (0, "1234"), (0, "drop", False)]
    assert world.seen == [(0, Accepted()), (0, Lost())]

    async def hear(world):
        for _ in range(4):
            world.say(Message("1234"))
        await asyncio.sleep(1)

    world = simulated(hear, Faults(limit_data=10))
    assert world.texts() == [(0, "1234"), (0, "1234")]
    assert world.far.got == [(0, "drop", False)]


@pytest.mark.parametrize("verb", ["close", "drop"])
def test_half_open_the_end_never_arrives_until_the_server_pings(verb):
    async def drive(world):
        await world.link.send("last")
        await getattr(world.link, verb)()
        await asyncio.sleep(KEEPALIVE - 1)
        assert world.far.got == [(0, "last")]
        await asyncio.sleep(100)

    world = simulated(drive, Faults(half_open=True))
    assert world.far.got == [(0, "last"), (KEEPALIVE, "drop", False)]


@pytest.mark.parametrize("end", [Closed(1001, "bye"), Lost()], ids=["closed", "lost"])
def test_half_open_the_client_does_not_learn_of_the_servers_end(end):
    async def drive(world):
        world.say(end)
        await asyncio.sleep(100)

    assert simulated(drive, Faults(half_open=True)).seen == [(0, Accepted())]


def test_a_healed_link_lets_the_end_through():
    async def drive(world):
        await world.link.close(1001, "x")
        await asyncio.sleep(5)
        world.link.heal()
        await asyncio.sleep(100)

    assert simulated(drive, Faults(half_open=True)).far.got == [(5, "close", 1001, "x")]


def test_slow_close_delays_the_end_only():
    async def drive(world):
        world.say(Message("m"))
        world.say(Closed(1000))
        await world.link.send("m")
        await world.link.close()
        await asyncio.sleep(10)

    world = simulated(drive, Faults(slow_close=3))
    assert world.seen[1:] == [(0, Message("m")), (3, Closed(1000))]
    assert world.far.got == [(0, "m"), (3, "close", 1000, "")]


def test_after_its_own_drop_the_client_sees_nothing():
    async def drive(world):
        world.say(Message("on its way"))
        await asyncio.sleep(0.5)
        await world.link.drop(reset=True)
        world.say(Message("later"))
        await asyncio.sleep(10)

    world = simulated(drive, Faults(latency=1, reset_peer=4))
    assert world.texts() == []
    assert world.far.got == [(1.5, "drop", True)]


def test_nothing_follows_the_end():
    async def drive(world):
        world.say(Closed())
        world.say(Message("late"))
        await asyncio.sleep(10)

    assert [event for _, event in simulated(drive, Faults(latency=1)).seen] == [Accepted(), Closed()]


def test_a_rejection_passes():
    async def drive(world):
        world.say(Rejected(403))
        await asyncio.sleep(10)

    assert simulated(drive, Faults(latency=1), accepted=False).seen == [(2, Rejected(403))]


def test_faults_may_change_in_mid_run_and_the_order_stays():
    async def drive(world):
        await world.link.send("slow")
        world.link.faults = Faults(latency=0.1)
        await world.link.send("fast")
        await asyncio.sleep(10)
        await world.link.send("faster")
        await asyncio.sleep(10)

    assert simulated(drive, Faults(latency=5)).far.got == [(5, "slow"), (5, "fast"), (10.1, "faster")]


def test_a_far_end_that_takes_its_time_keeps_the_order():
    async def drive(world):
        world.far.suspend = True
        await asyncio.gather(*(world.link.send(str(number)) for number in range(4)))
        await asyncio.sleep(10)

    for faults in (None, Faults(latency=0.1)):
        assert [what for _, what in simulated(drive, faults).far.got] == list("0123")


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        ({"latency": -1}, "expected latency to be a number of seconds, 0 or more; got -1"),
        ({"latency": None}, "got None"),
        ({"jitter": math.nan}, "got nan"),
        ({"latency": "20ms"}, "got '20ms'"),
        ({"slow_close": math.inf}, "got inf"),
        ({"bandwidth": 0}, "expected bandwidth to be a number of bytes a second, 1 or more; got 0"),
        ({"limit_data": True}, "expected limit_data to be a number of bytes"),
        ({"stall": 1}, "expected stall to be True or False; got 1"),
        ({"half_open": "yes"}, "expected half_open to be True or False"),
    ],
    ids=lambda value: str(value),
)
def test_bad_faults_are_one_clear_error(faults, text):
    with pytest.raises(UsageError, match=text):
        Faults(**faults)


def test_faults_are_frozen_data():
    faults = Faults(latency=1)
    assert dataclasses.replace(faults, jitter=0.5) == Faults(latency=1, jitter=0.5)
    with pytest.raises(dataclasses.FrozenInstanceError):
        faults.latency = 2


async def echo(scope, receive, send):
    while True:
        event = await receive()
        if event["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        elif event["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": event["text"]})
        else:
            return


def test_a_link_in_front_of_a_simulated_server():
    async def main():
        async with Harness(echo, lifespan="off", timeout=60) as ws:
            client = await ws.connect("/", link=Faults(latency=2))
            opened = ws.runtime.time()
            await client.send("hello")
            assert await client.expect() == "hello"
            return opened, ws.runtime.time()

    assert run(main) == (4.0, 8.0)


def test_a_link_works_on_trio():
    trio = pytest.importorskip("trio")
    testing = pytest.importorskip("trio.testing")

    async def main():
        seen = []
        link = Link("alice", seen.append, lambda on_event: TrioFar("far", on_event), Faults(latency=3))
        link.inner.on_event(Message("down"))
        await link.send("up")
        before = trio.current_time()
        await trio.sleep(10)
        return seen, [round(when - before, 3) for when in link.inner.got]

    class TrioFar(Far):
        got = ()

        def __init__(self, name, on_event):
            Connection.__init__(self, name, on_event)
            self.got = []

        async def send(self, data):
            self.got.append(trio.current_time())

    assert trio.run(main, clock=testing.MockClock(autojump_threshold=0)) == ([Message("down")], [3.0])


def test_a_client_brings_its_link_along():
    async def main():
        async with Harness(echo, lifespan="off", timeout=60) as ws:
            slow = await ws.connect("/", link=Faults(latency=2))
            await slow.send("hello")
            assert await slow.expect() == "hello"
            times = [ws.runtime.time()]
            near, far = await ws.connect("/"), (await ws.connect_many(2, "/", link={"latency": 1}))[1]
            times.append(ws.runtime.time())
            await slow.reconnect(link={"latency": 3})
            times.append(ws.runtime.time())
            await slow.reconnect()
            return times, ws.runtime.time(), near.link, far.link, slow.link

    times, end, *links = run(main)
    assert (times, end) == ([8.0, 10.0, 16.0], 22.0)
    assert links == [Faults(), Faults(latency=1), Faults(latency=3)]


def test_a_link_changes_in_mid_run():
    async def main():
        times = []
        async with Harness(echo, lifespan="off", timeout=60) as ws:
            client, other = await ws.connect("/"), await ws.connect("/")

            async def round_trip(one=client):
                before = ws.runtime.time()
                await one.send("x")
                await one.expect("x")
                times.append(ws.runtime.time() - before)

            await round_trip()
            client.link = Faults(latency=1)
            await round_trip()
            await round_trip(other)
            client.link = {"latency": 2}
            await round_trip()
            client.link = Faults()
            await round_trip()
            client.link = Faults(reset_peer=5)
            await client.expect_close(1006)
            client.link = Faults(latency=1)
            await client.reconnect()
            await round_trip()
        return times

    assert run(main) == [0, 2, 0, 4, 0, 2]


def test_a_link_put_in_while_the_client_reads_slowly_or_waits():
    async def main():
        async with Harness(echo, lifespan="off", timeout=60) as ws:
            client = await ws.connect("/")
            client.stall()
            await client.send("x")
            client.link = Faults(latency=1)
            client.resume()
            await client.expect("x")
            client.link = Faults(stall=True)
            await client.send("y")
            await client.expect_none(5)
            client.link = Faults()
            await client.expect("y")
            waiting = ws.new_client("waiting", Request("/"))
            waiting.begin()
            waiting.link = Faults(latency=1)
            before = ws.runtime.time()
            await waiting.opened()
            await client.close()
            client.link = Faults(latency=1)  # does nothing, to nothing
            return ws.runtime.time() - before

    assert run(main) == 2


@pytest.mark.parametrize("faults", [Faults(bandwidth=1000), Faults(latency=500), Faults(half_open=True)])
def test_no_handler_is_blamed_for_an_end_that_was_still_on_its_way(faults):
    async def main():
        async with Harness(echo, lifespan="off", timeout=1000, grace=5) as ws:
            client = await ws.connect("/", link=faults)
            await client.send("x" * 100_000)
        return [record.event.kind for record in ws.transcript.facts()]

    assert run(main) == []


def test_half_open_heals_in_mid_run():
    async def main():
        async with Harness(echo, lifespan="off", timeout=60) as ws:
            client = await ws.connect("/", link=Faults(half_open=True))
            await client.close()
            await asyncio.sleep(5)
            ended = [record for record in ws.transcript if "disconnect" in str(record.event)]
            client.link = Faults()
            await asyncio.sleep(1)
            return len(ended), sum("websocket.disconnect" in str(record.event) for record in ws.transcript)

    assert run(main) == (0, 1)


def test_what_a_run_says_of_a_link_comes_first():
    async def main():
        async with Harness(echo, lifespan="off", timeout=60) as ws:
            ws.set_faults({"alice": Faults(latency=1)})
            alice = await ws.connect("/", name="alice", link=Faults(latency=9))
            assert (alice.link, ws.runtime.time()) == (Faults(latency=1), 2)
            alice.link = Faults(latency=3)
            await alice.reconnect()
            return ws.runtime.time()

    assert run(main) == pytest.approx(8, abs=4)


@pytest.mark.parametrize(
    ("link", "words"),
    [({"latncy": 1}, "unknown fault 'latncy'; did you mean 'latency'?"), (7, "expected faults such as")],
)
def test_a_link_that_cannot_be(link, words):
    async def main():
        async with Harness(echo, lifespan="off") as ws:
            with pytest.raises(UsageError) as error:
                await ws.connect("/", link=link)
            assert words in str(error.value)
            client = await ws.connect("/")
            with pytest.raises(UsageError):
                client.link = link

    run(main)

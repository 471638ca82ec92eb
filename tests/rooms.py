"""Rooms in which what one client says is passed on to the others, soundly or not."""

import asyncio
import itertools
import json
import os
import time
import uuid

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocketDisconnect


class Room:
    """Passes every text on to everybody, in order."""

    def __init__(self):
        self.members = []

    def app(self):
        return Starlette(routes=[WebSocketRoute("/ws", self.serve)])

    async def serve(self, websocket):
        await websocket.accept()
        await self.enter(websocket)
        try:
            while True:
                await self.hear(websocket, await websocket.receive_text())
        except WebSocketDisconnect:
            pass
        finally:
            self.leave(websocket)

    async def enter(self, websocket):
        self.members.append(websocket)

    def leave(self, websocket):
        self.members.remove(websocket)

    async def hear(self, websocket, text):
        for member in list(self.members):
            await self.deliver(member, text)

    async def deliver(self, member, text):
        try:
            await member.send_text(text)
        except (WebSocketDisconnect, RuntimeError, OSError):
            return False
        return True


# Sound: what differs between orders follows from the order


class Numbered(Room):
    """Each message has a number, an id and a time."""

    def __init__(self):
        super().__init__()
        self.numbers = itertools.count(471_001)

    async def hear(self, websocket, text):
        message = {"n": next(self.numbers), "id": str(uuid.uuid4()), "at": time.time(), "text": text}
        await super().hear(websocket, json.dumps(message))


class Host(Room):
    """Who came first is the host, and only the host is heard."""

    async def hear(self, websocket, text):
        if websocket is self.members[0]:
            await super().hear(websocket, text)


class Slow(Room):
    """It takes a while to come in."""

    async def enter(self, websocket):
        await asyncio.sleep(0.1)
        await super().enter(websocket)


class Turns(Room):
    """Nobody speaks twice in a row."""

    last = None

    async def hear(self, websocket, text):
        if self.last is not websocket:
            self.last = websocket
            await asyncio.sleep(0)
            await super().hear(websocket, text)


class Pairs(Room):
    """Every two who come are a pair, and hear only each other."""

    def __init__(self):
        super().__init__()
        self.partner = {}
        self.waiting = None

    async def enter(self, websocket):
        await asyncio.sleep(0)
        self.members.append(websocket)
        if self.waiting is None:
            self.waiting = websocket
            return
        self.partner |= {websocket: self.waiting, self.waiting: websocket}
        self.waiting = None

    async def hear(self, websocket, text):
        if websocket in self.partner:
            await self.deliver(self.partner[websocket], text)

    def leave(self, websocket):
        super().leave(websocket)
        if self.waiting is websocket:
            self.waiting = None
        self.partner.pop(self.partner.pop(websocket, None), None)


class Closing(Room):
    """When one leaves, nobody is heard any more."""

    closed = False

    def leave(self, websocket):
        super().leave(websocket)
        self.closed = True

    async def hear(self, websocket, text):
        await asyncio.sleep(0)
        if not self.closed:
            await super().hear(websocket, text)


class Board(Room):
    """Everybody sees everything that was ever said, each time somebody speaks."""

    def __init__(self):
        super().__init__()
        self.said = []

    async def hear(self, websocket, text):
        self.said.append(text)
        await asyncio.sleep(0)
        await super().hear(websocket, json.dumps(self.said))


class Latest(Room):
    """What was said last is shown, fifty times a second."""

    def __init__(self):
        super().__init__()
        self.text = None

    async def hear(self, websocket, text):
        if self.text is None:
            asyncio.get_running_loop().create_task(self.tick())
        self.text = text

    async def tick(self):
        await asyncio.sleep(0.02)
        text, self.text = self.text, None
        await super().hear(None, text)


class Limited(Room):
    """One message a second, of all together."""

    until = 0.0

    async def hear(self, websocket, text):
        await asyncio.sleep(0)
        if time.time() >= self.until:
            self.until = time.time() + 0.9
            await super().hear(websocket, text)


class Queued(Room):
    """A queue and a task for each member, in a set that has no order."""

    def __init__(self):
        super().__init__()
        self.queues = set()

    async def serve(self, websocket):
        queue = Queue()
        self.queues.add(queue)
        writer = asyncio.create_task(self.write(queue, websocket))
        try:
            await super().serve(websocket)
        finally:
            self.queues.discard(queue)
            writer.cancel()
            await asyncio.wait([writer])

    async def write(self, queue, websocket):
        while True:
            await self.deliver(websocket, await queue.texts.get())

    async def hear(self, websocket, text):
        for queue in self.queues:
            queue.texts.put_nowait(text)


class Queue:
    """What waits for a member."""

    def __init__(self):
        self.texts = asyncio.Queue()


class History(Room):
    """Who comes is told what was said."""

    def __init__(self):
        super().__init__()
        self.said = []

    async def enter(self, websocket):
        said = list(self.said)
        self.members.append(websocket)
        for text in said:
            await self.deliver(websocket, text)

    async def hear(self, websocket, text):
        self.said.append(text)
        await super().hear(websocket, text)


SOUND = (Room, Numbered, Host, Slow, Turns, Pairs, Closing, Board, Latest, Limited, Queued, History)


# Not sound


class Hasty(Room):
    """A task for each message: nothing keeps their order."""

    async def hear(self, websocket, text):
        for member in list(self.members):
            asyncio.create_task(self.deliver(member, text))  # noqa: RUF006


class Shared(Room):
    """What is passed on is looked up after a wait, in a place that all share."""

    text = ""

    async def hear(self, websocket, text):
        self.text = text
        await asyncio.sleep(0)
        await super().hear(websocket, self.text)


class Skipping(Room):
    """Whoever has gone is struck off the list that is being gone through."""

    async def hear(self, websocket, text):
        for member in self.members:
            if not await self.deliver(member, text):
                self.leave(member)

    def leave(self, websocket):
        if websocket in self.members:
            self.members.remove(websocket)


class LateHistory(History):
    """What is said between the look at the history and the entry into the list is never heard."""

    async def enter(self, websocket):
        for text in list(self.said):
            await self.deliver(websocket, text)
        await asyncio.sleep(0)
        self.members.append(websocket)


class EarlyHistory(History):
    """What is said between the entry into the list and the look at the history is heard twice."""

    async def enter(self, websocket):
        self.members.append(websocket)
        await asyncio.sleep(0)
        for text in list(self.said):
            await self.deliver(websocket, text)


RACING = {Hasty: "reordered", Shared: "lost", Skipping: "lost", LateHistory: "lost", EarlyHistory: "doubled"}


# Different from run to run


class Timed(Room):
    """Says how long it took, by a clock that no simulation moves."""

    async def hear(self, websocket, text):
        await super().hear(websocket, json.dumps({"text": text, "took": time.perf_counter()}))


class Process(Room):
    """Says in which process it runs."""

    async def hear(self, websocket, text):
        await super().hear(websocket, f"{os.getpid()}: {text}")

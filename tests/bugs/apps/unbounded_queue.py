"""A feed that queues everything for a reader, however slowly it reads."""

import asyncio

from tests.bugs.messages import bare, incoming, number_of, opened, say

TITLE = "the queue of a reader who does not read grows without a limit"
EXPECTS = ("WSH108",)
FUNCTION = "publish"
PATH = "/ws"
HELLO = [{"type": "publish", "number": n} for n in range(3)]
INVARIANT = None
ARTICLE = "word " * 4_000


class Reader:
    def __init__(self, send):
        self.send = send
        self.queue = asyncio.Queue()

    async def write(self):
        while await say(self.send, await self.queue.get()):
            pass


class Feed:
    limit = None

    def __init__(self):
        self.readers = set()

    def publish(self, number):
        for reader in self.readers:
            if self.limit is None or reader.queue.qsize() < self.limit:
                reader.queue.put_nowait({"type": "article", "number": number, "text": ARTICLE})


class LimitedFeed(Feed):
    limit = 5


def make(feed):
    async def read(scope, receive, send):
        if not await opened(receive, send):
            return
        reader = Reader(send)
        writer = asyncio.create_task(reader.write())
        feed.readers.add(reader)
        try:
            async for message in incoming(receive):
                feed.publish(number_of(message, "number", 0))
        finally:
            feed.readers.discard(reader)
            writer.cancel()
            await asyncio.wait([writer])

    return bare(read, feed)


def broken():
    return make(Feed())


def correct():
    return make(LimitedFeed())


async def demonstrate(drive):
    slow = await drive.connect(PATH)
    ann = await drive.connect(PATH)
    await ann.send(HELLO[0])
    assert slow.types() == ann.types() == ["article"]
    slow.stall()
    for number in range(50):
        await ann.send({"number": number})
    assert len(ann.sent) == 51
    return max(reader.queue.qsize() for reader in drive.app.state.readers) > 40

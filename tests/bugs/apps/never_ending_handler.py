"""A matchmaker whose players wait for an opponent without looking up."""

import asyncio

from tests.bugs.messages import bare, incoming, opened, say

TITLE = "a player who leaves while waiting is waited for ever"
EXPECTS = ("WSH102", "WSH105")
FUNCTION = "wait"
PATH = "/ws"
HELLO = [{"type": "move", "to": "e4"}]
INVARIANT = None


class Match:
    def __init__(self):
        self.full = asyncio.Event()


class Table:
    def __init__(self):
        self.waiting = None

    def sit(self):
        match, self.waiting = self.waiting, None
        if match is None:
            match = self.waiting = Match()
        else:
            match.full.set()
        return match

    async def wait(self, match, receive):
        await match.full.wait()
        return True


class WatchfulTable(Table):
    async def wait(self, match, receive):
        left = asyncio.ensure_future(self.leaves(receive))
        full = asyncio.ensure_future(match.full.wait())
        await asyncio.wait([left, full], return_when=asyncio.FIRST_COMPLETED)
        gone = left.done()
        for task in (left, full):
            task.cancel()
        await asyncio.wait([left, full])
        if not match.full.is_set():
            self.waiting = None
        return not gone

    async def leaves(self, receive):
        async for _ in incoming(receive):
            pass


def make(table):
    async def play(scope, receive, send):
        if not await opened(receive, send):
            return
        if not await table.wait(table.sit(), receive):
            return
        await say(send, {"type": "begin"})
        async for _ in incoming(receive):
            await say(send, {"type": "moved"})

    return bare(play)


def broken():
    return make(Table())


def correct():
    return make(WatchfulTable())


async def demonstrate(drive):
    ann = await drive.connect(PATH)
    bob = await drive.connect(PATH)
    assert ann.types() == bob.types() == ["begin"]
    cyd = await drive.connect(PATH)
    await cyd.leave(1006, seconds=3600)
    return not cyd.ended

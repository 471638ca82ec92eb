"""A help line that keeps each caller's words for the statistics."""

import itertools

from tests.bugs.messages import bare, incoming, opened, say, text_of

TITLE = "something is kept of every connection, for ever"
EXPECTS = ("WSH111",)
FUNCTION = None
PATH = "/ws"
HELLO = [{"type": "say", "text": "help"}]
INVARIANT = None


class Transcript:
    def __init__(self, number):
        self.number = number
        self.words = []

    def note(self, text):
        self.words.append(text[:100])
        del self.words[:-10]


class Line:
    def __init__(self):
        self.numbers = itertools.count(1)
        self.transcripts = {}

    def begin(self):
        transcript = Transcript(next(self.numbers))
        self.transcripts[transcript.number] = transcript
        return transcript

    def end(self, transcript):
        """Kept for the statistics."""


class ForgetfulLine(Line):
    def end(self, transcript):
        del self.transcripts[transcript.number]


def make(line):
    async def call(scope, receive, send):
        if not await opened(receive, send):
            return
        transcript = line.begin()
        try:
            async for message in incoming(receive):
                transcript.note(text_of(message, "text", "?"))
                await say(send, {"type": "noted", "words": len(transcript.words)})
        finally:
            line.end(transcript)

    return bare(call, line)


def broken():
    return make(Line())


def correct():
    return make(ForgetfulLine())


async def demonstrate(drive):
    for _ in range(5):
        ann = await drive.connect(PATH)
        await ann.send(HELLO[0])
        await ann.leave()
        assert ann.ended
    return len(drive.app.state.transcripts) == 5

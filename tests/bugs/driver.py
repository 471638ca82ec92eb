"""A server and its clients by hand, in virtual time: independent of what is being tested with these apps.

It does what uvicorn does: receive yields the disconnect, then 1005 once more, then nothing; a send after the
client left is an OSError; after the app's own close a RuntimeError.
"""

import asyncio
import gc
import json
import logging
import selectors
import sys
from urllib.parse import urlsplit

FAILED = {1011, 3500, 4500}
"""What Falcon and Litestar close with after an exception, which they do not let out but log."""
LEGAL = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
HIGH_WATER = 65_536
PATIENCE = 200_000


class BusyLoop(BaseException):
    """A step of the loop that does not end."""


class VirtualSelector(selectors.SelectSelector):
    """Jumps to the next timer instead of waiting, and counts the calls of one step."""

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.calls = 0
        self.counting = True
        self.jobs = 0

    def select(self, timeout=None):
        self.calls = 0
        if self.counting:
            sys.setprofile(self.count)  # again each time: Python takes it away when it raises
        if self.jobs:
            return super().select(timeout if timeout == 0 else None)
        if timeout is None:
            raise RuntimeError("nothing will ever happen again")
        self.now += max(timeout, 0)
        return super().select(0)

    def count(self, frame, event, arg):
        self.calls += event == "call"
        if self.calls > PATIENCE:
            self.calls = 0
            raise BusyLoop


class VirtualLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on the selector's clock."""

    def __init__(self):
        self.clock = VirtualSelector()
        super().__init__(self.clock)

    def time(self):
        return self.clock.now

    def run_in_executor(self, executor, function, *args):
        """Time stands still while a thread is at work."""
        job = super().run_in_executor(executor, function, *args)
        self.clock.jobs += 1
        job.add_done_callback(self._job_done)
        return job

    def _job_done(self, job):
        self.clock.jobs -= 1


class Peer:
    """One client's connection, as the server sees it."""

    def __init__(self, path, subprotocols, headers):
        url = urlsplit(path)
        self.scope = {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": url.path,
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(b"host", b"testserver"), *headers],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 80),
            "subprotocols": list(subprotocols),
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }
        self.events = asyncio.Queue()
        self.events.put_nowait({"type": "websocket.connect"})
        self.sent = []
        self.illegal = []
        self.accepted = self.closed = self.status = self.error = None
        self.left = self.ended = self.vanished = False
        self.unread = 0
        self.reading = asyncio.Event()
        self.reading.set()

    async def run(self, app):
        try:
            await app(self.scope, self.events.get, self._send)
        except (Exception, BusyLoop) as error:
            self.error = error
        self.ended = True
        self.vanished = not self.left and self.closed is None

    async def _send(self, event):
        if self.left:
            raise OSError("the client has left")
        if self.closed is not None:
            self.illegal.append(event)
            raise RuntimeError(f"{event['type']} after websocket.close")
        await getattr(self, "_" + event["type"].replace(".", "_"))(event)

    async def _websocket_accept(self, event):
        self.accepted = event

    async def _websocket_close(self, event):
        code, reason = event.get("code", 1000), event.get("reason") or ""
        if code not in LEGAL or len(reason.encode()) > 123:
            self.illegal.append(event)
            raise ValueError(f"no close frame can carry {code} {reason[:20]!r}")
        if self.accepted is None:
            self.status = 403
        self.closed = code
        self.events.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    async def _websocket_http_response_start(self, event):
        self.status = event["status"]

    async def _websocket_http_response_body(self, event):
        self.closed = self.status

    async def _websocket_send(self, event):
        text, data = event.get("text"), event.get("bytes")
        if (text is None) == (data is None):
            self.illegal.append(event)
            raise ValueError("neither text nor bytes")
        payload = data if text is None else text.encode()
        while not self.reading.is_set() and self.unread > HIGH_WATER:
            await self.reading.wait()
            if self.left:
                raise OSError("the client has left")
        self.unread += 0 if self.reading.is_set() else len(payload)
        self.sent.append(payload)

    @property
    def messages(self):
        """What the app sent, decoded."""
        return [json.loads(payload) for payload in self.sent]

    @property
    def failure(self):
        """What is wrong with how the handler ended, or that it did not."""
        if self.error or self.illegal:
            return self.error or self.illegal
        if self.closed in FAILED:
            return f"closed with {self.closed}"
        if self.vanished:
            return "ended without a close"
        return None if self.ended else "never ended"

    def types(self):
        """The type of every message the app sent."""
        return [message.get("type") for message in self.messages]

    def put(self, message):
        """Send without waiting for anything to happen: text and bytes as they are, else JSON."""
        key = "bytes" if isinstance(message, bytes) else "text"
        data = message if isinstance(message, str | bytes) else json.dumps(message)
        self.events.put_nowait({"type": "websocket.receive", key: data})

    async def send(self, message, seconds=0.01):
        self.put(message)
        await asyncio.sleep(seconds)

    async def leave(self, code=1000, seconds=0.01):
        """Close with a close frame, or be lost (1006); None of the app's messages arrive any more."""
        self.left = True
        self.events.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})
        self.events.put_nowait({"type": "websocket.disconnect", "code": 1005, "reason": ""})
        self.reading.set()
        await asyncio.sleep(seconds)

    def stall(self):
        """Stop reading."""
        self.reading.clear()

    def resume(self):
        """Read on."""
        self.unread = 0
        self.reading.set()


class Log(logging.Handler):
    """The exceptions that frameworks catch and log: Quart's handlers then seem to end well."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.exceptions = []

    def emit(self, record):
        if record.exc_info and record.name != "asyncio":
            self.exceptions.append(record.exc_info[1])


class Drive:
    """The app, its clients, and what happened behind their backs."""

    def __init__(self, app):
        self.app = app
        self.peers = []
        self.tasks = {}
        self.contexts = []
        self.log = Log()
        logging.getLogger().addHandler(self.log)
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.contexts.append(context))
        self.before = asyncio.all_tasks()

    async def connect(self, path="/ws", subprotocols=(), headers=(), seconds=0.01):
        peer = Peer(path, subprotocols, headers)
        self.peers.append(peer)
        self.tasks[peer] = asyncio.create_task(peer.run(self.app))
        await self.settle(seconds)
        return peer

    async def settle(self, seconds=0.01):
        """Let everything happen that can, and this much time pass."""
        await asyncio.sleep(seconds)

    def leaked(self):
        """Tasks of the app that no handler stands for."""
        return asyncio.all_tasks() - self.before - set(self.tasks.values())

    def background_errors(self):
        """Exceptions of tasks that nobody looked at."""
        gc.collect()
        return [context["exception"] for context in self.contexts if "exception" in context]

    def crashes(self):
        """Exceptions that handlers ended with, those that frameworks caught included."""
        return self.log.exceptions + [peer.error for peer in self.peers if peer.error is not None]


def play(conversation, app):
    """Run a conversation with an app to its end, then leave and clean up; what it returned."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(_play(conversation, app))
    finally:
        loop.clock.counting = False
        sys.setprofile(None)
        _abandon(loop)


async def _play(conversation, app):
    drive = Drive(app)
    try:
        return await conversation(drive)
    finally:
        for peer in drive.peers:
            if not peer.left:
                await peer.leave(1006)
        await drive.settle(5)
        logging.getLogger().removeHandler(drive.log)


def _abandon(loop):
    """Cancel what is left; what resists is given up without a word."""
    loop.set_exception_handler(lambda *_: None)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(1))
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False
        task.get_coro().close()  # while it has a loop: without one, what catches every error never ends
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()
    gc.collect()

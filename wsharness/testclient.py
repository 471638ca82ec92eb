"""TestClient: Starlette's, with a `websocket_connect` that never hangs, shows its transcript and lets cleanup end."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.from_thread
from anyio.streams.stapled import StapledObjectStream

from wsharness import probes
from wsharness.arguments import seconds
from wsharness.asgi import ASGIEvent
from wsharness.errors import BusyLoop, ExpectationError, HandlerStuck, LoopBlocked, UsageError, describe_code
from wsharness.events import Accepted, ClientEvent, Closed, Message
from wsharness.narration import render_transcript
from wsharness.portals import Portal, open_portal
from wsharness.profiles import Profile, get_profile
from wsharness.transcript import ClientAct, Connect, Direction, Leave, Record, Sent, Transcript

try:
    from starlette.testclient import (
        ASGI2App,
        ASGI3App,
        ASGIInstance,
        WebSocketDenialResponse,
        WebSocketTestSession,
    )
    from starlette.testclient import (
        TestClient as _TestClient,
    )
    from starlette.websockets import WebSocketDisconnect

    from wsharness.testsession import NOT_OPEN, OpenPortal, SharedPortal, StrictSession
except RuntimeError:
    raise UsageError("TestClient needs httpx2 or httpx, and neither is installed; pip install httpx2") from None

__all__ = ["ASGI2App", "ASGI3App", "ASGIInstance", "TestClient", "WebSocketDenialResponse", "WebSocketTestSession"]

TAIL = 20  # records a failure shows
GRACE = 1.0  # seconds a handler may take to end after its client left; then it is cancelled, as by Starlette


class Session(WebSocketTestSession):
    """Starlette's session: every wait has a limit, and the handler may end by itself once its client has left."""

    portal: anyio.from_thread.BlockingPortal
    accepted_subprotocol: Any
    extra_headers: Any
    exit_stack: contextlib.ExitStack

    def __init__(self, connected: WebSocketTestSession, timeout: float, open_portal: OpenPortal) -> None:
        super().__init__(connected.app, connected.scope, connected.portal_factory)
        self.timeout = timeout
        self.transcript: Transcript = Transcript()
        self._open_portal = open_portal
        self._portal: Portal | None = None
        self._error: BaseException | None = None
        self._raised = False
        self._is_open = False
        self._left = False
        self._handler: Any = None
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._portal = stack.enter_context(self._open_portal())
            self.portal = self._portal.plain
            self._portal.call(self._begin)
            stack.push(self._leave)
            self._note(Direction.CLIENT, Connect(self.scope["path"], subprotocols=tuple(self.scope["subprotocols"])))
            self._put({"type": "websocket.connect"})
            answer = self.receive()
            self._raise_on_close(answer)
            self.accepted_subprotocol = answer.get("subprotocol", None)
            self.extra_headers = answer.get("headers", None)
            self._is_open = True
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        self.exit_stack.__exit__(kind, error, traceback)
        if self._error is None or self._raised:
            return
        if error is None:
            raise self._error
        error.add_note(f"also, in the app: {type(self._error).__name__}: {self._error}")

    def _leave(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        del kind, traceback
        leaves = self._is_open and not self._left
        if leaves:
            self._note(Direction.CLIENT, Leave(1000))
        try:
            self._call(self._end, leaves)
        except ExpectationError as told:
            if error is None:
                raise
            if not isinstance(error, LoopBlocked):
                error.add_note(f"also, as the session ended: {told}")

    # On the loop

    async def _begin(self) -> None:
        self._ended = anyio.Event()
        self._scope = anyio.CancelScope()
        self._receive_tx, self._inbox = anyio.create_memory_object_stream[ASGIEvent](math.inf)
        self._outbox, self._send_rx = anyio.create_memory_object_stream[ASGIEvent](math.inf)
        assert self._portal is not None
        self._job = self._portal.start_soon(self._serve())

    async def _serve(self) -> None:
        with self._receive_tx, self._inbox, self._outbox, self._scope:
            try:
                self._handler = self.app(self.scope, self._app_receives, self._app_sends)
                await self._handler
            except (anyio.get_cancelled_exc_class(), GeneratorExit):
                raise
            except BaseException as error:  # noqa: BLE001 (raised in the test)
                stopped = any(isinstance(one, BusyLoop) for one in probes.leaves(error))
                self._error = LoopBlocked(probes.text_of(error)) if stopped else error
            finally:
                self._ended.set()

    async def _end(self, leaves: bool) -> None:
        """Let the handler end by itself, then cancel it, as Starlette does at once."""
        with self._send_rx:
            if leaves and not self._ended.is_set():  # nor may it end before it is told: this awaits nothing
                self._receive_tx.send_nowait({"type": "websocket.disconnect", "code": 1000, "reason": None})
            with anyio.move_on_after(min(self.timeout, GRACE)):
                await self._ended.wait()
            self._scope.cancel()
            with anyio.move_on_after(max(self.timeout, GRACE)):
                await self._ended.wait()
                return
        where = probes.whereabouts(self._handler)
        self._job.abandon()
        raise HandlerStuck(f"the app's handler goes on when it is cancelled: it {where}; let CancelledError through")

    async def _app_receives(self) -> ASGIEvent:
        event = await self._inbox.receive()
        self._note(Direction.RECEIVE, event)
        return event

    async def _app_sends(self, event: ASGIEvent) -> None:
        self._note(Direction.SEND, event)
        with contextlib.suppress(anyio.ClosedResourceError):  # another client's handler, after this one ended
            await self._outbox.send(event)

    def _note(self, direction: Direction, event: ASGIEvent | ClientAct | ClientEvent) -> None:
        self.transcript.append(Record(time.monotonic() - self._start, "client", direction, event))

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        if self._portal is None:
            raise UsageError(NOT_OPEN)
        return self._portal.call_within(self.timeout + GRACE, function, *args)

    def _put(self, event: ASGIEvent) -> None:
        with contextlib.suppress(anyio.ClosedResourceError):  # the handler has ended: nobody reads it
            self._call(self._receive_tx.send, event)

    def send(self, message: Any) -> None:
        """Give the app an ASGI event."""
        if self._portal is None:
            raise UsageError(NOT_OPEN)
        if message["type"] == "websocket.receive":
            text = message.get("text")
            self._note(Direction.CLIENT, Sent(message.get("bytes", b"") if text is None else text))
        elif message["type"] == "websocket.disconnect":
            self._left = True
            self._note(Direction.CLIENT, Leave(message.get("code", 1000), message.get("reason") or ""))
        self._put(message)

    def receive(self) -> Any:
        """Take the app's next ASGI event: ExpectationError after `timeout` seconds, or what the app raised."""
        try:
            event: ASGIEvent | None = self._call(self._next)
        except LoopBlocked as blocked:
            self._raised = True
            raise LoopBlocked(f"expected an event from the app; got nothing: {blocked}\n{self._told()}") from None
        if event is not None:
            self._note_seen(event)
            return event
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error
        raise ExpectationError(self._explain())

    def _raise_on_close(self, message: Any) -> None:
        try:
            super()._raise_on_close(message)
        except WebSocketDenialResponse:
            raise
        except WebSocketDisconnect as closed:
            reason = f" {closed.reason!r}" if closed.reason else ""
            closed.add_note(f"the app closed with {describe_code(closed.code)}{reason}\n{self._told()}")
            raise

    def _note_seen(self, event: ASGIEvent) -> None:
        match event["type"]:
            case "websocket.accept":
                self._note(Direction.SERVER, Accepted(event.get("subprotocol")))
            case "websocket.send":
                text = event.get("text")
                self._note(Direction.SERVER, Message(event.get("bytes", b"") if text is None else text))
            case "websocket.close":
                self._note(Direction.SERVER, Closed(event.get("code", 1000), event.get("reason") or ""))
            case _:
                pass  # a denial response: the exception carries it

    async def _next(self) -> ASGIEvent | None:
        with anyio.move_on_after(self.timeout), contextlib.suppress(anyio.EndOfStream):
            return await self._send_rx.receive()
        return None

    def _explain(self) -> str:
        if self._ended.is_set():
            found, where = "the app's handler has ended", ""
        else:
            found = f"none within {self.timeout:g} s"
            where = f"\nthe app's handler {probes.whereabouts(self._handler)}"
        return f"expected an event from the app; got nothing: {found}\n{self._told()}{where}"

    def _told(self) -> str:
        return render_transcript(self.transcript, last=TAIL).rstrip()


class TestClient(_TestClient):
    """Starlette's TestClient; `timeout` bounds each wait on a WebSocket, in seconds.

    With `strict`, WebSockets send and see what a client of a real server would: of uvicorn, or what `profile` names.
    """

    __test__ = False

    def __init__(
        self,
        app: Any,
        *args: Any,
        timeout: float = 5.0,
        strict: bool = False,
        profile: str | Profile | None = None,
        **kwargs: Any,
    ) -> None:
        if profile is not None and not strict:
            raise UsageError("a profile is the server that strict=True simulates; write strict=True beside it")
        if not callable(app):
            raise UsageError(f"expected an ASGI app, a callable; got {app!r}")
        super().__init__(app, *args, **kwargs)
        self.websocket_timeout: float = seconds(timeout, "timeout")
        self._profile = get_profile(profile or "uvicorn") if strict else None
        self._entered: Portal | None = None
        self._shared = SharedPortal(self._open_portal)

    def __enter__(self) -> Self:
        """Run the app's startup; what is opened until the block ends shares its event loop."""
        with contextlib.ExitStack() as stack:
            self._entered = portal = stack.enter_context(self._open_portal())
            self.portal = portal.plain
            stack.callback(self._forget_portal)
            sends = anyio.create_memory_object_stream[Any](math.inf)
            receives = anyio.create_memory_object_stream[Any](math.inf)
            for stream in (*sends, *receives):
                stack.callback(stream.close)
            self.stream_send: StapledObjectStream[Any] = StapledObjectStream(*sends)
            self.stream_receive: StapledObjectStream[Any] = StapledObjectStream(*receives)
            self.task: Any = portal.plain.start_task_soon(self.lifespan)
            portal.call(self.wait_startup)
            stack.callback(lambda: portal.call(self.wait_shutdown))
            stack.callback(self._transport.close)
            self.exit_stack: contextlib.ExitStack = stack.pop_all()
        return self

    def _forget_portal(self) -> None:
        self._entered = self.portal = None

    @contextlib.contextmanager
    def _open_portal(self) -> Iterator[Portal]:
        """The entered client's event loop, else a new one: for each session, as Starlette, or for all that are open."""
        if self._entered is not None:
            yield self._entered
            return
        with open_portal(self.websocket_timeout, **self.async_backend) as portal:
            yield portal

    def _use_portal(self) -> AbstractContextManager[Portal]:
        return self._open_portal() if self._profile is None else self._shared.use()

    @contextlib.contextmanager
    def _portal_factory(self) -> Iterator[anyio.from_thread.BlockingPortal]:
        with self._use_portal() as portal:
            yield portal.plain

    def websocket_connect(self, url: str, subprotocols: Any = None, **kwargs: Any) -> Session | StrictSession:
        """Open a session, to be used in `with`; the caller's headers are not changed."""
        kwargs["headers"] = dict(kwargs.get("headers") or {})
        connected = super().websocket_connect(url, subprotocols, **kwargs)
        if self._profile is None:
            return Session(connected, self.websocket_timeout, self._use_portal)
        raises = getattr(self._transport, "raise_server_exceptions", True)
        return StrictSession(
            connected, self.websocket_timeout, self._profile, self._use_portal, raise_app_exceptions=raises
        )

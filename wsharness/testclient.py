"""TestClient: Starlette's, with a `websocket_connect` that never hangs, shows its transcript and lets cleanup end."""

import contextlib
import math
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import anyio
import anyio.abc
import anyio.from_thread

from wsharness import probes
from wsharness.asgi import ASGIEvent
from wsharness.errors import ExpectationError, UsageError
from wsharness.events import Accepted, ClientEvent, Closed, Message
from wsharness.narration import render_transcript
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

    from wsharness.testsession import SharedPortal, StrictSession
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

    def __init__(self, connected: WebSocketTestSession, timeout: float) -> None:
        super().__init__(connected.app, connected.scope, connected.portal_factory)
        self.timeout = timeout
        self.transcript: Transcript = Transcript()
        self._error: Exception | None = None
        self._raised = False
        self._left = False
        self._handler: Any = None
        self._start = time.monotonic()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.portal = stack.enter_context(self.portal_factory())
            handler, scope = self.portal.start_task(self._run)
            stack.callback(lambda: self.portal.call(self._send_rx.close))
            stack.callback(handler.result)
            stack.callback(self.portal.call, scope.cancel)
            stack.callback(self.portal.call, self._wait_for_end)
            self._note(Direction.CLIENT, Connect(self.scope["path"], subprotocols=tuple(self.scope["subprotocols"])))
            self._put({"type": "websocket.connect"})
            answer = self.receive()
            self._raise_on_close(answer)
            self.accepted_subprotocol = answer.get("subprotocol", None)
            self.extra_headers = answer.get("headers", None)
            self.exit_stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        if not self._left:
            self.close(1000)
        self.exit_stack.close()
        if self._error is None or self._raised:
            return
        if error is None:
            raise self._error
        error.add_note(f"also, in the app: {type(self._error).__name__}: {self._error}")

    async def _run(self, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope]) -> None:
        self._ended = anyio.Event()
        self._receive_tx, self._inbox = anyio.create_memory_object_stream[ASGIEvent](math.inf)
        self._outbox, self._send_rx = anyio.create_memory_object_stream[ASGIEvent](math.inf)
        with self._receive_tx, self._inbox, self._outbox, anyio.CancelScope() as scope:
            task_status.started(scope)
            try:
                self._handler = self.app(self.scope, self._app_receives, self._app_sends)
                await self._handler
            except Exception as error:  # noqa: BLE001 (raised in the test)
                self._error = error
            finally:
                self._ended.set()

    async def _app_receives(self) -> ASGIEvent:
        event = await self._inbox.receive()
        self._note(Direction.RECEIVE, event)
        return event

    async def _app_sends(self, event: ASGIEvent) -> None:
        self._note(Direction.SEND, event)
        with contextlib.suppress(anyio.ClosedResourceError):  # another client's handler, after this one ended
            await self._outbox.send(event)

    async def _wait_for_end(self) -> None:
        with anyio.move_on_after(min(self.timeout, GRACE)):
            await self._ended.wait()

    def _note(self, direction: Direction, event: ASGIEvent | ClientAct | ClientEvent) -> None:
        self.transcript.append(Record(time.monotonic() - self._start, "client", direction, event))

    def _put(self, event: ASGIEvent) -> None:
        with contextlib.suppress(anyio.ClosedResourceError):  # the handler has ended: nobody reads it
            self.portal.call(self._receive_tx.send, event)

    def send(self, message: Any) -> None:
        """Give the app an ASGI event."""
        if message["type"] == "websocket.receive":
            text = message.get("text")
            self._note(Direction.CLIENT, Sent(message.get("bytes", b"") if text is None else text))
        elif message["type"] == "websocket.disconnect":
            self._left = True
            self._note(Direction.CLIENT, Leave(message.get("code", 1000), message.get("reason") or ""))
        self._put(message)

    def receive(self) -> Any:
        """Take the app's next ASGI event: ExpectationError after `timeout` seconds, or what the app raised."""
        event = self.portal.call(self._next)
        if event is not None:
            self._note_seen(event)
            return event
        if self._error is not None and not self._raised:
            self._raised = True
            raise self._error
        raise ExpectationError(self._explain())

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
        told = render_transcript(self.transcript, last=TAIL).rstrip()
        return f"expected an event from the app; got nothing: {found}\n{told}{where}"


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
        super().__init__(app, *args, **kwargs)
        self.websocket_timeout = timeout
        self._profile = get_profile(profile or "uvicorn") if strict else None
        self._shared = SharedPortal(super()._portal_factory)

    @contextlib.contextmanager
    def _portal_factory(self) -> Iterator[anyio.from_thread.BlockingPortal]:
        with super()._portal_factory() if self._profile is None else self._shared.use() as portal:
            yield portal

    def websocket_connect(self, url: str, subprotocols: Any = None, **kwargs: Any) -> Session | StrictSession:
        """Open a session, to be used in `with`; the caller's headers are not changed."""
        kwargs["headers"] = dict(kwargs.get("headers") or {})
        connected = super().websocket_connect(url, subprotocols, **kwargs)
        if self._profile is None:
            return Session(connected, self.websocket_timeout)
        raises = getattr(self._transport, "raise_server_exceptions", True)
        return StrictSession(connected, self.websocket_timeout, self._profile, raise_app_exceptions=raises)

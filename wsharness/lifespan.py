"""Lifespan: the startup and shutdown of an app, as a server asks for them."""

from collections.abc import Mapping
from typing import Any

from wsharness.asgi import App, ASGIEvent, LifespanMode
from wsharness.endpoint import UnexpectedMessageError
from wsharness.errors import BusyLoop, TargetError
from wsharness.interrupts import ENDS_PROCESS, is_ctrl_c
from wsharness.runtime import Job, Runtime

ANSWERS = tuple(f"lifespan.{phase}.{end}" for phase in ("startup", "shutdown") for end in ("complete", "failed"))
WITHOUT_LIFESPAN = "to go without it, pass lifespan='off' or --lifespan off"
LIFESPAN_LIMIT = 10.0  # seconds of the loop's time for each of startup and shutdown


class Lifespan:
    """Drives the app's lifespan protocol (ASGI specification, lifespan), as `--lifespan auto` of uvicorn does."""

    def __init__(self, app: App, runtime: Runtime, mode: LifespanMode, state: Mapping[str, Any] | None) -> None:
        self.state: dict[str, Any] = dict(state or {})
        self._app = app
        self._runtime = runtime
        self._mode = mode
        self._events: list[ASGIEvent] = []
        self._answers: list[ASGIEvent] = []
        self._changed = runtime.signal()
        self._job: Job | None = None
        self._error: BaseException | None = None
        self._done = False

    async def startup(self) -> None:
        """Send `lifespan.startup` and wait for the answer."""
        if self._mode == "off":
            return
        self._job = self._runtime.spawn(self._run(), "app lifespan")
        answer = await self._ask("startup")
        never_ends = isinstance(self._error, BusyLoop) or (self._error is None and not self._done)
        if answer is None and (self._mode == "on" or never_ends):
            raise TargetError(self._describe("startup"))
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            message = answer.get("message") or "no message"
            raise TargetError(
                f"the app's lifespan startup failed: {message.strip().splitlines()[-1]}; {WITHOUT_LIFESPAN}"
            ) from self._error
        self._error = None  # the app has no lifespan, and an exception holds its frames

    async def shutdown(self) -> None:
        """Send `lifespan.shutdown` and wait for the answer."""
        if self._job is None or self._done:
            return
        answer = await self._ask("shutdown")
        if answer is None or answer["type"] == "lifespan.shutdown.failed":
            if self._job is not None:
                self._job.cancel()
            raise TargetError(self._describe("shutdown"))
        await self._changed.wait_until(lambda: self._done, LIFESPAN_LIMIT)

    async def _ask(self, phase: str) -> ASGIEvent | None:
        self._events.append({"type": f"lifespan.{phase}"})
        self._changed.wake()
        await self._changed.wait_until(lambda: self._answers or self._done, LIFESPAN_LIMIT)
        return self._answers.pop() if self._answers else None

    def _describe(self, phase: str) -> str:
        if self._error is not None:
            said = f"{type(self._error).__name__}: {self._error}".removesuffix(": ")
            return f"the app's lifespan {phase} raised {said}; {WITHOUT_LIFESPAN}"
        if self._done:
            return f"the app's lifespan ended without lifespan.{phase}.complete"
        return (
            f"the app's lifespan {phase} did not finish within {LIFESPAN_LIMIT:g} s; "
            f"look for an await that never ends; {WITHOUT_LIFESPAN}"
        )

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except GeneratorExit:
            raise
        except BaseException as error:
            self._error = error
            if is_ctrl_c(error) or not isinstance(error, (Exception, BusyLoop, *ENDS_PROCESS)):
                raise
        finally:
            self._done = True
            self._job = None
            self._changed.wake()

    async def _receive(self) -> ASGIEvent:
        while not self._events:
            await self._changed.wait()
        return self._events.pop(0)

    async def _send(self, event: ASGIEvent) -> None:
        kind = event.get("type")
        if kind not in ANSWERS:  # so an app that never looks at its scope's type goes on without a lifespan
            raise UnexpectedMessageError(
                f"expected an ASGI event of the lifespan, {' or '.join(ANSWERS)}; got {kind!r}"
            )
        self._answers.append(event)
        self._changed.wake()

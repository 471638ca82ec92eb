"""An app program: a case's operations, run in order in the app's own task, with a token for each thing seen."""

import asyncio
from collections.abc import Callable
from typing import Any

from tests.fidelity import tokens
from tests.fidelity.tokens import value

NEVER = 3600.0


class AppProgram:
    """An ASGI app that runs operations and writes down `(time, token)`."""

    def __init__(self, operations: list[Any], now: Callable[[], float]) -> None:
        self.operations = operations
        self.now = now
        self.seen: list[tuple[float, str]] = []
        self.scope: dict[str, Any] | None = None
        self.sending = ""

    def note(self, token: str) -> None:
        self.seen.append((self.now(), token))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope_given, self.receive, self.send = scope, receive, send
        try:
            for name, *arguments in self.operations:
                await getattr(self, f"do_{name}")(*arguments)
        except asyncio.CancelledError:
            self.note("APP CANCELLED")
            raise
        except Exception as error:
            self.note(f"raise {type(error).__name__}")
            raise
        self.note("return")

    # Receiving

    async def do_recv(self, limit: float = 3.0) -> str:
        try:
            async with asyncio.timeout(limit):
                event = await self.receive()
        except TimeoutError:
            self.note("recv BLOCKS")
            return "blocks"
        except Exception as error:
            self.note(f"recv RAISES {tokens.raised(error)}")
            return "raises"
        self.note(tokens.received(event))
        return str(event["type"])

    async def do_drain(self, limit: float) -> None:
        while await self.do_recv(limit) in ("websocket.receive", "websocket.connect"):
            pass

    async def do_wait_for_recv(self, limit: float) -> None:
        try:
            event = await asyncio.wait_for(self.receive(), limit)
        except TimeoutError:
            self.note("recv timeout/cancelled")
        else:
            self.note(tokens.received(event))

    async def do_concurrent_recv(self) -> None:
        tasks = [asyncio.create_task(self.do_recv(NEVER)) for _ in range(2)]
        _, pending = await asyncio.wait(tasks, timeout=1.5)
        for task in pending:
            self.note("recv BLOCKS")
            task.cancel()
            self.note("recv RAISES Exception")
        await asyncio.gather(*pending, return_exceptions=True)

    async def do_echo(self) -> None:
        while True:
            event = await self.receive()
            self.note(tokens.received(event))
            if event["type"] == "websocket.disconnect":
                return
            if event["type"] == "websocket.receive":
                sent = {key: item for key, item in event.items() if key != "type" and item is not None}
                await self.do_send(sent)

    # Sending

    async def do_msg(self, event: dict[str, Any]) -> None:
        event = value(event)
        name = self.sending = tokens.sent(event)
        start = self.now()
        try:
            await self.send(event)
        except Exception as error:
            self.note(f"{name} RAISES {tokens.raised(error)}{tokens.took(self.now() - start)}")
        else:
            self.note(f"{name}:ok{tokens.took(self.now() - start)}")
        self.sending = ""

    async def do_accept(self, keys: dict[str, Any] | None = None) -> None:
        await self.do_msg({"type": "websocket.accept", **(keys or {})})

    async def do_send(self, keys: dict[str, Any] | None = None) -> None:
        await self.do_msg({"type": "websocket.send", **(keys or {})})

    async def do_close(self, keys: dict[str, Any] | None = None) -> None:
        await self.do_msg({"type": "websocket.close", **(keys or {})})

    async def do_close_while_recv(self, code: int) -> None:
        task = asyncio.create_task(self.do_recv(1.5))
        await asyncio.sleep(0.1)
        await self.do_close({"code": code})
        await task

    async def do_yieldcheck(self, verb: str, event: dict[str, Any] | None) -> None:
        turned: list[bool] = []
        asyncio.get_running_loop().call_soon(turned.append, True)
        if verb == "recv":
            name = (await self.receive())["type"].removeprefix("websocket.")
        else:
            assert event is not None
            name = tokens.sent(event)
            await self.send(value(event))
        self.note(f"{verb}:{name} {'yields' if turned else 'no-yield'}")

    async def do_flood(self, flags: dict[str, Any]) -> None:
        size, max_mb, stall = flags.get("size", 65536), flags.get("max_mb", 48), flags.get("stall", 1.0)
        event = {"type": "websocket.send", "bytes": b"x" * size}
        sent = 0
        while sent < max_mb * 2**20:
            task = asyncio.ensure_future(self.send(event))
            await asyncio.wait([task], timeout=stall)
            if not task.done():
                self.note(f"flood_blocked ~{near(sent)}MiB")
                await self._wait_blocked(task)
                return
            task.result()
            sent += size
        self.note(f"flood_never_blocked ~{near(sent)}MiB")

    async def _wait_blocked(self, task: "asyncio.Future[None]") -> None:
        try:
            await task
        except Exception as error:
            self.note(f"flood_raised {tokens.raised(error)}")
        else:
            self.note("flood_unblocked")

    # The rest

    async def do_sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def do_raise(self) -> None:
        raise RuntimeError("told to")

    async def do_scope(self) -> None:
        self.scope = scope_seen(self.scope_given)
        self.note("scope")

    async def do_mutate_state(self) -> None:
        state = self.scope_given.get("state")
        shown = None if state is None else {key: state[key] for key in state}
        self.note(f"state={shown!r}")
        if state is not None:
            state["top"] = state.get("top", 0) + 1
            state["lst"].append("m")


def near(size: int) -> int:
    return round(size / 2**20)


def scope_seen(scope: dict[str, Any]) -> dict[str, Any]:
    """A scope as the cases write it: without addresses, state and the host header; bytes by `repr`."""
    left_out = ("client", "server", "state")
    seen = {key: item for key, item in scope.items() if key not in left_out}
    seen["headers"] = [[repr(k), repr(v)] for k, v in seen["headers"] if k != b"host"]
    seen["subprotocols"] = {"type": type(seen["subprotocols"]).__name__, "v": list(seen["subprotocols"])}
    return {key: repr(item) if isinstance(item, bytes) else item for key, item in seen.items()}

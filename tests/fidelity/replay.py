"""Replays measured cases on the simulated server, in virtual time, and compares token for token."""

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.fidelity import cases, tokens
from tests.fidelity.client import AT_ONCE, SOCKET_BUFFER, ClientProgram, SimulatedLine
from tests.fidelity.program import AppProgram
from tests.fidelity.tokens import value
from wsharness.inprocess import InProcessConnection, InProcessServer
from wsharness.profiles import Profile, get_profile
from wsharness.runner import run
from wsharness.runtime import current_runtime
from wsharness.transcript import Transcript

CASES = Path(__file__).parent.parent / "data" / "cases.json"
FOUND = CASES.with_name("found.json")
"""Of the same form: measured here, on what drawn programs pointed at."""
GRACE = 0.4  # seconds after the client's patience in which what the app sees is still put down as usual
APP_LIMIT = 60.0
SETTINGS = {
    "uvicorn": ("ping_interval", "ping_timeout", "max_size"),
    "uvicorn-legacy": ("ping_interval", "ping_timeout", "max_size"),
    "uvicorn-wsproto": ("ping_interval", "ping_timeout", "max_size"),
    "hypercorn": ("ping_interval", "max_size"),
    "daphne": ("max_size",),
    "granian": (),
}
FIXED = {"daphne": {"ping_interval": 1.0, "ping_timeout": 1.0}}
"""Settings whose values could not be what the case says: the shortest that server takes."""

_STILL_SENDING = "the server answers a message too big while its client is still sending the rest of it"
_STILL_SENDING_ON = ("uvicorn-legacy", "hypercorn")
_HANDSHAKE = {
    "path", "query", "headers", "subprotocols", "drop_after", "noread", "rcvbuf", "auto_pong", "echo_close", "on_close"
}  # fmt: skip
_SERVER = {"ping_interval", "ping_timeout", "max_size", "root_path"}


def inexpressible(case: dict[str, Any], profile: str) -> str | None:
    """Why the model has no words for a case on a profile; None where it has."""
    handshake = case.get("handshake") or {}
    app = [name for name, *_ in case["app"] if not hasattr(AppProgram, f"do_{name}")]
    client = [*client_operations(case["client"]), *client_operations(handshake.get("on_close", ()))]
    unknown = [*app, *(name for name, *_ in client if name not in AT_ONCE and not hasattr(ClientProgram, f"do_{name}"))]
    unknown += [key for key in handshake if key not in _HANDSHAKE]
    unknown += [key for key in case.get("server") or {} if key not in _SERVER]
    if unknown:
        return f"the replay does not know {', '.join(map(repr, unknown))}"
    parts = [len(value(payload)) for name, *given in client if name == "frame" for payload in given[1:2]]
    limit = settled(case, profile).max_size
    if profile in _STILL_SENDING_ON and limit is not None and len(parts) > 1 and sum(parts) > limit > SOCKET_BUFFER:
        return _STILL_SENDING
    return None


def client_operations(given: Iterable[Any]) -> Iterator[Any]:
    """A client's operations, those of a batch one by one."""
    for operation in given:
        yield from client_operations(operation[1]) if operation[0] == "batch" else (operation,)


@dataclass(frozen=True)
class Seen:
    """What both sides saw."""

    app: list[str]
    client: list[str]
    scope: dict[str, Any] | None = None
    late: float = field(default=0.0, compare=False)
    """By how many seconds one of the two came too late for something, if that was measured."""


def load(path: Path = CASES) -> dict[str, Any]:
    """The cases of a file; BadFile if it is none."""
    return cases.load(path)


def cells(given: dict[str, Any]) -> list[tuple[str, str]]:
    """Every stable cell: a case and a profile."""
    return [
        (name, profile)
        for profile in SETTINGS
        for name, case in given.items()
        if profile in case["expect"] and not case["expect"][profile].get("unstable")
    ]


def expected(cell: dict[str, Any]) -> Seen:
    return Seen(cell["app"], cell["client"], cell.get("scope"))


def replay(
    case: dict[str, Any], name: str, shared: list[str] | None = None, *, changes: dict[str, Any] | None = None
) -> Seen:
    """Run one case on one profile; `shared` is what the lifespan's state shares between connections."""
    profile = replace(settled(case, name), **(changes or {}))
    return run(lambda: _play(case, profile, [] if shared is None else shared), wall_clock=False)


def settled(case: dict[str, Any], name: str) -> Profile:
    given = case.get("server") or {}
    changes = {key: given[key] for key in SETTINGS.get(name, ()) if key in given}
    if given:
        changes |= {key: item for key, item in FIXED.get(name, {}).items() if key in given}
    if "max_size" in changes and get_profile(name).max_outbound is not None:
        changes["max_outbound"] = changes["max_size"]
    return replace(get_profile(name), **changes)


async def _play(case: dict[str, Any], profile: Profile, shared: list[str]) -> Seen:
    runtime = current_runtime()
    program = AppProgram(case["app"], runtime.time)
    ended = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            scope["state"].update(n=1, lst=shared)
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await program(scope, receive, send)

    server = InProcessServer(
        app,
        runtime=runtime,
        transcript=Transcript(),
        profile=profile,
        on_end=lambda connection, error: ended.set(),
        root_path=(case.get("server") or {}).get("root_path", ""),
    )
    await server.start()
    line = SimulatedLine(server)
    client = ClientProgram(case, line)
    if "shutdown_after" in case:
        asyncio.get_running_loop().call_later(case["shutdown_after"], lambda: line.connection.shut_down())
    patience = await client.live()
    await _wait_for_app(program, line.connection, ended)
    await server.stop()
    return seen(program, client, patience)


async def _wait_for_app(program: AppProgram, connection: InProcessConnection, ended: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(APP_LIMIT):
            await ended.wait()
    except TimeoutError:
        if program.sending:
            program.note("send NEVER returns")
        kept = list(program.seen)
        connection.cancel()
        await ended.wait()
        program.seen = kept


def seen(program: AppProgram, client: ClientProgram, patience: float) -> Seen:
    app = [("~" if time > patience + GRACE else "") + token for time, token in program.seen]
    if client.refused():
        wrote_body = any("http.response.body:ok" in token for token in app)
        if wrote_body and client.rejection.status in client.own_statuses:
            client.end_tokens.append(f"body={client.rejection.body.decode('latin-1')!r}")
    elif not client.end_tokens or client.end_tokens[0] != "101":
        client.end_tokens.insert(0, "no HTTP response")
    return Seen(tokens.folded(app), tokens.folded(client.end_tokens), program.scope)

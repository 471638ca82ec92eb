"""Measures cases on real server processes: the same tokens as the replay's, from a wire."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.differential.pulse import Pulse
from tests.differential.socket import RealLine
from tests.fidelity.client import ClientProgram
from tests.fidelity.program import AppProgram
from tests.fidelity.replay import Seen, seen

ROOT = Path(__file__).parent.parent.parent
STARTS = 120.0  # seconds a server has to start on a busy machine
AFTER = 6.0  # seconds an app has to end after its client left
TOGETHER, ALONE = 40, 6  # cases at a time on one process, and on processes of their own
PULSE = Pulse()
DIED = Seen(["SERVER DIED"], ["SERVER DIED"])
"""What both sides saw of a case that ends the server's process: granian's panics are no other app's fault."""


class ServerDied(Exception):
    """The server's process ended by itself while a case was measured."""


class RealServer:
    """A server process on a free port of 127.0.0.1."""

    def __init__(self, name: str, settings: dict[str, Any], folder: Path, app: str | None = None) -> None:
        self.held = hold_port()
        self.port: int = self.held.getsockname()[1]
        self.folder = folder
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
        environment = plain | {"WSHARNESS_PROGRAMS": str(folder), "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "tests.differential.serve", name, str(self.port), json.dumps(settings)]
        command += [app] if app else []
        self.began = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    async def started(self) -> None:
        while not self.listens():
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.3)

    def listens(self) -> bool:
        """Whether it takes connections by now; an error if it will not."""
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 5).close()
            return True
        if not self.is_alive():
            raise ServerDied("the server ended before it took a connection")
        if time.monotonic() - self.began > STARTS:
            raise TimeoutError(f"the server did not start within {STARTS:g} s")
        return False

    def is_alive(self) -> bool:
        return self.process.poll() is None

    async def stays_alive(self) -> bool:
        """Whether it is no process whose end is only to be seen."""
        for _ in range(20):
            if not self.is_alive():
                return False
            await asyncio.sleep(0.1)
        return True

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        """End the process and its workers: they share a session that is ours."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.held.close()


@contextlib.contextmanager
def real_server(name: str, settings: dict[str, Any]) -> Iterator[RealServer]:
    with tempfile.TemporaryDirectory() as folder:
        server = RealServer(name, settings, Path(folder))
        try:
            yield server
        finally:
            server.kill()


def hold_port() -> socket.socket:
    """A socket on a free port where nothing listens, and where only the server it is meant for will.

    While it is open, nobody else is given the port. A server may listen there beside it: both say SO_REUSEADDR.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


async def measure(case: dict[str, Any], server: RealServer) -> Seen:
    """What both sides saw of one case; ServerDied if that cannot be said."""
    line = RealLine(server.port, server.folder)
    client = ClientProgram(case, line)
    PULSE.start()
    begun = time.monotonic()
    if "shutdown_after" in case:
        asyncio.get_running_loop().call_later(case["shutdown_after"], server.terminate)
    try:
        patience = await client.live()
        state = await wait_for_app(server.folder / f"{line.port}.seen", client)
    except OSError:
        if await server.stays_alive():
            raise
        raise ServerDied from None
    if "shutdown_after" not in case and not server.is_alive():
        raise ServerDied
    program = AppProgram(case["app"], asyncio.get_running_loop().time)
    program.seen = [(time, token) for time, token in state["seen"]]
    program.scope = state["scope"]
    if state["sending"] and not state["done"]:
        program.note("send NEVER returns")
    late = max(PULSE.latest_since(begun), state["late"])
    return replace(seen(program, client, patience), late=late)


async def wait_for_app(path: Path, client: ClientProgram) -> dict[str, Any]:
    state: dict[str, Any] = {"seen": [], "scope": None, "sending": "", "done": False, "late": 0.0}
    for _ in range(int(AFTER / 0.1)):
        if path.exists():
            state = json.loads(path.read_text(encoding="utf-8"))
        if state["done"] or (not path.exists() and client.refused()):
            break
        await asyncio.sleep(0.1)
    return state


async def measure_all(cases: dict[str, dict[str, Any]], name: str) -> dict[str, Seen]:
    """Every case on one server: one process for all of the same settings, one of its own for a shutdown."""
    groups: dict[str, dict[str, Any]] = {}
    for key, case in cases.items():
        own = key if "shutdown_after" in case else ""
        groups.setdefault(json.dumps([case.get("server") or {}, own]), {})[key] = case
    found: dict[str, Seen] = {}
    for group, members in groups.items():
        found |= await _measure_group(members, name, json.loads(group)[0])
    return found


async def _measure_group(members: dict[str, Any], name: str, settings: dict[str, Any]) -> dict[str, Seen]:
    """Cases on one process; where it dies, those it served then are measured alone, and the rest on the next."""
    found: dict[str, Seen] = {}
    suspects: dict[str, Any] = {}
    limit = asyncio.Semaphore(TOGETHER)

    async def one(key: str, case: dict[str, Any], server: RealServer) -> None:
        async with limit:
            if server.is_alive():
                try:
                    found[key] = await measure(case, server)
                except ServerDied:
                    suspects[key] = case

    while rest := {key: case for key, case in members.items() if key not in found and key not in suspects}:
        with real_server(name, settings) as server:
            await server.started()
            await asyncio.gather(*(one(key, case, server) for key, case in rest.items()))
    few = asyncio.Semaphore(ALONE)
    alone = await asyncio.gather(*(_measure_alone(case, name, settings, few) for case in suspects.values()))
    return found | dict(zip(suspects, alone, strict=True))


async def _measure_alone(case: dict[str, Any], name: str, settings: dict[str, Any], few: asyncio.Semaphore) -> Seen:
    async with few:
        with real_server(name, settings) as server:
            await server.started()
            try:
                return await measure(case, server)
            except ServerDied:
                return DIED

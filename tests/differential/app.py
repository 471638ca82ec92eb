"""The app real servers run: reads the program a client wrote for its port, and writes down what it saw."""

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any

from tests.differential.pulse import Pulse
from tests.fidelity.program import AppProgram

FOLDER = Path(os.environ.get("WSHARNESS_PROGRAMS", "."))
SHARED: list[str] = []
PULSE = Pulse()


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await run_lifespan(scope, receive, send)
        return
    PULSE.start()
    port = int(scope["client"][1])
    program = AppProgram(json.loads((FOLDER / f"{port}.program").read_text(encoding="utf-8")), time.monotonic)
    begun = time.monotonic()
    keeper = asyncio.ensure_future(keep(program, port, begun))
    try:
        await program(scope, receive, send)
    finally:
        keeper.cancel()
        write(program, port, begun, done=True)


async def keep(program: AppProgram, port: int, begun: float) -> None:
    """Write down what was seen so far, now and then: a killed process writes nothing more."""
    while True:
        write(program, port, begun, done=False)
        await asyncio.sleep(0.25)


def write(program: AppProgram, port: int, begun: float, *, done: bool) -> None:
    state = {"seen": program.seen, "scope": program.scope, "sending": program.sending, "done": done}
    state["late"] = PULSE.latest_since(begun)
    path = FOLDER / f"{port}.seen"
    path.with_suffix(".part").write_text(json.dumps(state), encoding="utf-8")
    path.with_suffix(".part").rename(path)


async def run_lifespan(scope: Any, receive: Any, send: Any) -> None:
    scope.get("state", {}).update(n=1, lst=SHARED)
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})

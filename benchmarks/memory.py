"""What one connected client costs, among 1,000 and among 100,000.

`python -m benchmarks.memory 1000000` connects a million and prints what it found.

Each count runs in a process of its own: memory that Python once had is never quite given back.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI, WebSocket

from benchmarks.floor import echo
from benchmarks.measuring import Figure, at_most, stopwatch
from wsharness import Harness, simulate

ROOT = Path(__file__).parent.parent
PAGE = os.sysconf("SC_PAGE_SIZE")
FEW, MANY, MANY_FASTAPI = 1_000, 100_000, 20_000

fastapi_echo = FastAPI()


@fastapi_echo.websocket("/")
async def repeat(websocket: WebSocket) -> None:
    """FastAPI's echo."""
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)


APPS: dict[str, Any] = {"bare": echo, "FastAPI": fastapi_echo}


def resident() -> int:
    """The bytes of memory this process holds now."""
    return int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1]) * PAGE


def connected(app: str, count: int) -> dict[str, float]:
    """Memory in kB and time in microseconds a client, of so many connected at once."""
    found: dict[str, float] = {}

    async def drive(ws: Harness) -> None:
        await ws.connect_many(100, "/")
        before = resident()
        with stopwatch() as watch:
            await ws.connect_many(count, "/", timeout=600)
        found["kB"] = (resident() - before) / 1000 / count
        found["us"] = watch.seconds * 1e6 / count

    simulate(drive, APPS[app])
    return found


def elsewhere(app: str, count: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.memory", str(count), app]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, encoding="utf-8")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure() -> list[Figure]:
    """Memory and time a client, bare and with FastAPI."""
    few, many = elsewhere("bare", FEW), elsewhere("bare", MANY)
    framework = elsewhere("FastAPI", MANY_FASTAPI)
    return [
        at_most("memory a client, 1,000 connected, bare app", few["kB"], "kB", 8),
        at_most("memory a client, 100,000 connected, bare app", many["kB"], "kB", 8),
        at_most("time to connect a client, 1,000 connected, bare app", few["us"], "us", 50),
        at_most("time to connect a client, 100,000 connected, bare app", many["us"], "us", 50),
        at_most("memory a client, 20,000 connected, FastAPI", framework["kB"], "kB", 25),
    ]


if __name__ == "__main__":
    print(json.dumps(connected(sys.argv[2] if len(sys.argv) > 2 else "bare", int(sys.argv[1]))))

"""python -m tests.differential.remeasure [PROFILE…]: the committed cases on the installed servers, and what changed."""

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.differential.comparing import shown
from tests.differential.measure import measure_all
from tests.fidelity.replay import CASES, FOUND, SETTINGS, Seen, expected, load


def versions(path: Path) -> list[str]:
    """Which servers are installed in another version than the one that was measured."""
    measured = json.loads(path.read_text(encoding="utf-8"))["meta"]["versions"]
    names = ("uvicorn", "websockets", "wsproto", "hypercorn", "daphne", "autobahn", "granian")
    return [f"{name} {measured[name]} -> {version(name)}" for name in names if version(name) != measured[name]]


def changed(cases: dict[str, Any], name: str) -> list[tuple[str, Seen, Seen]]:
    """The stable cells in which the server did otherwise three times: case, what it did, what it does."""
    stable = {key: case for key, case in cases.items() if name in case["expect"]}
    stable = {key: case for key, case in stable.items() if not case["expect"][name].get("unstable")}
    differing, found = stable, {}
    for _ in range(3):
        found = asyncio.run(measure_all(differing, name)) if differing else {}
        differing = {key: case for key, case in differing.items() if found[key] != expected(case["expect"][name])}
    return [(key, expected(case["expect"][name]), found[key]) for key, case in differing.items()]


def described(key: str, name: str, was: Seen, now: Seen) -> str:
    """One change, to be read."""
    lines = [f"{key} on {name}"]
    for side in ("app", "client", "scope"):
        if getattr(was, side) != getattr(now, side):
            lines += [f"  {side} was {shown(getattr(was, side))}", f"  {side} now {shown(getattr(now, side))}"]
    return "\n".join(lines)


def main(names: list[str]) -> None:
    """Measure and print; what changed is news, not an error."""
    cases = load(CASES) | load(FOUND)
    print("other versions than measured:", *(versions(CASES) or ["none"]))
    for name in names or SETTINGS:
        found = changed(cases, name)
        for cell in found:
            print(described(cell[0], name, *cell[1:]))
        print(f"{name}: {len(found)} of {len(cases)} cases changed", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

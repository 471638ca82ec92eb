"""python -m tests.differential.keep CASES FILE: measures cases on every server, and adds them to a file of the same form.

CASES is what `draw` gives, or a file's `cases`, as JSON: `{"one": {"level": …, "app": …, "client": …}}`.
"""

import asyncio
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.differential.comparing import changes_since
from tests.differential.drawing import Case
from tests.differential.measure import DIED, measure_all
from tests.fidelity.replay import SETTINGS, Seen, replay

TIMES = 3
SERVERS = ("uvicorn", "websockets", "wsproto", "hypercorn", "daphne", "autobahn", "granian")


def cell(runs: list[Seen]) -> dict[str, Any]:
    """What a server did, as the files have it."""
    first = runs[0]
    found: dict[str, Any] = {"app": first.app, "client": first.client}
    if first.scope is not None:
        found["scope"] = first.scope
    if any(run != first for run in runs):
        found["unstable"] = True
    return found


def measured(cases: dict[str, Case], name: str) -> dict[str, dict[str, Any]]:
    """A cell for each case; none where it ends the server's process, or where a later version does otherwise."""
    runs = [asyncio.run(measure_all(cases, name)) for _ in range(TIMES)]
    later = changes_since(name)
    return {
        key: cell([run[key] for run in runs])
        for key, case in cases.items()
        if DIED not in [run[key] for run in runs]
        and (not later or replay(case, name) == replay(case, name, changes=later))
    }


def main(source: Path, target: Path) -> None:
    """Measure and write."""
    given = json.loads(source.read_text(encoding="utf-8"))
    cases: dict[str, Any] = {key: {**case, "expect": {}} for key, case in given.get("cases", given).items()}
    for name in SETTINGS:
        for key, found in measured(cases, name).items():
            cases[key]["expect"][name] = found
    versions = {name: version(name) for name in SERVERS}
    kept = (
        json.loads(target.read_text(encoding="utf-8"))
        if target.exists()
        else {"meta": {"versions": versions}, "cases": {}}
    )
    kept["cases"] |= cases
    target.write_text(json.dumps(kept, separators=(",", ":"), ensure_ascii=True), encoding="utf-8")
    print(f"{len(cases)} cases measured on {len(SETTINGS)} servers; {target} has {len(kept['cases'])}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))

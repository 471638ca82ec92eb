"""Runs the benchmarks, writes benchmarks/results.json and prints it as a table."""

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.measuring import Figure

Row: TypeAlias = dict[str, Any]
RESULTS = Path(__file__).with_name("results.json")


def run(only: list[str]) -> list[Row]:
    """The figures of every benchmark, or of those named."""
    rows: list[Row] = []
    for module in sorted(info.name for info in pkgutil.iter_modules(benchmarks.__path__)):
        if module == "__main__" or (only and module not in only):
            continue
        measure = getattr(importlib.import_module(f"benchmarks.{module}"), "measure", None)
        if measure is not None:
            print(f"measuring {module} ...", file=sys.stderr, flush=True)
            rows += [figure.as_json() if isinstance(figure, Figure) else figure for figure in measure()]
    return rows


def table(rows: list[Row]) -> Table:
    """The figures as people read them."""
    shown = Table("", "value", "goal", "met", "x floor", "x faster than the fastest peer", box=None)
    for row in rows:
        met = "" if not row.get("goal") else "yes" if row["met"] else "NO"
        ratios = [str(row.get(name, "")) for name in ("ratio_to_floor", "ratio_to_fastest_peer")]
        shown.add_row(row["name"], f"{row['value']:g} {row['unit']}", row.get("goal") or "", met, *ratios)
    return shown


def main() -> None:
    """Measure, write, print."""
    only = sys.argv[1:]
    rows = run(only)
    if not only:
        RESULTS.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    Console(width=None if sys.stdout.isatty() else 170).print(table(rows))


if __name__ == "__main__":
    main()

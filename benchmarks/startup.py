"""What starting costs: `import wsharness`, and pytest with the plugin; whole processes, in pairs.

Bytecode is kept, in the measurement's own folder, whatever the environment says of it: so it is for most users.
"""

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import Contestant, Figure, at_most, side_by_side

ROOT = Path(__file__).parent.parent


def process(*arguments: str, folder: str) -> Contestant:
    """The CPU seconds of a whole Python process."""

    def run() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(Path(folder, "bytecode"))}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # others take ten times as long, and vary by more than ours
        subprocess.run([sys.executable, *arguments], cwd=folder, env=environment, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return run


def measure() -> list[Figure]:
    """The difference that wsharness makes."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing(): pass\n", encoding="utf-8")
        pytest = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:wsharness")
        seconds = side_by_side(
            {
                "python": process("-c", "pass", folder=folder),
                "import": process("-c", "import wsharness", folder=folder),
                "pytest": process(*pytest, folder=folder),
                "plugin": process(*pytest, "-p", "wsharness_pytest.plugin", folder=folder),
            }
        )
    return [
        at_most("import wsharness", seconds["import"] - seconds["python"], "s", 0.3),
        at_most("pytest's start, plugin installed", (seconds["plugin"] - seconds["pytest"]) * 1000, "ms more", 30),
    ]

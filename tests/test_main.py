"""`python -m wsharness` is the command line."""

import subprocess
import sys


def test_python_m_wsharness_is_the_command_line() -> None:
    command = [sys.executable, "-m", "wsharness", "--help"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert "check" in done.stdout

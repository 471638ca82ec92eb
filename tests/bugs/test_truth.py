"""A bounded part of the ground truth; `make truth` measures all of it."""

import json
import os
import subprocess
import sys

import pytest

from tests.bugs.truth import Row, table

# In a process of its own: what a run costs grows with what its process holds, and a test run holds much.
MEASURE = """
import json, sys
from tests.bugs.truth import measure
row = measure(sys.argv[1], stages=(4,), twin_runs=4)
print(json.dumps([row.found, row.alarms]))
"""


@pytest.mark.parametrize("name", ["empty_answer", "check_then_act"])
def test_a_bug_is_found_and_its_twin_is_clean(name):
    plain = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}
    command = [sys.executable, "-c", MEASURE, name]
    done = subprocess.run(command, env=plain, capture_output=True, encoding="utf-8", timeout=600)
    assert done.returncode == 0, done.stderr
    found, alarms = json.loads(done.stdout)
    assert found and not alarms


def test_the_table_counts_what_was_found():
    rows = [Row("a", "fails", ["WSH101"], 200), Row("b", "leaks", alarms=["WSH104"])]
    text = table(rows)
    assert "| a | fails | WSH101 | 200 | - |" in text and "| b | leaks | missed | 0 | WSH104 |" in text
    assert text.endswith("Found 1 of 2 (50 %); false alarms on 1 of the twins.")

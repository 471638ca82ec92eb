"""`python -m tests.bugs [NAME…]`: the whole ground truth, as the table in docs/ground-truth.md."""

import sys

from tests.bugs import NAMES
from tests.bugs.truth import measure, table

rows = []
for name in sys.argv[1:] or NAMES:
    row = measure(name)
    rows.append(row)
    print(
        name,
        row.found or "MISSED",
        row.runs,
        "others",
        row.others,
        "alarms",
        row.alarms,
        row.warnings,
        file=sys.stderr,
        flush=True,
    )
print(table(rows))

"""python -m tests.differential LEVEL COUNT SEED [PROFILE…]: drawn programs, on real servers and on their profiles."""

import json
import sys
from pathlib import Path

from tests.differential.comparing import compare, described
from tests.differential.drawing import draw
from tests.fidelity.replay import SETTINGS

level, count, seed, *names = sys.argv[1:]
cases = draw(level, int(count), int(seed)) if level != "file" else json.loads(Path(count).read_text(encoding="utf-8"))
for name in names or SETTINGS:
    found = compare(cases, name)
    for key, want, got in found.wrong:
        print(described(key, cases[key], want, got))
    if found.unstable_keys:
        print(f"--- not the same three times: {', '.join(sorted(found.unstable_keys))}")
    for key in sorted(found.deadly_keys):
        print(f"--- {key}\n  ends the server\n  app:    {json.dumps(cases[key]['app'])}")
    print(f"{name}: {level}: {found}", flush=True)

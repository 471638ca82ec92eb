"""Where a process was when it died: the place the app's code had reached, in memory that outlives the process."""

import marshal
import mmap
import sys
import threading
from types import FrameType
from typing import Any, TypeAlias

from wsharness.stopping import is_users, running

Site: TypeAlias = tuple[str, int, str]
"""A file, a line of it, and the qualified name of the function."""

SIZE = 1 << 16
HEAD = 4  # bytes that say how long what follows is
DEEPEST = 100  # frames, of which a path and a name may take a few hundred bytes each


class LastWords:
    """Memory that a process shares with those it forks."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SIZE)

    def follow(self) -> None:
        """From here on, note each line of the user's own code before it runs, in every thread that starts."""
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if not is_users(frame.f_code.co_filename):
            return None
        if event in ("call", "line"):
            self._note(frame)
        return self._trace

    def _note(self, frame: FrameType) -> None:
        sites = [(code.co_filename, line, code.co_qualname) for code, line in running(frame)[-DEEPEST:]]
        said = marshal.dumps(sites)
        if len(said) <= SIZE - HEAD:
            self._memory[: HEAD + len(said)] = len(said).to_bytes(HEAD) + said

    def read(self) -> tuple[Site, ...]:
        """The last line that was noted, and what called it: outermost first; empty where nothing was."""
        size = int.from_bytes(self._memory[:HEAD])
        sites: list[Site] = marshal.loads(self._memory[HEAD : HEAD + size]) if size else []  # noqa: S302 (our own child's)
        return tuple(sites)

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()

"""What a process says until it dies: where the app's code had got, and what had happened in its run.

The place stands in memory that it shares with its parent, what happened in a file: both outlive it.
"""

import io
import marshal
import mmap
import os
import pickle
import sys
import tempfile
import threading
from types import FrameType
from typing import Any, TypeAlias

from wsharness.stopping import is_users, running
from wsharness.transcript import Transcript

Site: TypeAlias = tuple[str, int, str]
"""A file, a line of it, and the qualified name of the function."""

SIZE = 1 << 16
HEAD = 4  # bytes that say how long what follows is
DEEPEST = 100  # frames, of which a path and a name may take a few hundred bytes each


_following: "list[LastWords]" = []
"""Those of this process, if it is one that is listened to."""


class LastWords:
    """What a process shares with those it forks."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SIZE)
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (close() does)
        self._transcript = Transcript()
        self._written = 0
        self._lock = threading.Lock()

    def follow(self) -> None:
        """From here on, note each line of the user's own code before it runs, in every thread that starts."""
        _following.append(self)
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
        with self._lock:
            self._write()

    def begin(self, transcript: Transcript) -> None:
        """A run begins: what was said of the one before is forgotten."""
        with self._lock:
            self._transcript, self._written = transcript, 0
            self._file.seek(0)
            self._file.truncate()

    def _write(self) -> None:
        """Write down what has happened since the last time."""
        new = self._transcript[self._written :]
        if new:
            self._written += len(new)
            self._file.write(pickle.dumps(new))

    def read(self) -> tuple[Site, ...]:
        """The last line that was noted, and what called it: outermost first; empty where nothing was."""
        size = int.from_bytes(self._memory[:HEAD])
        sites: list[Site] = marshal.loads(self._memory[HEAD : HEAD + size]) if size else []  # noqa: S302 (our own child's)
        return tuple(sites)

    def transcript(self) -> Transcript:
        """What had happened when the last line was noted."""
        said = io.BytesIO(os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0))
        found = Transcript()
        while said.tell() < len(said.getbuffer()):
            try:
                found += pickle.load(said)  # noqa: S301 (our own child's)
            except (EOFError, pickle.UnpicklingError):  # it died while it wrote
                break
        return found

    def close(self) -> None:
        """Give back what was taken."""
        self._memory.close()
        self._file.close()


def begin(transcript: Transcript) -> None:
    """A run begins in this process, and this is where it is recorded."""
    for words in _following:
        words.begin(transcript)

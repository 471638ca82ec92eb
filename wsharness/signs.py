"""The signs our texts are drawn with, for an output whose encoding does not have them: ASCII, or a code page."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

SIGNS: dict[str, str] = {"→": ">", "←": "<", "×": "x", "·": "-", "…": "...", "─": "-", "━": "="}  # noqa: RUF001
"""Of one column where it matters: what stands below each other still does."""
ERRORS = "wsharness-signs"
"""How a stream treats what its encoding does not have: our signs have others, all else is escaped."""


def _others(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(SIGNS.get(char) or char.encode("ascii", "backslashreplace").decode() for char in text), error.end


codecs.register_error(ERRORS, _others)


@contextmanager
def writable(*streams: TextIO) -> Iterator[None]:
    """Whatever is written meanwhile can be, and keeps its lines."""
    before = [(stream, stream.errors) for stream in streams if isinstance(stream, io.TextIOWrapper)]
    for stream, _ in before:
        stream.reconfigure(errors=ERRORS)
    try:
        yield
    finally:
        for stream, errors in before:
            stream.reconfigure(errors=errors)

"""What a report shows of a test: its transcripts, what the app logged, and the line that runs it again."""

import logging
import re
import shlex
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import pytest

from wsharness_pytest import LeakedTaskWarning
from wsharness_pytest.settings import OPTIONS, Settings

if TYPE_CHECKING:
    from wsharness.harness import Harness

SHOWN = 60  # records of a transcript, and lines of a log, that a report shows
_OWN = Path(__file__).parent
MAX_NAME = 180  # characters of a file's name, of the 255 that file systems allow


class ClientLog(logging.Handler):
    """Says which connection a log record belongs to: `record.ws_connection`, empty for the test's own."""

    def __init__(self, serving: Callable[[], str]) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self._serving = serving

    def emit(self, record: logging.LogRecord) -> None:
        """Mark the record and keep its line; what it holds is formatted for a failure only."""
        record.ws_connection = name = self._serving()
        if name:
            self.lines.append(f"{name}  {record.levelname} {record.name}: {_message(record)}")

    def start(self) -> None:
        """Listen before every other handler, so that all of them see the mark."""
        logging.getLogger().handlers.insert(0, self)

    def stop(self) -> None:
        """Listen no more."""
        logging.getLogger().removeHandler(self)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 (a broken record is told by logging itself)
        return str(record.msg)


def add_sections(report: pytest.TestReport, harnesses: "list[Harness]", log: ClientLog | None, rerun: str) -> None:
    """Show on a failed test what its clients saw."""
    from wsharness.narration import render_transcript  # noqa: PLC0415 (only for a failure)

    for harness in harnesses:
        text = render_transcript(harness.transcript, last=SHOWN)
        if text:
            report.sections.append(("WebSocket transcript", text))
    if log is not None and log.lines:
        report.sections.append(("WebSocket log", "\n".join(log.lines[-SHOWN:])))
    if rerun:
        report.sections.append(("run it again", rerun))


@contextmanager
def signs_for(terminal: TextIO) -> Iterator[None]:
    """Let what is written meanwhile use other signs than our own where these cannot be."""
    try:
        "→".encode(terminal.encoding or "utf-8")
    except UnicodeEncodeError:
        from wsharness.signs import writable  # noqa: PLC0415 (starting pytest must not import wsharness)

        with writable(terminal):
            yield
    else:
        yield


def rerun_line(item: pytest.Item, settings: Settings) -> str:
    """The command that runs a simulated test again, with what this run was given."""
    words = ["pytest", item.nodeid, "--ws-seed", str(settings.seed)]
    if isinstance(settings.schedule, str) and settings.schedule != "fifo":
        words += ["--ws-schedule", settings.schedule]
    for name in OPTIONS:
        given = item.config.getoption(name)
        if given is not None and name not in ("ws_seed", "ws_schedule"):
            words += ["--" + name.replace("_", "-"), str(given)]
    return shlex.join(words)


def set_property(item: pytest.Item, name: str, value: Any) -> None:
    """Tell JUnit's file, once however often the test is run."""
    item.user_properties[:] = [pair for pair in item.user_properties if pair[0] != name]
    item.user_properties.append((name, value))


def hide_own_frames() -> None:
    """Let tracebacks show the test and the app: what lies between is nothing a user can mend."""
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in ("wsharness", "wsharness_pytest") and not name.startswith("wsharness.app"):
            vars(module)["__tracebackhide__"] = _is_not_ours


def _is_not_ours(excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
    """Whether the error was raised on purpose, or elsewhere; a bug of ours shows where it is."""
    if isinstance(excinfo.value, pytest.fail.Exception) and not excinfo.value.pytrace:
        return False  # it is shown without any frame, and of none pytest says that they are hidden
    last = excinfo.traceback[-1].frame
    if last.code.raw.co_name == "__getattr__":
        return True  # what was asked for does not exist
    on_purpose = type(excinfo.value).__module__ != "builtins" or getattr(excinfo.value, "broke_rule", False)
    return on_purpose or not last.f_globals.get("__name__", "").startswith("wsharness.")


def leave_out_frames(report: pytest.TestReport, error: pytest.ExceptionInfo[BaseException] | None) -> None:
    """Show only the sentence of a failure whose frames are none of the user's: it names the place itself."""
    from wsharness.errors import WSHarnessError  # noqa: PLC0415 (only for a failure)
    from wsharness.probes import place  # noqa: PLC0415

    if error is None or not isinstance(error.value, (WSHarnessError, LeakedTaskWarning)):
        return
    if not any(place(str(entry.path))[1] for entry in error.traceback if Path(entry.path).parent != _OWN):
        report.longrepr = error.getrepr(style="value")


def write_transcripts(folder: str, item: pytest.Item, harnesses: "list[Harness]") -> None:
    """Write a file for each harness of a test, named after the test."""
    for number, harness in enumerate(harnesses, 1):
        name = _file_name(item.nodeid) + (f"-{number}" if number > 1 else "")
        Path(folder, f"{name}.ndjson").write_text(harness.transcript.to_ndjson(), encoding="utf-8")


def _file_name(nodeid: str) -> str:
    name = re.sub(r"[^\w.\[\]-]+", "-", nodeid)
    return name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}-{zlib.crc32(nodeid.encode()):08x}"

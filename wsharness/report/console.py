"""The report for a terminal: cases, warnings, and the failures last, each with what replays it."""

import io
import shlex
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from rich.console import Console
from rich.text import Text

from wsharness.narration import elide, innermost, place, printable, render_transcript
from wsharness.report.masking import mask_report
from wsharness.results import CaseResult, Failure, Report

Key: TypeAlias = tuple[str, str, str, int]
"""A failure's `key`."""
Found: TypeAlias = tuple[Failure, str | None]
"""A failure and the file that replays it."""
Part: TypeAlias = str | tuple[str, str]
"""Text, or text and its style."""

WIDTH = 88
STEPS = 30  # of a conversation
LINES, LINE = 12, 300  # of a message
FRAMES = 12  # of the user's own

_STYLES = {"!": "red", "×": "red", ">": "bold red"}  # noqa: RUF001 (a transcript's own sign)
_VERDICTS = {"failure": ("FAIL", "bold red"), "warning": ("warn", "yellow"), "": ("ok", "green")}


def render(
    report: Report, *, color: bool = False, files: Mapping[Key, str] | None = None, verbose: bool = False
) -> str:
    """Render the report as text, with ANSI colours where `color` is set.

    `files` says which file replays a failure, by the failure's `key`. `verbose` tells in full what else is a line:
    warnings, and further failures at the place of one that has been told.
    """
    keys = [failure.key for failure in report.failures]
    page = _Page(mask_report(report), keys, files or {})
    page.write(verbose=verbose)
    return page.colored() if color else page.plain()


def summary(report: Report) -> str:
    """One line: how many failures and warnings in how many cases and runs."""
    counts = report.counts
    if not counts["cases"] and not report.failures:
        return f"nothing ran · seed {report.seed}"
    found = [count(counts[word], word[:-1]) for word in ("failures", "warnings") if counts[word]]
    ran = ", ".join(count(counts[word], word[:-1]) for word in ("cases", "runs") if counts["cases"])
    return " · ".join([", ".join(found) or "no failures", *[ran] * bool(ran), f"seed {report.seed}"])


def count(number: int, word: str) -> str:
    """`1 case`, `2 cases`, `1,200 cases`."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


class _Page:
    """Lines of styled text."""

    def __init__(self, report: Report, keys: list[Key], files: Mapping[Key, str]) -> None:
        self._report = report
        self._files = [files.get(key) for key in keys]
        self._lines: list[tuple[Part, ...]] = []

    def plain(self) -> str:
        texts = ("".join(part if isinstance(part, str) else part[0] for part in line) for line in self._lines)
        return "".join(text.rstrip() + "\n" for text in texts)

    def colored(self) -> str:
        out = io.StringIO()
        # an empty environment: what is rendered must not depend on the machine
        console = Console(
            file=out,
            force_terminal=True,
            color_system="standard",
            width=WIDTH,
            legacy_windows=False,
            _environ={},
        )
        for line in self._lines:
            console.print(Text.assemble(*line), soft_wrap=True)
        return out.getvalue()

    def line(self, *parts: Part) -> None:
        self._lines.append(parts)

    def write(self, *, verbose: bool) -> None:
        self._header()
        self._cases()
        found = list(zip(self._report.failures, self._files, strict=True))
        warnings = [pair for pair in found if pair[0].severity == "warning"]
        failures = [pair for pair in found if pair[0].severity == "failure"]
        if warnings:
            self._title("warnings", "yellow")
        for failure, file in warnings:
            self._failure(failure, file) if verbose else self._warning(failure, file)
        if failures:
            self._title("failures", "bold red")
        for alike in [[pair] for pair in failures] if verbose else _by_place(failures):
            self._failure(*alike[0])
            for failure, file in alike[1:]:
                self._also(failure, file)
        self._footer()

    def _header(self) -> None:
        report = self._report
        self.line((printable(report.target), "bold"), f" · profile {printable(report.profile)} · seed {report.seed}")

    def _cases(self) -> None:
        routes: dict[str, list[CaseResult]] = {}
        for case in self._report.cases:
            routes.setdefault(case.route or case.name, []).append(case)
        width = min(40, max((len(printable(route)) for route in routes), default=0))
        if routes:
            self.line()
        for route, cases in routes.items():
            self._route(printable(route), cases, width)

    def _route(self, route: str, cases: list[CaseResult], width: int) -> None:
        codes = list(dict.fromkeys(code for case in cases for code in case.codes))
        severities = [self._severity(code) for code in codes]
        word, style = _VERDICTS[min((s for s in severities if s), default="")]
        ran = f"{count(len(cases), 'case'):>9} {count(sum(case.runs for case in cases), 'run'):>11}"
        self.line(
            "  ",
            (f"{word:<4}", style),
            f"  {route:<{width}} ",
            (ran, "dim"),
            f"  {printable(', '.join(codes))}".rstrip(),
        )

    def _severity(self, code: str) -> str:
        return min((f.severity for f in self._report.failures if f.code == code), default="")

    def _title(self, word: str, style: str) -> None:
        self.line()
        self.line((f" {word} ".center(WIDTH, "━"), style))

    def _warning(self, failure: Failure, file: str | None) -> None:
        place_and_message = [(place(failure.frame), "cyan")] if failure.frame else []
        place_and_message += [(text, "") for text in _message(failure.message)[:1]]
        self.line()
        self.line((printable(failure.code), "bold yellow"), (f" {printable(failure.title)}", "bold"))
        self.line(("  " + self._where(failure), "dim"))
        for part in place_and_message:
            self.line("  ", part)
        if file:
            self._replay(file)

    def _failure(self, failure: Failure, file: str | None) -> None:
        style = "red" if failure.severity == "failure" else "yellow"
        self.line()
        self.line((printable(failure.code), f"bold {style}"), (f" {printable(failure.title)}", "bold"))
        if failure.frame:
            self.line((place(failure.frame), "cyan"))
        self.line((self._where(failure), "dim"))
        if failure.message:
            self.line()
        for text in _message(failure.message):
            self.line(("  " + text, style))
        self._conversation(failure)
        self._stack(failure)
        self.line()
        self._replay(file)

    def _also(self, failure: Failure, file: str | None) -> None:
        """What else goes wrong at the place of a failure that has been told in full."""
        self.line()
        for text in _message(failure.message)[:1]:
            self.line(("  also here  ", "bold"), (text, "red"))
        self._replay(file)

    def _where(self, failure: Failure) -> str:
        facts = [
            printable(failure.route),
            f"client {printable(failure.client)}" if failure.client else "",
            f"case {printable(failure.case)}" if failure.case else "",
            f"profile {printable(failure.profile)}" if failure.profile != self._report.profile else "",
            f"seed {failure.seed}" if failure.seed != self._report.seed else "",
        ]
        return " · ".join(fact for fact in facts if fact)

    def _conversation(self, failure: Failure) -> None:
        lines = render_transcript(failure.transcript, mark=failure.index, limit=STEPS).splitlines()
        if not lines:
            return
        self.line()
        self.line(("  the conversation", "bold"))
        for text in lines:
            self.line("  ", (text, _style_of(text)))

    def _stack(self, failure: Failure) -> None:
        own = [frame for frame in failure.stack if frame.user]
        last = failure.stack[-1:]
        if not last:
            return
        self.line()
        self.line(("  the app's stack", "bold"), (", innermost last", "dim"))
        if len(own) > FRAMES:
            self.line(("    … ", "dim"), (f"{count(len(own) - FRAMES, 'more frame')}", "dim"))
        for frame in own[-FRAMES:]:
            self.line("    ", (place(frame), "cyan" if frame is innermost(failure.stack) else ""))
        if not last[0].user:
            self.line((f"    {place(last[0])}", "dim"))

    def _replay(self, file: str | None) -> None:
        report = self._report
        command = f"wsharness replay {shlex.quote(printable(file))}" if file else printable(report.command)
        if file and report.replay_options:
            command = f"{command} {printable(report.replay_options)}"
        if command:
            self.line(("  replay  ", "bold"), command)

    def _footer(self) -> None:
        counts = self._report.counts
        style = "bold red" if counts["failures"] else "bold yellow" if counts["warnings"] else "bold green"
        codes = list(dict.fromkeys(failure.code for failure in self._report.failures))
        self.line()
        if codes:
            self.line((f"what a code means: wsharness explain {printable(codes[-1])}", "dim"))
        self.line((summary(self._report), style))


def _by_place(failures: list[Found]) -> list[list[Found]]:
    """Failures of one code at one line of code together, in the order of the first of each."""
    places: dict[object, list[Found]] = {}
    for number, (failure, file) in enumerate(failures):
        frame = failure.frame
        key = (failure.code, failure.route, frame.file, frame.line) if frame else number
        places.setdefault(key, []).append((failure, file))
    return list(places.values())


def _message(message: str) -> list[str]:
    lines = [elide(printable(line, "\t"), LINE) for line in message.splitlines()]
    if len(lines) <= LINES:
        return lines
    return [*lines[:LINES], f"… {count(len(lines) - LINES, 'more line')}"]


def _style_of(line: str) -> str:
    if line.startswith(">"):
        return _STYLES[">"]
    signs: Iterable[str] = (sign for sign in "!×" if f"  {sign} " in line[:60])  # noqa: RUF001
    return next((_STYLES[sign] for sign in signs), "dim" if line.lstrip().startswith("…") else "")
